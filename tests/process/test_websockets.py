"""Responses on WebSockets are calls, one span each, with every client library."""

import functools
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("websockets.asyncio.client")

from servers import llm_sockets, otlp
from servers.program import Runner
from servers.slow import slow_except

PROGRAM = Path(__file__).parent / "clients" / "use_sockets.py"
CLIENTS = ("sync", "asyncio", "legacy", "aiohttp", "websocket")
CASES = "two,lanes,several,close,lose,stop,cancel,error,fragments,parent,realtime,live,other"
CLOSED_ERRORS = {
    "aiohttp": "ServerDisconnectedError",
    "websocket": "WebSocketConnectionClosedException",
}


@pytest.fixture(scope="module")
def url():
    with llm_sockets.serving() as server_url:
        yield server_url


def skip_unless_installed(client):
    """Skips a test whose client library is not installed."""
    pytest.importorskip(client if client in CLOSED_ERRORS else "websockets")
    if client == "legacy":
        pytest.importorskip("websockets.legacy.client")


@pytest.fixture(params=CLIENTS)
def client(request):
    """A client library."""
    skip_unless_installed(request.param)
    return request.param


class Talk(NamedTuple):
    """The results of a program.

    Attributes:
        lines: the lines that each case printed.
        spans: all spans.
    """

    lines: dict
    spans: list

    def list_calls(self, case):
        """Returns the spans of a case's responses, by their start."""
        calls = [
            span
            for span in self.spans
            if "gen_ai.operation.name" in span["attributes"]
            and parse_qs(urlsplit(span["attributes"]["url.full"]).query)["case"] == [case]
        ]
        return sorted(calls, key=lambda span: span["start"])


def split_by_case(text):
    """Returns the lines after each case's mark."""
    parts = (part.splitlines() for part in text.split("== ")[1:])
    return {case: lines for case, *lines in parts}


@pytest.fixture(scope="module")
def run_cases(url, tmp_path_factory):
    """Returns the results of a client's program; it runs once, with all cases, for all tests."""

    @functools.lru_cache(maxsize=None)
    def run_once(client, cases=CASES, **env):
        with otlp.serving() as sink:
            run = Runner(sink, tmp_path_factory.mktemp(client))
            done = run(PROGRAM, url, client, cases, env=env)
            assert (0, "") == (done.returncode, done.stderr)
            return Talk(split_by_case(done.stdout), done.spans)

    return run_once


@pytest.fixture
def talk(run_cases, client):
    """The results of a client's program."""
    return run_cases(client)


def tokens_of(spans):
    names = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
    return [tuple(span["attributes"].get(name) for name in names) for span in spans]


def test_each_response_is_a_call(talk):
    """It has the attributes that it would have over HTTP."""
    spans = talk.list_calls("two")
    assert ["response.completed 141", "response.completed 142"] == talk.lines["two"]
    assert [(120, 21), (120, 22)] == tokens_of(spans)
    attributes = spans[0]["attributes"]
    assert "chat gpt-4o-mini" == spans[0]["name"]
    assert "openai" == attributes["gen_ai.provider.name"]
    assert "websocket" == attributes["network.protocol.name"]
    assert attributes["url.full"].startswith("ws://127.0.0.1:")
    assert "127.0.0.1" == attributes["server.address"]
    assert 100 == attributes["gen_ai.usage.cache_read.input_tokens"]
    assert 5 == attributes["gen_ai.usage.reasoning.output_tokens"]
    assert "resp_1" == attributes["gen_ai.response.id"]
    assert 0 < attributes["gen_ai.response.time_to_first_chunk"] < 30
    assert attributes["lupis.cost.total"] > 0
    assert "complete" == attributes["lupis.response.outcome"]
    assert "http.request.method" not in attributes
    assert "http.response.status_code" not in attributes
    assert "CLIENT" == spans[0]["kind"]


def test_the_request_that_opens_a_socket_is_no_call(run_cases):
    """Not even on the host of an LLM API: it uses no tokens."""
    skip_unless_installed("aiohttp")
    talk = run_cases("aiohttp", "two", LUPIS_PROVIDER_HOSTS="127.0.0.1=openai")
    assert (2, 3) == (len(talk.list_calls("two")), len(talk.spans))


@pytest.mark.parametrize("case", ["lanes", "several"])
def test_responses_at_once_are_told_apart(talk, case):
    """Each span has the model and the tokens of its own response."""
    attributes = [span["attributes"] for span in talk.list_calls(case)]
    by_model = {values["gen_ai.request.model"]: values for values in attributes}
    assert 2 == len(by_model)
    for model, attributes in by_model.items():
        assert model == attributes["gen_ai.response.model"]
        number = int(attributes["gen_ai.response.id"][-1])
        assert 20 + number == attributes["gen_ai.usage.output_tokens"]


@pytest.mark.parametrize("case", ["close", "lose"])
def test_a_socket_that_closes_in_the_middle_is_an_error(talk, client, case):
    """The span says so, and the program gets the error that it would get anyway."""
    (span,) = talk.list_calls(case)
    assert CLOSED_ERRORS.get(client, "ConnectionClosedError") == span["attributes"]["error.type"]
    assert "error" == span["attributes"]["lupis.response.outcome"]
    (error,) = talk.lines[case]
    assert error in (*CLOSED_ERRORS.values(), "ConnectionClosedError", "ClosedError")


def test_a_socket_that_the_program_closes_is_no_error(talk):
    """As with a stream over HTTP that the program reads no further."""
    (span,) = talk.list_calls("stop")
    assert "closed" == span["attributes"]["lupis.response.outcome"]
    assert "error.type" not in span["attributes"]


def test_a_cancelled_response_is_a_call(talk):
    """It is complete, and no error."""
    (span,) = talk.list_calls("cancel")
    assert "complete" == span["attributes"]["lupis.response.outcome"]
    assert "error.type" not in span["attributes"]


def test_an_error_event_ends_a_call(talk):
    """The span has the provider's word for it, and none of its text."""
    (span,) = talk.list_calls("error")
    assert ["error None"] == talk.lines["error"]
    assert "model_not_found" == span["attributes"]["error.type"]
    assert llm_sockets.SECRET not in str(span)


def test_messages_in_fragments_are_joined(talk):
    """A server may send a message in several frames."""
    (span,) = talk.list_calls("fragments")
    assert [(120, 21)] == tokens_of([span])


def test_the_parent_is_the_span_of_the_sending_code(talk):
    """Not the one that is current where the response arrives."""
    (span,) = talk.list_calls("parent")
    (parent,) = [span for span in talk.spans if span["name"] == "parent"]
    assert parent["span_id"] == span["parent_span_id"]


def test_realtime_responses_are_calls(talk):
    """Those too that the server starts itself; tokens of audio are counted and priced apart."""
    spans = talk.list_calls("realtime")
    assert ["response.done 150"] * 2 == talk.lines["realtime"]
    assert [(100, 50)] * 2 == tokens_of(spans)
    attributes = spans[0]["attributes"]
    assert "gpt-realtime" == attributes["gen_ai.request.model"]
    assert 9 == attributes["gen_ai.request.max_tokens"]
    assert (60, 40) == (
        attributes["lupis.usage.audio.input_tokens"],
        attributes["lupis.usage.audio.output_tokens"],
    )
    assert {"conv_1"} == {span["attributes"]["lupis.chat.id"] for span in spans}
    assert {"priced"} == {span["attributes"]["lupis.cost.status"] for span in spans}


def test_turns_of_gemini_live_are_calls(talk):
    """The model is in the first message; each turn reports its own usage."""
    spans = talk.list_calls("live")
    assert ["turn 42"] * 2 == talk.lines["live"]
    assert [(30, 12)] * 2 == tokens_of(spans)
    assert ["generate_content gemini-2.5-flash"] * 2 == [span["name"] for span in spans]
    assert "gcp.gemini" == spans[0]["attributes"]["gen_ai.provider.name"]
    assert 25 == spans[0]["attributes"]["lupis.usage.audio.input_tokens"]


def test_content_of_messages_stays_in_the_process(talk):
    """Neither prompts nor completions are exported."""
    assert llm_sockets.SECRET not in str(talk.spans)
    assert "prompt" not in str([span["attributes"] for span in talk.spans])


def test_a_socket_of_another_use_makes_no_call(talk):
    """Even if its messages look the same."""
    assert talk.lines["other"]
    assert [] == talk.list_calls("other")


@pytest.mark.parametrize("client", slow_except({"asyncio", "websocket"}, CLIENTS))
def test_a_budget_refuses_requests(run_cases, client):
    """The message is not sent, and the span says so."""
    skip_unless_installed(client)
    talk = run_cases(client, "two", LUPIS_MAX_COST="0", LUPIS_ON_LIMIT="block")
    (span,) = talk.list_calls("two")
    assert ["LupisBudgetError"] == talk.lines["two"]
    assert "LupisBudgetError" == span["attributes"]["error.type"]
    assert "lupis.cost.status" not in span["attributes"]


FAULTS = (
    "_instrumentation.clients.socket_watcher:SocketWatcher.find_calls",
    "_instrumentation.clients.socket_calls:SocketCalls.send",
    "_instrumentation.clients.socket_calls:SocketCalls.receive",
    "_instrumentation.clients.socket_calls:SocketCalls.close",
    "_instrumentation.clients.socket_calls:SocketCall.begin_response",
    "_instrumentation.clients.socket_spans:SocketSpans.start_call",
    "_instrumentation.activation:Activation.find_call",
    "_tracing.processor:_get_socket_url",
    "_tracing.stages.enrich:read_request",
    "_instrumentation.clients.socket_calls:write_request",
)


@pytest.mark.parametrize("client", ["asyncio", "aiohttp"])
def test_the_program_runs_on_after_each_fault(run, url, client):
    """It reads the same messages, and stderr has one or two lines for each fault."""
    skip_unless_installed(client)
    targets = [f"lupis_instrument.{target}" for target in FAULTS]
    done = run(PROGRAM, url, client, "realtime", ",".join(targets))
    assert 0 == done.returncode
    assert ["== realtime", *["response.done 150"] * 2] * len(FAULTS) == done.stdout.splitlines()
    reports = split_by_case(done.stderr)
    assert targets == list(reports)
    assert [] == [target for target, lines in reports.items() if len(lines) not in (1, 2)]
    assert "Traceback" not in done.stderr
