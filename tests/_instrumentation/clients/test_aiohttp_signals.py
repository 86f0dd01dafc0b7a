"""The receivers for signals of aiohttp, around the receivers of an instrumentor."""

import asyncio
import types

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import (
    is_http_instrumentation_enabled,
    suppress_http_instrumentation,
)
from opentelemetry.sdk.trace import TracerProvider

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._instrumentation.clients.aiohttp_signals import (
    TraceConfigs,
    add_receivers,
    make_marker,
    take_config,
)

aiohttp = pytest.importorskip("aiohttp")

PATH = "/v1/chat/completions?case=unit"
TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("test")


class Instrumentor:
    """Makes the span of a request current from its start to its end, like upstream's.

    Attributes:
        contexts: the context that each receiver finds, by the receiver's name.
        fails: whether the receiver at the start fails.
    """

    def __init__(self):
        self.contexts = {}
        self.fails = False
        self.enabled = None
        self.config = aiohttp.TraceConfig()
        self.config.on_request_start.append(self.start)
        self.config.on_request_end.append(self.end)
        self.config.on_request_exception.append(self.end)

    async def start(self, _session, request_context, _params):
        self.enabled = is_http_instrumentation_enabled()
        if self.fails:
            raise ZeroDivisionError
        span = request_context.span = TRACER.start_span("upstream")
        request_context.token = otel_context.attach(trace.set_span_in_context(span))

    async def end(self, _session, request_context, _params):
        self.contexts["end"] = otel_context.get_current()
        request_context.span.end()
        otel_context.detach(request_context.token)


@pytest.fixture
def instrumentor(recorder):
    """An instrumentor whose receivers are surrounded by the receivers of the module."""
    made = Instrumentor()
    add_receivers(made.config, recorder.activation)
    return made


def in_client(recorder):
    """Let the recorder return a client context, as for a request that has a span."""
    recorder.client_context = lambda caller, _: Context({**caller, "client": True})


async def post(server, *configs, path=PATH):
    """Make a request; return the contexts that the program has before and after."""
    async with aiohttp.ClientSession(trace_configs=list(configs)) as session:
        before = otel_context.get_current()
        try:
            async with session.post(server.url + path, data=b"{}") as response:
                await response.read()
        finally:
            post.contexts = before, otel_context.get_current()


def test_config_after_the_marker_is_taken():
    """The marker itself is removed."""
    own_config, other = aiohttp.TraceConfig(), aiohttp.TraceConfig()
    configs = [other, make_marker(aiohttp), own_config]
    assert own_config is take_config(configs)
    assert [other, own_config] == configs


def test_without_a_marker_no_config_is_taken():
    """The configs are the program's."""
    configs = [aiohttp.TraceConfig(), aiohttp.TraceConfig()]
    assert None is take_config(configs)
    assert 2 == len(configs)


def test_config_of_a_copied_list_is_removed():
    """A session that is made with the configs of another has the config of that one too."""
    configs = [make_marker(aiohttp), aiohttp.TraceConfig()]
    former = take_config(configs)
    configs = [*configs, make_marker(aiohttp), aiohttp.TraceConfig()]
    latest = take_config(configs)
    assert former is not latest
    assert [latest] == configs


def test_request_is_recorded(instrumentor, recorder, server):
    """Method, URL and body are recorded."""
    asyncio.run(post(server, instrumentor.config))
    http_call = recorder.http_call
    assert ("POST", server.url + PATH, [b"{}"]) == (
        http_call.method,
        http_call.url,
        http_call.request_body,
    )


def test_unrecorded_request_is_sent(instrumentor, recorder, server):
    """There is no HTTP call to fill."""
    recorder.recording = False
    asyncio.run(post(server, instrumentor.config, path=f"{PATH}&redirect=1"))
    assert 2 == len(server.seen)


def test_instrumentor_finds_no_suppression_by_outer_ones(instrumentor, server):
    """The suppression is lifted before the instrumentor's receiver runs, and stands afterwards."""

    async def post_suppressed():
        with suppress_http_instrumentation():
            await post(server, instrumentor.config)
            return is_http_instrumentation_enabled()

    assert not asyncio.run(post_suppressed())
    assert instrumentor.enabled


def test_client_runs_in_the_client_context(instrumentor, recorder, server):
    """Receivers of the program that run during the request find it current."""
    in_client(recorder)
    contexts = []
    config = aiohttp.TraceConfig()

    async def note(_session, _context, _params):
        contexts.append(otel_context.get_current())

    config.on_request_headers_sent.append(note)
    asyncio.run(post(server, instrumentor.config, config))
    assert [{"client": True}] == contexts


@pytest.mark.parametrize("with_span", [True, False])
def test_context_is_restored_after_the_request(instrumentor, recorder, server, with_span):
    """The program finds the context in which it made the request."""
    if with_span:
        in_client(recorder)
    asyncio.run(post(server, instrumentor.config))
    before, after = post.contexts
    assert before is after


def test_context_of_an_earlier_instrumentor_is_restored(instrumentor, server, recorder):
    """The receivers of the program run first, at the start as at the end."""
    in_client(recorder)
    programs = Instrumentor()
    asyncio.run(post(server, programs.config, instrumentor.config))
    before, after = post.contexts
    assert before == after


def test_context_of_an_instrumentor_that_comes_later_is_restored(instrumentor, server, recorder):
    """The program appends its config to a session that exists."""
    in_client(recorder)
    programs = Instrumentor()
    programs.config.freeze()

    async def post_twice():
        configs = TraceConfigs([instrumentor.config], instrumentor.config)
        async with aiohttp.ClientSession(trace_configs=configs) as session:
            session.trace_configs.append(programs.config)
            contexts = [otel_context.get_current()]
            for _ in range(2):
                async with session.post(server.url + PATH, data=b"{}") as response:
                    await response.read()
                contexts.append(otel_context.get_current())
            return contexts

    before, first, second = asyncio.run(post_twice())
    assert before == first == second


def test_own_config_is_the_last_only_in_iterations():
    """The program finds the config that it has appended where it expects it."""
    own_config, later = aiohttp.TraceConfig(), aiohttp.TraceConfig()
    configs = TraceConfigs([own_config], own_config)
    configs.append(later)
    assert [later, own_config] == list(configs)
    assert later is configs[-1]


def test_context_is_restored_after_a_failed_request(instrumentor, server):
    """The exception signal ends the request."""
    with pytest.raises(aiohttp.ServerDisconnectedError):
        asyncio.run(post(server, instrumentor.config, path=f"{PATH}&drop=1"))
    before, after = post.contexts
    assert before is after


def test_fault_of_the_instrumentor_is_reported(instrumentor, server, capsys):
    """The request is sent, and the program gets its response."""
    diagnostics.reraise = False
    instrumentor.fails = True
    asyncio.run(post(server, instrumentor.config))
    assert "recording an aiohttp request failed (ZeroDivisionError" in capsys.readouterr().err
    assert 1 == len(server.seen)


def test_span_ends_where_the_instrumentor_fails_to_end_it(recorder, server, capsys):
    """Otherwise it would never be exported."""
    diagnostics.reraise = False
    in_client(recorder)
    made = Instrumentor()
    spans = []

    async def fail(_session, request_context, _params):
        spans.append(request_context.span)
        raise ZeroDivisionError

    made.config.on_request_end[:] = [fail]
    add_receivers(made.config, recorder.activation)
    asyncio.run(post(server, made.config))
    assert spans[0].end_time is not None
    assert "recording an aiohttp request failed" in capsys.readouterr().err


def test_fault_of_a_receiver_is_reported(instrumentor, recorder, server, capsys):
    """The request is sent without being recorded."""
    diagnostics.reraise = False
    recorder.http_call = types.SimpleNamespace(attempts=1)
    asyncio.run(post(server, instrumentor.config))
    assert "following an aiohttp request failed (AttributeError" in capsys.readouterr().err
    assert 1 == len(server.seen)
