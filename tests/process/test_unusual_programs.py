"""Programs that use clients in unusual manners behave the same with lupis-run."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from servers.comparison import (
    Case,
    check_recorded_calls,
    check_same_behaviour,
    list_calling_cases,
    list_cases,
)

UPSTREAM = Path(find_spec("opentelemetry.instrumentation.aiohttp_client").origin)
HEADERS_FAULT = "recording an aiohttp request failed (AttributeError"
"""A warning about releases of upstream's instrumentor that need the usual type of headers."""
TRACED = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

kept = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("program")

def show():
    names = {span.context.span_id: span.name for span in kept.get_finished_spans()}
    print([(span.name, span.parent and names.get(span.parent.span_id, "?"))
           for span in kept.get_finished_spans()])

def show_current_span(*_):
    span = trace.get_current_span()
    print("inside", getattr(span, "name", None), span.get_span_context().is_valid)
    with tracer.start_as_current_span("deeper"):
        pass
"""
"""A program that traces its own work."""
CALLS_WITH_HOOKS = {
    "http.client": """
import http.client
class Connection(http.client.HTTPConnection):
    def connect(self):
        show_current_span()
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
        show_current_span()
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
        show_current_span()
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
        seen or seen.append(show_current_span())
    with {client}.Client(trust_env=False) as client:
        return client.get(URL, extensions={{"trace": once}}).content
"""
        for client in ("httpx", "httpx2")
    },
    "httpx, async": """
import asyncio, httpx
async def get_async():
    seen = []
    async def once(*_):
        seen or seen.append(show_current_span())
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(URL, extensions={"trace": once})).content
def get():
    return asyncio.run(get_async())
""",
    "aiohttp": """
import aiohttp, asyncio
async def get_async():
    config = aiohttp.TraceConfig()
    async def sent(*_):
        show_current_span()
    config.on_request_headers_sent.append(sent)
    async with aiohttp.ClientSession(trace_configs=[config]) as session:
        async with session.get(URL) as response:
            return await response.read()
def get():
    return asyncio.run(get_async())
""",
}
"""By client, a call during which a hook of the program prints the current span."""
OWN_INSTRUMENTOR = """
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
URLLib3Instrumentor().instrument()
import requests
def get():
    return requests.get(URL).content
"""
"""The program instruments urllib3, and not requests, which uses it."""
SERVER_ADDRESS = """
import calls
import inspect, re
PLACE = re.search(r'HTTPConnection\\("(.+?)", (\\d+)', inspect.getsource(calls)).groups()
PLACE = PLACE[0], int(PLACE[1])
URL = "http://%s:%d/v1/models" % PLACE
"""


ODD_HEADERS = (
    SERVER_ADDRESS
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


STARTS_THREAD = """
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


def traces_itself(get):
    """A case of a program that makes a call outside and inside of a span of its own."""
    calls = 'print(get()[:1])\nwith tracer.start_as_current_span("outer"):\n    get()\nshow()\n'
    return Case(SERVER_ADDRESS + TRACED + get + calls)


DROPPED_RESPONSE = """
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
made = [weakref.ref(sock) for sock in made]
print([sock() is None or sock().fileno() == -1 for sock in made])
"""
"""The program drops the response to a retry; the error of the first attempt keeps frames alive."""

SUPPRESSED = """
from opentelemetry.context import attach, set_value
from calls import call

with tracer.start_as_current_span("chat", attributes={"gen_ai.system": "x"}) as span:
    attach(set_value("suppress_instrumentation", True))
    MADE
    call("a")
"""
"""An LLM library's instrumentor suppresses other instrumentors by the context's key alone."""
NON_RECORDING_SPAN = (
    "attach(trace.set_span_in_context(trace.NonRecordingSpan(span.get_span_context())))"
)
"""The span that a tracer makes while instrumentation is suppressed."""

SEEDED_RANDOM = """
import random
from calls import call
for mark in "abc":
    random.seed(42)
    call(mark)
    print(random.random())
"""
JOINS_ALL_THREADS = """
import threading
from calls import call
call("a")
threading.Thread(target=call, args=("b",)).start()
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
print("all have ended")
"""
PICKLED_FUNCTIONS = """
import copy, os, pickle, signal
from calls import call
call("a")
for f in (os.kill, os.killpg, os.execv, signal.raise_signal):
    print(pickle.loads(pickle.dumps(f)), copy.copy(f) is f, copy.deepcopy(f) is f)
"""
DEEP_STACK = """
import sys
from calls import call
import urllib.request

def down(left):
    return down(left - 1) if left else call("a")

down(sys.getrecursionlimit() - 120)
call("b")
"""
"""The stack has room for the call, but not for loading the runtime."""
FORKING = """
import os, threading, warnings
warnings.simplefilter("ignore")  # Python 3.12 warns of a fork beside threads
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
MOCKED_THREADS = """
from unittest.mock import patch
from calls import call
with patch("threading.Thread"):
    call("a")
call("b")
"""
CLEARED_VARIABLES = """
import os
from unittest.mock import patch
from calls import call
with patch.dict(os.environ, {}, clear=True):
    call("a")
call("b")
"""
DROPPED_MODULES = """
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
        ODD_HEADERS, "a", warning=HEADERS_FAULT if "headers.getall" in UPSTREAM.read_text() else ""
    ),
    "a thread that starts during a call and outlives the call": Case(
        SERVER_ADDRESS + STARTS_THREAD, "late"
    ),
    **{
        f"the current span during a call of {client}": traces_itself(get)
        for client, get in CALLS_WITH_HOOKS.items()
        if find_spec(client.partition(",")[0])
    },
    "an instrumentor of the program below requests": traces_itself(OWN_INSTRUMENTOR),
    "random numbers that are seeded": Case(SEEDED_RANDOM, "a b c"),
    "a program that waits for all threads": Case(JOINS_ALL_THREADS, "a b"),
    "functions that are pickled and copied": Case(PICKLED_FUNCTIONS, "a"),
    "a first call deep in the stack": Case(DEEP_STACK, "b", unrecorded="a"),
    "threads that are mocked during a call": Case(MOCKED_THREADS, "a b"),
    "environment variables that are cleared during a call": Case(CLEARED_VARIABLES, "a b"),
    "a thread that forks, and ends": Case(FORKING, "a b"),
    "modules that a call loaded and the program drops": Case(DROPPED_MODULES, "a b"),
    "an LLM library that suppresses instrumentation": Case(
        TRACED + SUPPRESSED.replace("MADE", "pass"), "a"
    ),
    "an LLM library that suppresses instrumentation, with a span that does not record": Case(
        TRACED + SUPPRESSED.replace("MADE", NON_RECORDING_SPAN), "a"
    ),
    "a response that is dropped after a retry": Case(DROPPED_RESPONSE, "a"),
}
FAST_CASES = (
    "the current span during a call of http.client",
    "the current span during a call of httpx",
    "random numbers that are seeded",
    "a program that waits for all threads",
    "functions that are pickled and copied",
    "threads that are mocked during a call",
    "modules that a call loaded and the program drops",
    "an LLM library that suppresses instrumentation",
)
"""The cases that stand for the others in `make test`."""


@pytest.mark.parametrize("name", list_cases(CASES, FAST_CASES))
def test_unusual_programs_behave_the_same(name, run_pair):
    """Output, errors, status and files are the same."""
    check_same_behaviour(CASES[name], run_pair(name))


@pytest.mark.parametrize("name", list_calling_cases(CASES, FAST_CASES))
def test_the_collector_receives_each_call_once(name, run_pair):
    """Each call that can be recorded is received."""
    check_recorded_calls(CASES[name], run_pair(name))
