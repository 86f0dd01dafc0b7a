"""What clients are rarely asked, and what their own tests ask of them: the answer is the same with us."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from servers.pair import Case, Pairs, arrivals, check_arrived, check_transparent

UPSTREAM = Path(find_spec("opentelemetry.instrumentation.aiohttp_client").origin)
TRIPPED = "recording an aiohttp request failed (AttributeError"
"""What is said where upstream's instrumentor reads headers that way."""
TRACED = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

kept = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("theirs")

def show():
    names = {span.context.span_id: span.name for span in kept.get_finished_spans()}
    print([(span.name, span.parent and names.get(span.parent.span_id, "?"))
           for span in kept.get_finished_spans()])

def look(*_):
    span = trace.get_current_span()
    print("inside", getattr(span, "name", None), span.get_span_context().is_valid)
    with tracer.start_as_current_span("deeper"):
        pass
"""
"""A program that traces itself."""
INSIDE = {
    "http.client": """
import http.client
class Connection(http.client.HTTPConnection):
    def connect(self):
        look()
        super().connect()
def get():
    connection = Connection(*PLACE)
    connection.request("GET", "/v1/models")
    return connection.getresponse().read()
""",
    "urllib3": """
import urllib3
class Connection(urllib3.connection.HTTPConnection):
    def connect(self):
        look()
        super().connect()
def get():
    pool = urllib3.HTTPConnectionPool(*PLACE)
    pool.ConnectionCls = Connection
    return pool.request("GET", "/v1/models").data
""",
    "requests": """
import requests
class Adapter(requests.adapters.HTTPAdapter):
    def send(self, *args, **kwargs):
        look()
        return super().send(*args, **kwargs)
def get():
    with requests.Session() as session:
        session.mount("http://", Adapter())
        return session.get(URL).content
""",
    **{
        client: f"""
import {client}
def get():
    seen = []
    def once(*_):
        seen or seen.append(look())
    with {client}.Client(trust_env=False) as client:
        return client.get(URL, extensions={{"trace": once}}).content
"""
        for client in ("httpx", "httpx2")
    },
    "httpx, later": """
import asyncio, httpx
async def later():
    seen = []
    async def once(*_):
        seen or seen.append(look())
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(URL, extensions={"trace": once})).content
def get():
    return asyncio.run(later())
""",
    "aiohttp": """
import aiohttp, asyncio
async def later():
    config = aiohttp.TraceConfig()
    async def sent(*_):
        look()
    config.on_request_headers_sent.append(sent)
    async with aiohttp.ClientSession(trace_configs=[config]) as session:
        async with session.get(URL) as response:
            return await response.read()
def get():
    return asyncio.run(later())
""",
}
"""By client, a call inside which something of the program's looks around."""
BELOW = """
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
URLLib3Instrumentor().instrument()
import requests
def get():
    return requests.get(URL).content
"""
"""The program's own instrumentor lies below a client that it leaves alone."""
WAYS = """
import calls
import inspect, re
PLACE = re.search(r'HTTPConnection\\("(.+?)", (\\d+)', inspect.getsource(calls)).groups()
PLACE = PLACE[0], int(PLACE[1])
URL = "http://%s:%d/v1/models" % PLACE
"""


ODD_HEADERS = (
    WAYS
    + """
import aiohttp, asyncio
class Response(aiohttp.ClientResponse):
    begun = False
    async def start(self, connection):
        await super().start(connection)
        self.begun = True
        return self
    @property
    def headers(self):
        return dict(super().headers) if self.begun else super().headers
async def main():
    async with aiohttp.ClientSession(response_class=Response) as session:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
        url = "http://%s:%d/v1/chat/completions" % PLACE
        async with session.post(url, json=body, headers={"x-mark": "a"}) as response:
            print(response.status, type(response.headers), len(await response.read()))
asyncio.run(main())
"""
)


OUTLIVING = """
import requests, threading
ended = threading.Event()
def work():
    ended.wait()
    calls.call("late")
thread = threading.Thread(target=work)
class Adapter(requests.adapters.HTTPAdapter):
    def send(self, *args, **kwargs):
        thread.start()
        return super().send(*args, **kwargs)
with requests.Session() as session:
    session.mount("http://", Adapter())
    session.get(URL)
ended.set()
thread.join()
"""


def traced(get):
    """A case of a program that traces itself and makes a call in a span of its own and in none."""
    ways = 'print(get()[:1])\nwith tracer.start_as_current_span("outer"):\n    get()\nshow()\n'
    return Case(WAYS + TRACED + get + ways)


LET_GO = """
import gc, socket, threading, weakref
import urllib3
from calls import call

call("a")
server = socket.create_server(("127.0.0.1", 0))

def serve():
    for version in (b"0.5", b"1.1"):
        connection = server.accept()[0]
        connection.recv(65536)
        connection.sendall(b"HTTP/" + version + b" 200 OK\\r\\n\\r\\n")
        connection.close()

threading.Thread(target=serve, daemon=True).start()
made = []
connect = urllib3.connection.HTTPConnection._new_conn

def note(self):
    made.append(connect(self))
    return made[-1]

urllib3.connection.HTTPConnection._new_conn = note
gc.disable()
with urllib3.HTTPConnectionPool("127.0.0.1", server.getsockname()[1]) as pool:
    retries = urllib3.Retry(read=1)
    pool.urlopen("GET", "/", preload_content=False, retries=retries)
made = [weakref.ref(each) for each in made]
print([each() is None or each().fileno() == -1 for each in made])
"""
"""A response to a second attempt is dropped; the first attempt's error keeps frames alive."""

SUPPRESSED = """
from opentelemetry.context import attach, set_value
from calls import call

with tracer.start_as_current_span("chat", attributes={"gen_ai.system": "x"}) as span:
    attach(set_value("suppress_instrumentation", True))
    MADE
    call("a")
"""
"""An LLM library's instrumentor that has those below it keep quiet by the context's key alone."""
STANDING_IN = "attach(trace.set_span_in_context(trace.NonRecordingSpan(span.get_span_context())))"
"""What a tracer makes of a span of the library's own there."""

SEEDED = """
import random
from calls import call
for mark in "abc":
    random.seed(42)
    call(mark)
    print(random.random())
"""
JOINING = """
import threading
from calls import call
call("a")
threading.Thread(target=call, args=("b",)).start()
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
print("all have ended")
"""
PICKLED = """
import copy, os, pickle, signal
from calls import call
call("a")
for each in (os.kill, os.killpg, os.execv, signal.raise_signal):
    print(pickle.loads(pickle.dumps(each)), copy.copy(each) is each, copy.deepcopy(each) is each)
"""
DEEP = """
import sys
from calls import call
import urllib.request

def down(left):
    return down(left - 1) if left else call("a")

down(sys.getrecursionlimit() - 120)
call("b")
"""
"""The stack has room for the call, and not for loading."""
FORKING = """
import os, threading, warnings
warnings.simplefilter("ignore")  # a fork beside threads warns from Python 3.12 on
from calls import call

def work():
    pid = os.fork()
    call("a" if pid else "b")
    if pid:
        print(os.waitpid(pid, 0)[1])

call_it = threading.Thread(target=work)
call_it.start()
call_it.join()
"""
MOCKED = """
from unittest.mock import patch
from calls import call
with patch("threading.Thread"):
    call("a")
call("b")
"""
CLEARED = """
import os
from unittest.mock import patch
from calls import call
with patch.dict(os.environ, {}, clear=True):
    call("a")
call("b")
"""
DROPPED = """
import sys
from unittest.mock import patch
from calls import call
with patch.dict(sys.modules, {"heavy": None}):
    call("a")
call("b")
"""


CASES = {
    "requests: a request that was not prepared": Case(
        "import requests\nfrom calls import call\ncall('a')\n"
        "try:\n    requests.Session().send(requests.Request(url='http://127.0.0.1:9/'))\n"
        "except Exception as error:\n    print(repr(error), error.__context__)\n",
        "a",
    ),
    "aiohttp: headers of another type": Case(
        ODD_HEADERS, "a", ours=TRIPPED if "headers.getall" in UPSTREAM.read_text() else ""
    ),
    "a thread that a call starts, and that outlives it": Case(WAYS + OUTLIVING, "late"),
    **{
        f"inside {client}": traced(get)
        for client, get in INSIDE.items()
        if find_spec(client.partition(",")[0])
    },
    "another's instrumentor below": traced(BELOW),
    "random numbers that are seeded": Case(SEEDED, "a b c"),
    "a program that waits for all threads": Case(JOINING, "a b"),
    "functions that are pickled and copied": Case(PICKLED, "a"),
    "a first call deep in the stack": Case(DEEP, "b", unseen="a"),
    "threads that are mocked at a call": Case(MOCKED, "a b"),
    "variables that are not there at a call": Case(CLEARED, "a b"),
    "a thread that forks, and ends": Case(FORKING, "a b"),
    "modules that are dropped after a call": Case(DROPPED, "a b"),
    "below a span that suppresses": Case(TRACED + SUPPRESSED.replace("MADE", "pass"), "a"),
    "below one that stands in for it": Case(TRACED + SUPPRESSED.replace("MADE", STANDING_IN), "a"),
    "a response that is let go of after a retry": Case(LET_GO, "a"),
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Runs a case without us and with us."""
    return Pairs(CASES, tmp_path_factory.mktemp("odd") / "run")


@pytest.mark.parametrize("name", CASES)
def test_the_program_sees_no_difference(name, pair):
    """Same output, same errors."""
    check_transparent(CASES[name], pair(name))


@pytest.mark.parametrize("name", arrivals(CASES))
def test_its_calls_arrive(name, pair):
    """Once."""
    check_arrived(CASES[name], pair(name))
