"""Responses on WebSockets are calls, one span each, with every client library."""

from pathlib import Path

import pytest

pytest.importorskip("websockets.asyncio.client")

from servers import llm_sockets

PROGRAM = Path(__file__).parent / "clients" / "use_sockets.py"
CLIENTS = ("sync", "asyncio", "legacy", "aiohttp", "websocket")
CLOSED_ERRORS = {
    "aiohttp": "ServerDisconnectedError",
    "websocket": "WebSocketConnectionClosedException",
}


@pytest.fixture(scope="module")
def url():
    with llm_sockets.serving() as server_url:
        yield server_url


@pytest.fixture(params=CLIENTS)
def client(request):
    """A client library."""
    pytest.importorskip(request.param if request.param in CLOSED_ERRORS else "websockets")
    if request.param == "legacy":
        pytest.importorskip("websockets.legacy.client")
    return request.param


@pytest.fixture
def talk(run, url):
    """Runs a case under lupis-run, and returns its spans of responses and the finished program."""

    def run_case(client, case, **env):
        done = run(PROGRAM.read_text(), url, client, case, env=env)
        assert (0, "") == (done.returncode, done.stderr)
        calls = [span for span in done.spans if "gen_ai.operation.name" in span["attributes"]]
        return sorted(calls, key=lambda span: span["start"]), done

    return run_case


def tokens_of(spans):
    names = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
    return [tuple(span["attributes"].get(name) for name in names) for span in spans]


def test_each_response_is_a_call(talk, client):
    """It has the attributes that it would have over HTTP."""
    spans, done = talk(client, "two")
    assert ["response.completed 141", "response.completed 142"] == done.stdout.splitlines()
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


def test_the_request_that_opens_a_socket_is_no_call(talk):
    """Not even on the host of an LLM API: it uses no tokens."""
    spans, done = talk("aiohttp", "two", LUPIS_PROVIDER_HOSTS="127.0.0.1=openai")
    assert (2, 3) == (len(spans), len(done.spans))


@pytest.mark.parametrize("case", ["lanes", "several"])
def test_responses_at_once_are_told_apart(talk, client, case):
    """Each span has the model and the tokens of its own response."""
    spans, _ = talk(client, case)
    by_model = {span["attributes"]["gen_ai.request.model"]: span["attributes"] for span in spans}
    assert 2 == len(by_model)
    for model, attributes in by_model.items():
        assert model == attributes["gen_ai.response.model"]
        number = int(attributes["gen_ai.response.id"][-1])
        assert 20 + number == attributes["gen_ai.usage.output_tokens"]


@pytest.mark.parametrize("case", ["close", "lose"])
def test_a_socket_that_closes_in_the_middle_is_an_error(talk, client, case):
    """The span says so, and the program gets the error that it would get anyway."""
    (span,), done = talk(client, case)
    assert CLOSED_ERRORS.get(client, "ConnectionClosedError") == span["attributes"]["error.type"]
    assert "error" == span["attributes"]["lupis.response.outcome"]
    assert done.stdout.strip() in (*CLOSED_ERRORS.values(), "ConnectionClosedError", "ClosedError")


def test_a_socket_that_the_program_closes_is_no_error(talk, client):
    """As with a stream over HTTP that the program reads no further."""
    (span,), _ = talk(client, "stop")
    assert "closed" == span["attributes"]["lupis.response.outcome"]
    assert "error.type" not in span["attributes"]


def test_a_cancelled_response_is_a_call(talk, client):
    """It is complete, and no error."""
    (span,), _ = talk(client, "cancel")
    assert "complete" == span["attributes"]["lupis.response.outcome"]
    assert "error.type" not in span["attributes"]


def test_an_error_event_ends_a_call(talk, client):
    """The span has the provider's word for it, and none of its text."""
    (span,), done = talk(client, "error")
    assert "error None" == done.stdout.strip()
    assert "model_not_found" == span["attributes"]["error.type"]
    assert llm_sockets.SECRET not in str(done.spans)


def test_messages_in_fragments_are_joined(talk, client):
    """A server may send a message in several frames."""
    (span,), _ = talk(client, "fragments")
    assert [(120, 21)] == tokens_of([span])


def test_the_parent_is_the_span_of_the_sending_code(talk, client):
    """Not the one that is current where the response arrives."""
    (span,), done = talk(client, "parent")
    (parent,) = [span for span in done.spans if span["name"] == "parent"]
    assert parent["span_id"] == span["parent_span_id"]


def test_realtime_responses_are_calls(talk, client):
    """Those too that the server starts itself; tokens of audio are counted and priced apart."""
    spans, done = talk(client, "realtime")
    assert ["response.done 150"] * 2 == done.stdout.splitlines()
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


def test_turns_of_gemini_live_are_calls(talk, client):
    """The model is in the first message; each turn reports its own usage."""
    spans, done = talk(client, "live")
    assert ["turn 42"] * 2 == done.stdout.splitlines()
    assert [(30, 12)] * 2 == tokens_of(spans)
    assert ["generate_content gemini-2.5-flash"] * 2 == [span["name"] for span in spans]
    assert "gcp.gemini" == spans[0]["attributes"]["gen_ai.provider.name"]
    assert 25 == spans[0]["attributes"]["lupis.usage.audio.input_tokens"]


@pytest.mark.parametrize("case", ["two", "realtime", "live"])
def test_content_of_messages_stays_in_the_process(talk, case):
    """Neither prompts nor completions are exported."""
    _, done = talk("asyncio", case)
    assert llm_sockets.SECRET not in str(done.spans)
    assert "prompt" not in str([span["attributes"] for span in done.spans])


def test_a_socket_of_another_use_makes_no_call(talk, client):
    """Even if its messages look the same."""
    spans, _ = talk(client, "other")
    assert [] == spans


def test_a_budget_refuses_requests(talk, client):
    """The message is not sent, and the span says so."""
    env = {"LUPIS_MAX_COST": "0", "LUPIS_ON_LIMIT": "block"}
    (span,), done = talk(client, "two", **env)
    assert "LupisBudgetError" == done.stdout.strip()
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
    "_llm.body.socket_requests:read_request",
    "_llm.body.socket_requests:write_request",
)


@pytest.mark.parametrize("client", ["asyncio", "aiohttp"])
@pytest.mark.parametrize("target", FAULTS)
def test_the_program_runs_on_after_a_fault(run, url, client, target):
    """It reads the same messages, and stderr has one line."""
    module, _, path = target.partition(":")
    *parents, name = path.split(".")
    text = f"""
import importlib
owner = importlib.import_module("lupis_instrument.{module}")
for parent in {parents}:
    owner = getattr(owner, parent)
def fail(*_, **__):
    raise ZeroDivisionError("injected")
setattr(owner, "{name}", fail)
"""
    done = run(text + PROGRAM.read_text(), url, client, "realtime")
    assert (0, ["response.done 150"] * 2) == (done.returncode, done.stdout.splitlines())
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr
