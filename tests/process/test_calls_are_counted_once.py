"""A call has one span and its tokens are counted once, even if another tracer traces the program.

The dependency group `once` has the tracers and libraries of this matrix; tests of packages that
are not installed skip. Tests with OpenTelemetry's own instrumentors always run.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from servers import wire
from servers.slow import slow_except

PROGRAM = Path(__file__).parent / "other_tracers" / "traced_program.py"
REQUIRED_MODULES = {
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
"""The modules that a call or a tracer needs, if they are not its own name."""
OPENAI_CALLS = ("openai", "openai_stream", "async_openai", "openai_aiohttp", "openai_abandoned")
LIBRARY_CALLS = (*OPENAI_CALLS, "httpx_aiohttp", "anthropic", "litellm", "async_litellm", "boto3")
OWN_SETUPS = (
    "own_instrumentors",
    "own_instrumentors_without_provider",
    "own_provider_given",
    "own_provider_that_samples_nothing",
)
TRACERS = ("sentry", "logfire", "openlit", "traceloop", "ddtrace", "opentelemetry_instrument")
LLM_INSTRUMENTORS = ("openllmetry", "openai_v2", "openinference")
LLM_INSTRUMENTORS = (
    *LLM_INSTRUMENTORS,
    *(f"{name}_and_instrumentors" for name in LLM_INSTRUMENTORS),
)
UNCERTAIN_CALL = "openai_abandoned"
"""It depends on timing how much of the body the client has read."""
QUIET_VARIABLES = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_TRACE_STARTUP_LOGS": "false",
}


CLIENT_CALLS = ("requests", "urllib3", "urllib", "httpx", "httpx2", "async_httpx", "aiohttp")


def is_installed(module):
    """Returns whether a module is installed."""
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def can_run(call):
    """Returns whether the modules that a call needs are installed."""
    return all(map(is_installed, REQUIRED_MODULES.get(call, (call,))))


ALL_CLIENT_CALLS = ",".join(filter(can_run, CLIENT_CALLS))
FAST_SETUPS = (("own_instrumentors", "first", ALL_CLIENT_CALLS),)
FAST_CALL = "requests"
"""The call that `make test` makes with an installed tracer; the others are slow."""


def list_parameters(tracers, calls, times=("first",)):
    """Yields parameters of a test: tracer, time of its setup, call."""
    for tracer in tracers:
        for when in times:
            for call in calls:
                needed = (tracer,) if tracer not in OWN_SETUPS else ()
                names = [
                    *REQUIRED_MODULES.get(call, (call,)),
                    *REQUIRED_MODULES.get(tracer, needed),
                ]
                missing = [name for name in names if not is_installed(name)]
                reason = f"{', '.join(missing)} not installed"
                mark = pytest.mark.skipif(bool(missing), reason=reason)
                marks = [mark] if call == FAST_CALL else [mark, pytest.mark.slow]
                yield pytest.param(tracer, when, call, marks=marks, id=f"{tracer}-{when}-{call}")


class TracedRun(NamedTuple):
    """The results of a run."""

    finished: object
    calls: int
    """The number of calls that the provider received."""
    recorded: list
    """The spans of the calls that the collector received."""
    other: list
    """For each span of the other tracer: name, input tokens, output tokens, attribute names."""

    @property
    def tokens(self):
        """The sums of input and output tokens of all spans."""
        sides = zip(("input", "output"), (1, 2))
        return tuple(
            sum(span["attributes"].get(f"gen_ai.usage.{side}_tokens", 0) for span in self.recorded)
            + sum(span[column] for span in self.other)
            for side, column in sides
        )


@pytest.fixture
def run_traced(run):
    """Runs the program with a tracer, with lupis-run or without."""

    def run_traced(tracer, when, call, *, launched=True, **env):
        command = run.build_command(PROGRAM, [tracer, when, call], launched=launched)
        if tracer == "opentelemetry_instrument":
            tool = shutil.which("opentelemetry-instrument", path=str(Path(sys.executable).parent))
            none = [f"--{kind}_exporter=none" for kind in ("traces", "metrics", "logs")]
            command[-5:-5] = [tool, *none]
        with wire.serving() as server:
            environ = run.build_environment({"WIRE_URL": server.url, **QUIET_VARIABLES, **env})
            pipes = {"capture_output": True, "encoding": "utf-8", "timeout": 120}
            done = subprocess.run(command, check=False, env=environ, cwd=run.folder, **pipes)
        assert 0 == done.returncode, done.stderr
        recorded = [
            span
            for span in run.sink.spans
            if span["attributes"].get("url.full", "").startswith(server.url)
        ]
        return TracedRun(done, len(server.seen), recorded, json.loads(done.stdout.splitlines()[-1]))

    return run_traced


@pytest.mark.parametrize(
    ("tracer", "when", "call"),
    [
        *slow_except(FAST_SETUPS, product(OWN_SETUPS, ("first", "later"), (ALL_CLIENT_CALLS,))),
        *list_parameters(OWN_SETUPS[:1], LIBRARY_CALLS),
        *list_parameters(("none",), LIBRARY_CALLS),
        *list_parameters(TRACERS, ("requests", "httpx", "aiohttp", *LIBRARY_CALLS)),
        *list_parameters(LLM_INSTRUMENTORS, OPENAI_CALLS),
    ],
)
def test_a_call_is_counted_once(run_traced, tracer, when, call):
    """The other tracer's spans are the same as without lupis-run."""
    bare = run_traced(tracer, when, call, launched=False)
    launched = run_traced(tracer, when, call)
    assert bare.other == launched.other
    assert bare.calls == launched.calls == len(launched.recorded)
    for line in ("Failed to detach context", "Overriding of current TracerProvider"):
        assert line not in launched.finished.stderr
    if call != UNCERTAIN_CALL:
        once = (11 * launched.calls, 7 * launched.calls)
        # A tracer with instrumentors for a library and its client counts twice on its own.
        assert max(once, bare.tokens) == launched.tokens


@pytest.mark.parametrize(
    ("tracer", "when", "call"),
    [*list_parameters(("openllmetry", "openinference"), ("openai", "openai_stream"))],
)
def test_the_span_names_the_span_with_the_tokens(run_traced, tracer, when, call):
    """The library's span has them; here they have other names, which no sum includes."""
    (span,) = run_traced(tracer, when, call).recorded
    attributes = span["attributes"]
    assert "parent" == attributes["lupis.dedup"]
    assert (11, 7) == tuple(
        attributes[f"lupis.repeated.{side}_tokens"] for side in ("input", "output")
    )
    assert "lupis.cost.status" in attributes


OWN_PROVIDER_PROGRAM = """
import os, sys
import requests
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

def set_up():
    provider = TracerProvider(resource=Resource({"service.name": "program"}))
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
with provider.get_tracer("program").start_as_current_span("work"):
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


def test_a_joined_processor_runs_without_suppression(run):
    """Logfire drops spans under suppression. A call by such a processor is not recorded."""
    with wire.serving() as server:
        done = run(CALLING_PROCESSOR, env={"WIRE_URL": server.url, "LUPIS_JOIN_PROVIDER": "true"})
    assert ("chat test-model True\n", "") == (done.stdout, done.stderr)
    assert ["chat test-model"] == [span["name"] for span in done.spans]


@pytest.mark.parametrize("how", slow_except({"force_flush"}, ("force_flush", "shutdown")))
@pytest.mark.parametrize(("when", "joined"), [("before", 2), ("after", 3)])
class TestOwnProvider:
    """A program that sets its own provider before its first call or after it."""

    @pytest.fixture
    def run_joined(self, run, when, how):
        """Runs the program with variables."""

        def run_traced(**env):
            with wire.serving() as server:
                return run(OWN_PROVIDER_PROGRAM, when, how, env={"WIRE_URL": server.url, **env})

        return run_traced

    def test_its_exporter_receives_only_its_own_spans(self, run_joined, joined):
        """The collector receives the spans of calls; no message says that a provider is overridden."""
        finished = run_joined()
        assert ("work program\n", "") == (finished.stdout, finished.stderr)
        assert ["chat test-model"] * joined == [span["name"] for span in finished.spans]

    def test_a_setting_gives_its_exporter_the_spans_of_calls(self, run_joined, joined):
        """It receives spans that ended since it was set up, redacted, before it is flushed or shut down."""
        finished = run_joined(LUPIS_JOIN_PROVIDER="true")
        assert "" == finished.stderr
        lines = sorted(finished.stdout.splitlines())
        assert "work program" == lines.pop()
        assert {"chat test-model program"} == set(lines)
        assert 2 <= len(lines) <= joined
        assert ["chat test-model"] * joined == [span["name"] for span in finished.spans]


CONTEXT_PROGRAM = """
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
        with trace.get_tracer("program").start_as_current_span("work"):
            await call(session, URL)
            await call(session, URL + "?redirect=1")
            await call(session, "http://127.0.0.1:9/v1/chat/completions")
            with suppress_http_instrumentation():
                await call(session, URL)

asyncio.run(main())
"""


@pytest.mark.skipif(not is_installed("aiohttp"), reason="aiohttp not installed")
def test_aiohttp_calls_leave_the_context_unchanged(run):
    """Two tracers of a session end their spans in the order in which they began them."""
    with wire.serving() as server:
        done = run(CONTEXT_PROGRAM, env={"WIRE_URL": server.url})
    assert ("True\n" * 4, "") == (done.stdout, done.stderr)
    assert 4 == len(done.spans)
    assert {"chat"} == {span["attributes"]["gen_ai.operation.name"] for span in done.spans}


SHARED_TRACE_CONFIGS = """
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


@pytest.mark.slow
@pytest.mark.skipif(not is_installed("aiohttp"), reason="aiohttp not installed")
def test_a_session_with_another_sessions_trace_configs_is_recorded_once(run):
    """google-auth makes such a session; the first session's tracing is among them."""
    with wire.serving() as server:
        done = run(SHARED_TRACE_CONFIGS, env={"WIRE_URL": server.url})
    assert ("2 2\n", "") == (done.stdout, done.stderr)
    assert ["mine", "mine"] == [span["attributes"]["lupis.chat.id"] for span in done.spans]


RETRYING_PROGRAM = """
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


def test_attempts_of_a_request_are_recorded(run):
    """Retries by the program are calls; retries by urllib3 are events of one call."""
    with wire.serving() as server:
        spans = run(RETRYING_PROGRAM, env={"WIRE_URL": server.url}).spans
    attempts = [
        (
            span["attributes"]["http.response.status_code"],
            span["attributes"].get("http.request.resend_count"),
            [event["attributes"] for event in span["events"] if event["name"] == "lupis.attempt"],
        )
        for span in sorted(spans, key=lambda span: span["start"])
    ]
    busy = {"http.response.status_code": 503}
    assert [(503, None, []), (503, 1, []), (200, 2, []), (200, 2, [busy, busy])] == attempts


SUPPRESSING_PROGRAM_VARIABLES = """
import os
import requests
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider

tracer = TracerProvider().get_tracer("program")
def call(path):
    requests.post(os.environ["WIRE_URL"] + path, json={"model": "test-model", "messages": []})
for attributes in ({"gen_ai.system": "openai"}, {"work": "other"}):
    with tracer.start_as_current_span("program", attributes=attributes), suppress_instrumentation():
        call("/v1/chat/completions")
        call("/telemetry")
"""


def test_suppression_by_an_llm_library_does_not_hide_its_call(run):
    """Other suppressed requests have no span."""
    with wire.serving() as server:
        done = run(SUPPRESSING_PROGRAM_VARIABLES, env={"WIRE_URL": server.url})
    assert "" == done.stderr
    assert ["chat test-model"] == [span["name"] for span in done.spans]
