"""A call is one span of ours and its tokens are counted once, whatever else traces the program.

The agents and libraries of this matrix are those of the dependency group `once`; what isn't
installed is skipped. A core that needs nothing but OpenTelemetry's own instrumentors runs always.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from servers import wire

PROGRAM = Path(__file__).parent / "once" / "beside.py"
NEEDS = {
    "urllib": (),
    "httpx_aiohttp": ("httpx_aiohttp",),
    "async_httpx": ("httpx",),
    "openai_stream": ("openai",),
    "async_openai": ("openai",),
    "openai_aiohttp": ("openai", "httpx_aiohttp"),
    "openai_abandoned": ("openai",),
    "async_litellm": ("litellm",),
    "none": (),
    "sentry": ("sentry_sdk",),
    "traceloop": ("traceloop.sdk",),
    "openllmetry": ("opentelemetry.instrumentation.openai",),
    "openllmetry_and_instrumentors": ("opentelemetry.instrumentation.openai",),
    "openai_v2": ("opentelemetry.instrumentation.openai_v2",),
    "openai_v2_and_instrumentors": ("opentelemetry.instrumentation.openai_v2",),
    "openinference": ("openinference.instrumentation.openai",),
    "openinference_and_instrumentors": ("openinference.instrumentation.openai",),
    "opentelemetry_instrument": ("opentelemetry.instrumentation.auto_instrumentation",),
}
"""The modules that a way to call or an agent needs, where that isn't its own name."""
OPENAI = ("openai", "openai_stream", "async_openai", "openai_aiohttp", "openai_abandoned")
LIBRARIES = (*OPENAI, "httpx_aiohttp", "anthropic", "litellm", "async_litellm", "boto3")
OWN = (
    "own_instrumentors",
    "own_instrumentors_without_provider",
    "own_provider_given",
    "own_provider_that_samples_nothing",
)
AGENTS = ("sentry", "logfire", "openlit", "traceloop", "ddtrace", "opentelemetry_instrument")
LLM_LEVEL = ("openllmetry", "openai_v2", "openinference")
LLM_LEVEL = (*LLM_LEVEL, *(f"{each}_and_instrumentors" for each in LLM_LEVEL))
UNSURE = "openai_abandoned"
"""How much of its body the client has read is a matter of time."""
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_TRACE_STARTUP_LOGS": "false",
}


CLIENTS = ("requests", "urllib3", "urllib", "httpx", "httpx2", "async_httpx", "aiohttp")


def is_there(module):
    """Whether a module is installed."""
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def is_installed(way):
    """Whether a way to call can be tried."""
    return all(map(is_there, NEEDS.get(way, (way,))))


ALL = ",".join(filter(is_installed, CLIENTS))


def rows(agents, ways, whens=("first",)):
    """Test parameters: agent, when it is set up, way to call."""
    for agent in agents:
        for when in whens:
            for way in ways:
                names = [*NEEDS.get(way, (way,)), *NEEDS.get(agent, (agent,) * (agent not in OWN))]
                missing = [name for name in names if not is_there(name)]
                reason = f"{', '.join(missing)} not installed"
                mark = pytest.mark.skipif(bool(missing), reason=reason)
                yield pytest.param(agent, when, way, marks=mark, id=f"{agent}-{when}-{way}")


class Told(NamedTuple):
    """What a run has left."""

    finished: object
    calls: int
    ours: list
    theirs: list
    """Of each span of the agent's: name, tokens in, tokens out, names of attributes."""

    @property
    def tokens(self):
        """The tokens of all spans."""
        sides = zip(("input", "output"), (1, 2))
        return tuple(
            sum(span["attributes"].get(f"gen_ai.usage.{side}_tokens", 0) for span in self.ours)
            + sum(span[place] for span in self.theirs)
            for side, place in sides
        )


@pytest.fixture
def play(run):
    """Runs the program under us, or without."""

    def play(agent, when, way, *, launched=True, **env):
        command = run.build_command(PROGRAM, [agent, when, way], launched=launched)
        if agent == "opentelemetry_instrument":
            tool = shutil.which("opentelemetry-instrument", path=str(Path(sys.executable).parent))
            none = [f"--{kind}_exporter=none" for kind in ("traces", "metrics", "logs")]
            command[-5:-5] = [tool, *none]
        with wire.serving() as server:
            environ = run.build_environment({"WIRE_URL": server.url, **QUIET, **env})
            pipes = {"capture_output": True, "encoding": "utf-8", "timeout": 120}
            done = subprocess.run(command, check=False, env=environ, cwd=run.folder, **pipes)
        assert 0 == done.returncode, done.stderr
        ours = [
            span
            for span in run.sink.spans
            if span["attributes"].get("url.full", "").startswith(server.url)
        ]
        return Told(done, len(server.seen), ours, json.loads(done.stdout.splitlines()[-1]))

    return play


@pytest.mark.parametrize(
    ("agent", "when", "way"),
    [
        *((agent, when, ALL) for agent in OWN for when in ("first", "later")),
        *rows(OWN[:1], LIBRARIES),
        *rows(("none",), LIBRARIES),
        *rows(AGENTS, ("requests", "httpx", "aiohttp", *LIBRARIES)),
        *rows(LLM_LEVEL, OPENAI),
    ],
)
def test_a_call_is_counted_once(play, agent, when, way):
    """Spans of ours and tokens of all spans are those of the calls; the agent's are as without us."""
    bare = play(agent, when, way, launched=False)
    told = play(agent, when, way)
    assert bare.theirs == told.theirs
    assert bare.calls == told.calls == len(told.ours)
    for line in ("Failed to detach context", "Overriding of current TracerProvider"):
        assert line not in told.finished.stderr
    if way != UNSURE:
        once = (11 * told.calls, 7 * told.calls)
        # An agent that has instrumentors of two libraries one below the other counts twice itself.
        assert max(once, bare.tokens) == told.tokens


@pytest.mark.parametrize(
    ("agent", "when", "way"),
    [*rows(("openllmetry", "openinference"), ("openai", "openai_stream"))],
)
def test_it_is_said_where_the_tokens_are(play, agent, when, way):
    """On the library's span; ours has them by names that nobody adds up, and the cost."""
    (span,) = play(agent, when, way).ours
    attributes = span["attributes"]
    assert "parent" == attributes["lupis.dedup"]
    assert (11, 7) == tuple(
        attributes[f"lupis.repeated.{side}_tokens"] for side in ("input", "output")
    )
    assert "lupis.cost.status" in attributes


JOINED = """
import os, sys
import requests
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

def set_up():
    provider = TracerProvider(resource=Resource({"service.name": "theirs"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider

def call():
    body = {"model": "test-model", "messages": []}
    requests.post(os.environ["WIRE_URL"] + "/v1/chat/completions", json=body)

exporter = InMemorySpanExporter()
when, how = sys.argv[1:]
if when == "before":
    provider = set_up()
call()
if when == "after":
    provider = set_up()
    call()
with provider.get_tracer("theirs").start_as_current_span("work"):
    call()
getattr(provider, how)()
for span in exporter.get_finished_spans():
    print(span.name, span.resource.attributes["service.name"])
"""


CALLING_PROCESSOR = """
import os, requests
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

url = os.environ["WIRE_URL"] + "/v1/chat/completions"

class Processor(SpanProcessor):
    def on_end(self, span):
        print(span.name, is_instrumentation_enabled())
        requests.post(url, json={"model": "another"})

provider = TracerProvider()
provider.add_span_processor(Processor())
requests.post(url, json={"model": "test-model"})
provider.force_flush()
"""


def test_a_processor_that_is_joined_finds_nothing_suppressed(run):
    """Logfire's leaves spans out where it is; and a call that one makes is not recorded in turn."""
    with wire.serving() as server:
        done = run(CALLING_PROCESSOR, env={"WIRE_URL": server.url, "LUPIS_JOIN_PROVIDER": "true"})
    assert ("chat test-model True\n", "") == (done.stdout, done.stderr)
    assert ["chat test-model"] == [span["name"] for span in done.spans]


@pytest.mark.parametrize("how", ["force_flush", "shutdown"])
@pytest.mark.parametrize(("when", "joined"), [("before", 2), ("after", 3)])
class TestOwnProvider:
    """A program that sets its own provider before our start or after it."""

    @pytest.fixture
    def done(self, run, when, how):
        """The program, run with these variables."""

        def play(**env):
            with wire.serving() as server:
                return run(JOINED, when, how, env={"WIRE_URL": server.url, **env})

        return play

    def test_its_exporter_gets_its_own_spans_only(self, done, joined):
        """And ours gets ours; nothing is said of overriding."""
        finished = done()
        assert ("work theirs\n", "") == (finished.stdout, finished.stderr)
        assert ["chat test-model"] * joined == [span["name"] for span in finished.spans]

    def test_it_gets_ours_too_when_asked(self, done, joined):
        """All that ended since it was set up, redacted, before it is flushed or shut down."""
        finished = done(LUPIS_JOIN_PROVIDER="true")
        assert "" == finished.stderr
        lines = sorted(finished.stdout.splitlines())
        assert "work theirs" == lines.pop()
        assert {"chat test-model theirs"} == set(lines)
        assert 2 <= len(lines) <= joined
        assert ["chat test-model"] * joined == [span["name"] for span in finished.spans]


LEAKS = """
import asyncio, os, sys
import aiohttp
from opentelemetry import context, trace
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.utils import suppress_http_instrumentation
from opentelemetry.sdk.trace import TracerProvider

trace.set_tracer_provider(TracerProvider())
AioHttpClientInstrumentor().instrument()
URL = os.environ["WIRE_URL"] + "/v1/chat/completions"

async def call(session, url):
    before = context.get_current()
    try:
        async with session.post(url, json={"model": "test-model"}) as answer:
            await answer.read()
    except aiohttp.ClientError:
        pass
    print(context.get_current() is before)

async def main():
    async with aiohttp.ClientSession() as session:
        with trace.get_tracer("theirs").start_as_current_span("work"):
            await call(session, URL)
            await call(session, URL + "?redirect=1")
            await call(session, "http://127.0.0.1:9/v1/chat/completions")
            with suppress_http_instrumentation():
                await call(session, URL)

asyncio.run(main())
"""


@pytest.mark.skipif(not is_there("aiohttp"), reason="aiohttp not installed")
def test_aiohttp_calls_leave_the_context_as_it_was(run):
    """Two that trace a session end their spans in the order in which they began them."""
    with wire.serving() as server:
        done = run(LEAKS, env={"WIRE_URL": server.url})
    assert ("True\n" * 4, "") == (done.stdout, done.stderr)
    assert 4 == len(done.spans)
    assert {"chat"} == {span["attributes"]["gen_ai.operation.name"] for span in done.spans}


MADE_ALIKE = """
import asyncio, os
import aiohttp
from lupis_instrument import LupisSDK

URL = os.environ["WIRE_URL"] + "/v1/chat/completions"

async def main():
    async with aiohttp.ClientSession(trace_configs=[aiohttp.TraceConfig()]) as first:
        async with aiohttp.ClientSession(trace_configs=first._trace_configs) as second:
            print(len(first._trace_configs), len(second._trace_configs))
            for session in (second, first):
                async with session.post(URL, json={"model": "test-model"}) as answer:
                    await answer.read()

with LupisSDK.get_instance().conversation("mine"):
    asyncio.run(main())
"""


@pytest.mark.skipif(not is_there("aiohttp"), reason="aiohttp not installed")
def test_a_session_made_with_anothers_trace_configs_is_recorded_once(run):
    """As google-auth makes one: what traces the first is among them."""
    with wire.serving() as server:
        done = run(MADE_ALIKE, env={"WIRE_URL": server.url})
    assert ("2 2\n", "") == (done.stdout, done.stderr)
    assert ["mine", "mine"] == [span["attributes"]["lupis.chat.id"] for span in done.spans]


RETRIED = """
import os
import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

URL = os.environ["WIRE_URL"] + "/v1/chat/completions?busy=2&case="
BODY = {"model": "test-model", "messages": []}

def by_hand():
    while requests.post(URL + "hand", json=BODY).status_code == 503:
        pass

def by_urllib3():
    session = requests.Session()
    retry = Retry(3, status_forcelist=[503], allowed_methods=None, backoff_factor=0)
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.post(URL + "urllib3", json=BODY)

by_hand()
by_urllib3()
"""


def test_attempts_of_one_request_are_told(run):
    """Calls of their own with a status each, or inside one call an event each."""
    with wire.serving() as server:
        spans = run(RETRIED, env={"WIRE_URL": server.url}).spans
    told = [
        (
            span["attributes"]["http.response.status_code"],
            span["attributes"].get("http.request.resend_count"),
            [event["attributes"] for event in span["events"] if event["name"] == "lupis.attempt"],
        )
        for span in sorted(spans, key=lambda span: span["start"])
    ]
    busy = {"http.response.status_code": 503}
    assert [(503, None, []), (503, 1, []), (200, 2, []), (200, 2, [busy, busy])] == told


KEPT_QUIET = """
import os
import requests
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider

tracer = TracerProvider().get_tracer("theirs")
def call(path):
    requests.post(os.environ["WIRE_URL"] + path, json={"model": "test-model", "messages": []})
for attributes in ({"gen_ai.system": "openai"}, {"work": "other"}):
    with tracer.start_as_current_span("theirs", attributes=attributes), suppress_instrumentation():
        call("/v1/chat/completions")
        call("/telemetry")
"""


def test_an_llm_librarys_instrumentor_may_not_keep_us_quiet(run):
    """But of its call alone there is a span: what else is suppressed stays so."""
    with wire.serving() as server:
        done = run(KEPT_QUIET, env={"WIRE_URL": server.url})
    assert "" == done.stderr
    assert ["chat test-model"] == [span["name"] for span in done.spans]
