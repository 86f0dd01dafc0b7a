"""The receiver of `lupis ui`."""

import gzip
import json
import time

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, TracerProvider
from opentelemetry.trace import SpanKind, set_span_in_context
from servers.viewer import serve

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._viewer import request_body
from lupis_instrument._viewer.receiver import make_receiver

PROTOBUF, JSON = "application/x-protobuf", "application/json"
KEY = "sk-1234567890abcdef1234567890abcdef12345678"
CALL = {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o"}
USAGE = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}


@pytest.fixture
def receiver(tmp_path, monkeypatch):
    """A viewer with a receiver for an empty store, with the page open."""
    monkeypatch.setenv("LUPIS_DATA_DIR", str(tmp_path))
    with serve(tmp_path / "store.db", receiver=make_receiver()) as browser:
        browser.open()
        yield browser


def make_span(name="chat gpt-4o", *, scope="other", resource=None, parent=None, **attributes):
    """Returns a finished span of another instrumentor."""
    provider = TracerProvider(resource=Resource(resource or {}), shutdown_on_exit=False)
    context = set_span_in_context(parent) if parent is not None else None
    span = provider.get_tracer(scope).start_span(name, context, SpanKind.CLIENT, attributes)
    span.end()
    return span


def post(browser, path, data, content_type=PROTOBUF, **headers):
    return browser.request("POST", path, data, Content_Type=content_type, **headers)


def send(browser, *spans, path="/v1/traces"):
    """Sends spans as the exporter of the SDK does."""
    answer = post(browser, path, encode_spans(spans).SerializeToString())
    assert 200 == answer.status, answer.body
    return answer


def calls(browser):
    return browser.ask("/api/calls?since=all")["calls"]


@pytest.mark.parametrize("path", ["/v1/traces", "/api/traces"])
def test_call_of_another_instrumentor_is_priced(receiver, path):
    """It has usage and no price: 1,000 tokens of 2.50 USD, and 100 of 10 USD a million."""
    send(receiver, make_span(**CALL, **USAGE, resource={"service.name": "shop"}), path=path)
    (call,) = calls(receiver)
    assert ("openai", "gpt-4o", "chat", 1000, "priced", "shop") == tuple(
        call[name]
        for name in ("provider", "model", "operation", "input_tokens", "cost_status", "service")
    )
    assert 0.0035 == pytest.approx(call["cost"])


def test_call_of_openinference(receiver):
    """Its names differ in everything; a chain is no call."""
    span = make_span(
        "ChatOpenAI",
        **{
            "openinference.span.kind": "LLM", "llm.provider": "azure", "llm.model_name": "gpt-4o",
            "llm.token_count.prompt": 20, "llm.token_count.completion": 5, "session.id": "s",
            "llm.token_count.prompt_details.cache_read": 10, "user.id": "u",
        },
    )  # fmt: skip
    chain = make_span("chain", **{"openinference.span.kind": "CHAIN", "llm.model_name": "gpt-4o"})
    send(receiver, span, chain)
    (call,) = calls(receiver)
    assert ("azure.ai.openai", "gpt-4o", 20, 10, 5, "s", "u") == tuple(
        call[name]
        for name in (
            *("provider", "model", "input_tokens", "cached_tokens", "output_tokens", "chat"),
            "user",
        )
    )


def test_call_inside_a_call_counts_once(receiver):
    """A framework and the client it uses both report it."""
    outer = make_span("ChatOpenAI.chat", **CALL, **USAGE)
    inner = make_span("openai.chat", parent=outer, **CALL, **USAGE)
    send(receiver, inner, outer)
    assert 1 == len(calls(receiver))


def test_cached_tokens_are_part_of_the_input(receiver):
    """Some instrumentors leave them out, as Anthropic does."""
    send(
        receiver,
        make_span(
            **{
                "gen_ai.system": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5",
                "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 1,
                "gen_ai.usage.cache_read_input_tokens": 100,
            },
        ),
    )  # fmt: skip
    (call,) = calls(receiver)
    assert (105, 100) == (call["input_tokens"], call["cached_tokens"])


def test_content_is_not_stored(receiver, tmp_path):
    """Neither prompts and answers nor secrets, in any attribute, event, name or resource."""
    prompt = "a-secret-prompt-of-the-user"
    span = TracerProvider(resource=Resource({"note": KEY}), shutdown_on_exit=False)
    span = span.get_tracer("other").start_span(f"chat {KEY}")
    for name in ("gen_ai.prompt.0.content", "llm.input_messages.0.message.content", "input.value",
                 "gen_ai.input.messages", "question", "traceloop.entity.input"):  # fmt: skip
        span.set_attribute(name, prompt)
    span.set_attribute("note", KEY)
    span.add_event("gen_ai.user.message", {"content": prompt})
    span.add_event("gen_ai.choice", {"x": prompt})
    span.add_event("note", {"x": KEY})
    span.record_exception(ValueError(f"wrong value {prompt!r}"))
    span.end()
    send(receiver, span)
    data = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    assert b"note" in data
    assert prompt.encode() not in data
    assert KEY.encode() not in data


def test_span_of_lupis_run_stays_as_it_is(receiver):
    """Its own process has prepared it; the run and the project are in its resource."""
    run = "c" * 32
    resource = {"lupis.run.id": run, "lupis.project.id": "p", "process.pid": 7}
    facts = {"gen_ai.provider.name": "openai", "gen_ai.operation.name": "chat",
             "gen_ai.request.model": "gpt-4o", "lupis.cost.status": "unpriced"}  # fmt: skip
    send(receiver, make_span(scope="lupis_instrument", resource=resource, **facts))
    (call,) = calls(receiver)
    assert (run, "p", None, "unpriced") == tuple(
        call[name] for name in ("run", "project", "cost", "cost_status")
    )
    assert [run] == [row["id"] for row in receiver.ask("/api/runs")["runs"]]


def test_span_that_is_sent_twice_is_stored_once(receiver):
    """A sender repeats a request whose answer it has not read."""
    span = make_span(**CALL)
    send(receiver, span, span)
    send(receiver, span)
    assert 1 == len(calls(receiver))


def test_big_request_is_stored_in_parts(receiver, tmp_path):
    """A secret among 1,100 spans is redacted, wherever it is."""
    spans = [make_span(**CALL, **USAGE, note=f"number {number}") for number in range(1100)]
    spans[700] = make_span(f"chat {KEY}", **CALL, **USAGE, note=KEY)
    send(receiver, *spans)
    assert 1100 == receiver.ask("/api/totals?since=all")["total"]["calls"]
    assert KEY.encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))


def test_json_and_gzip(receiver):
    """Ids are hexadecimal in OTLP/JSON."""
    now = time.time_ns()
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "x",
        "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 5_000_000), "kind": 3,
        "attributes": [
            {"key": "gen_ai.system", "value": {"stringValue": "anthropic"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "7"}},
        ],
    }  # fmt: skip
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}], "unknown": 1}
    data = gzip.compress(json.dumps(request).encode())
    answer = post(receiver, "/v1/traces", data, JSON, Content_Encoding="gzip")
    assert (200, {}) == (answer.status, answer.json)
    (call,) = calls(receiver)
    assert ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", 7, 5.0) == tuple(
        call[name] for name in ("trace_id", "span_id", "input_tokens", "duration_ms")
    )


def test_chunked_requests_arrive(receiver):
    """JavaScript's exporter sends them."""
    data = encode_spans([make_span(**CALL)]).SerializeToString()
    chunks = iter([data[:100], data[100:]])
    assert 200 == post(receiver, "/v1/traces", chunks).status
    assert 1 == len(calls(receiver))


def test_spans_without_ids_are_rejected(receiver):
    """The others are stored, and the answer says how many are not."""
    request = encode_spans([make_span(**CALL), make_span(**CALL)])
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
    answer = post(receiver, "/v1/traces", request.SerializeToString())
    success = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert (1, True) == (success.rejected_spans, bool(success.error_message))
    assert 1 == len(calls(receiver))


def test_empty_request_is_accepted(receiver):
    """Some clients ask by it whether the endpoint works."""
    answer = post(receiver, "/v1/traces", b"")
    assert (200, b"") == (answer.status, answer.body)


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        (b"\xff\xff", {}, 400),
        (b"{", {"Content_Type": JSON}, 400),
        (b"[]", {"Content_Type": JSON}, 400),
        (b'{"resourceSpans": 1}', {"Content_Type": JSON}, 400),
        (
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}',
            {"Content_Type": JSON},
            400,
        ),
        (b"[" * 100_000, {"Content_Type": JSON}, 400),
        (b"x", {"Content_Type": "text/plain"}, 415),
        (b"x", {"Content_Encoding": "br"}, 415),
        (b"x", {"Content_Encoding": "gzip"}, 400),
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], {"Content_Encoding": "gzip"}, 400),
    ],
)
def test_wrong_requests_are_refused(receiver, data, headers, status):
    """The answer says the reason."""
    answer = receiver.request("POST", "/v1/traces", data, **{"Content_Type": PROTOBUF, **headers})
    assert status == answer.status
    assert answer.json["error"]


def test_zip_bomb_is_refused(receiver):
    """17 MB of zeros take 17 KB; a client may send such a request any number of times."""
    data = gzip.compress(b"\0" * (request_body.MAX_BODY_BYTES + 1), 9)
    assert len(data) < 100_000
    assert 413 == post(receiver, "/v1/traces", data, Content_Encoding="gzip").status


@pytest.mark.parametrize("length", ["16777217", "9" * 30])
def test_big_bodies_are_refused_unread(receiver, length):
    """The answer comes before the body."""
    head = f"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    assert b" 413 " in receiver.send_raw(head.encode()).split(b"\r\n")[0]


def test_big_chunked_bodies_are_refused(receiver):
    """The sizes of the chunks add up."""
    head = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b" 413 " in receiver.send_raw(head + b"1000001\r\n").split(b"\r\n")[0]


def test_events_of_programs(receiver):
    """The format of the desktop app; members that are no event are left out."""
    event = {
        "name": "clicked", "timestamp": int(time.time() * 1000),
        "properties": {"button": "a", "key": KEY}, "metadata": {"chat_id": "c", "user_id": "u"},
    }  # fmt: skip
    answer = post(receiver, "/api/events", json.dumps([event, 1]).encode(), JSON)
    assert {"accepted": 1, "rejected": 1} == answer.json
    (stored,) = receiver.ask("/api/events")["events"]
    assert ("clicked", "c", "u", "a") == (
        *(stored["name"], stored["chat"], stored["user"]),
        stored["properties"]["button"],
    )
    assert KEY not in json.dumps(stored)


def send_log(browser, name, body="", **attributes):
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    record = group.scope_logs.add().log_records.add(time_unix_nano=time.time_ns())
    record.body.string_value = body
    for key, value in {"event.name": name, **attributes}.items():
        pair = record.attributes.add(key=key).value
        setattr(pair, "string_value" if isinstance(value, str) else "int_value", value)
    data = request.SerializeToString()
    return [post(browser, "/v1/logs", data).status for _ in range(2)]


def test_log_records_with_a_name_are_events(receiver):
    """The body of a record is content."""
    send_log(receiver, "paid", "a-secret-prompt", **{"amount": 3, "lupis.metadata.user_id": "u"})
    event = receiver.ask("/api/events")["events"][0]
    assert ("paid", "u", {"amount": 3}) == (event["name"], event["user"], event["properties"])


def test_content_events_are_left_out(receiver):
    """So are records without a name."""
    for name in ("gen_ai.user.message", "claude_code.user.prompt", ""):
        assert [200, 200] == send_log(receiver, name, "a-secret-prompt", prompt="a-secret-prompt")
    assert [] == receiver.ask("/api/events")["events"]


AGENTS = {
    "claude": (
        ("api_request", "claude_code.api_request"),
        {"model": "claude-sonnet-4-5", "input_tokens": "10", "output_tokens": 5, "cost_usd": "0.25",
         "cache_read_tokens": 100, "cache_creation_tokens": 20, "duration_ms": "1500", "session.id": "s"},
        ("anthropic", 130, 100, 5, 0.25, 1500.0, "s"),
    ),
    "codex": (
        ("codex.sse_event", ""),
        {"event.kind": "response.completed", "model": "gpt-4o", "input_token_count": "1000",
         "output_token_count": "100", "cached_token_count": "0", "conversation.id": "s", "duration_ms": 2},
        ("openai", 1000, 0, 100, 0.0035, 2.0, "s"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("agent", AGENTS)
def test_usage_logs_of_coding_agents_are_calls(receiver, agent):
    """Numbers may be texts; a repeated request is stored once."""
    names, attributes, expected = AGENTS[agent]
    send_log(receiver, *names, **attributes)
    (call,) = calls(receiver)
    assert expected == (
        *(call["provider"], call["input_tokens"], call["cached_tokens"], call["output_tokens"]),
        *(pytest.approx(call["cost"]), call["duration_ms"], call["chat"]),
    )


def test_failed_call_of_a_coding_agent(receiver):
    """Its status is the error."""
    send_log(
        receiver, "api_error", "claude_code.api_error", model="claude-sonnet-4-5", status_code="529"
    )
    (call,) = calls(receiver)
    assert ("529", None) == (call["error"], call["cost"])


def test_answer_asks_for_a_retry_if_the_store_is_unavailable(receiver, tmp_path):
    """Nothing that was not stored is acknowledged."""
    (tmp_path / "store.db").mkdir()
    answer = post(receiver, "/v1/traces", encode_spans([make_span(**CALL)]).SerializeToString())
    assert (503, "1") == (answer.status, answer.headers["Retry-After"])


def test_receiver_that_is_busy_asks_for_a_retry(receiver, monkeypatch):
    """Requests in memory are bounded."""
    monkeypatch.setattr("lupis_instrument._viewer.receiver._WAIT_SECONDS", 0.0)
    slots = receiver.server.viewer.receiver._slots
    while slots.acquire(blocking=False):
        pass
    answer = post(receiver, "/v1/traces", b"")
    assert (429, "1") == (answer.status, answer.headers["Retry-After"])


def test_fault_of_the_filter_stores_no_text(receiver, tmp_path, monkeypatch):
    """Redaction fails closed."""
    monkeypatch.setattr(diagnostics, "reraise", False)
    monkeypatch.setattr("lupis_instrument._viewer.otlp_spans.Draft", None)
    monkeypatch.setattr("lupis_instrument._viewer.received_spans.find_name", None)
    with_event = make_span(note=KEY)
    with_event._events.append(Event("note"))
    answer = send(receiver, make_span(note=KEY), with_event)
    success = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert 2 == success.rejected_spans
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.glob("store.db*"))


def test_port_of_otlp_serves_no_page(tmp_path, monkeypatch):
    """It takes spans and says its name."""
    monkeypatch.setenv("LUPIS_DATA_DIR", str(tmp_path))
    with serve(tmp_path / "store.db", receiver=make_receiver(), has_pages=False) as client:
        assert 404 == client.get("/api/calls").status
        assert 200 == client.get("/api/health").status
        assert (
            200
            == post(client, "/v1/traces", ExportTraceServiceRequest().SerializeToString()).status
        )


def test_viewer_that_only_reads_is_no_receiver(stranger):
    """`auto` looks for a name that begins with lupis."""
    from lupis_instrument._export.otlp.probe import EndpointProbe

    assert 405 == post(stranger, "/v1/traces", b"").status
    assert not EndpointProbe(f"http://127.0.0.1:{stranger.server.port}/api/traces").is_receiver()


def test_auto_finds_the_receiver(receiver):
    """By its answer to GET /api/health."""
    from lupis_instrument._export.otlp.probe import EndpointProbe

    assert EndpointProbe(f"http://127.0.0.1:{receiver.server.port}/api/traces").is_receiver()
