"""Spans prepared by their encoded attributes are the same as spans prepared one by one."""

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from opentelemetry.trace import set_span_in_context as in_context

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._viewer import received_spans
from lupis_instrument._viewer.otlp_wire import split_request, split_span
from lupis_instrument._viewer.received_spans import list_spans
from lupis_instrument._viewer.receiver import make_receiver

KEY = "sk-1234567890abcdef1234567890abcdef12345678"
CALL = {
    "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o", "gen_ai.conversation.id": "trip",
    "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100,
    "gen_ai.response.finish_reasons": ("stop", "length"), "temperature": 0.5, "streamed": True,
}  # fmt: skip
PARENT = in_context(NonRecordingSpan(SpanContext(7, 9, False, TraceFlags(1))))
SPANS = {
    "call": ("chat gpt-4o", CALL, {}),
    "inside another span": ("chat gpt-4o", CALL, {"context": PARENT}),
    "no call": ("GET /", {"url.path": "/", "http.response.status_code": 200}, {}),
    "anthropic": ("x", {**CALL, "gen_ai.usage.cache_read_input_tokens": 5000}, {}),
    "secrets": (f"chat {KEY}", {**CALL, "note": KEY, "password": "hunter2", KEY: 1}, {}),
    "content": ("x", {**CALL, "gen_ai.prompt.0.content": "p", "question": "q", "long": "l" * 9000}, {}),
    "long attribute": ("x", {"note": "word " * 100}, {}),
    "other script": ("chat ☃", {**CALL, "user.id": "ü☃"}, {}),
    "server": ("x", {}, {"kind": SpanKind.SERVER}),
    "times": ("x", {}, {"start_time": 1_764_600_000_000_000_000}),
    "numbers": ("x", {"a": -1, "b": 0, "c": 2**62, "d": 0.0, "e": ""}, {}),
    "exception": ("x", {**CALL, "exception.message": f"no {KEY}", "error.type": "E"}, {}),
    "failed": ("x", CALL, {"status": Status(StatusCode.ERROR)}),
    "failed with a reason": ("x", CALL, {"status": Status(StatusCode.ERROR, f"no {KEY}")}),
}  # fmt: skip


def make_request(scope, name, attributes, options):
    """The request with one span."""
    status = options.pop("status", None) if (options := {**options}) else None
    provider = TracerProvider(resource=Resource({"service.name": "s"}), shutdown_on_exit=False)
    span = provider.get_tracer(scope, "1").start_span(name, attributes=attributes, **options)
    if status is not None:
        span.set_status(status)
    span.end()
    return encode_spans([span]).SerializeToString()


@pytest.fixture
def receiver(tmp_path, monkeypatch):
    """A receiver, with its filter and prices."""
    monkeypatch.setenv("LUPIS_DATA_DIR", str(tmp_path))
    return make_receiver()


def prepare(receiver, request):
    """The only item of a request, its body decoded, its attributes in order."""
    redact = receiver._redact.spans
    (item,) = receiver._spans.prepare_spans([*list_spans(request, redact)])
    body = Span.FromString(item.body)
    attributes = sorted(body.attributes, key=lambda pair: pair.key)
    del body.attributes[:]
    return body, attributes, item.facts, item.origin


@pytest.mark.parametrize("scope", ["openai.instrumentor", "lupis_instrument"])
@pytest.mark.parametrize("span", SPANS)
def test_span_is_the_same(receiver, monkeypatch, scope, span):
    """The second time, its attributes are known."""
    request = make_request(scope, *SPANS[span])
    plain = [prepare(receiver, request) for _ in range(2)]
    monkeypatch.setattr(received_spans, "split_span", lambda _: None)
    whole = prepare(receiver, request)
    assert [whole, whole] == plain


@pytest.mark.parametrize("span", sorted({*SPANS} - {"failed with a reason"}))
def test_span_without_events_is_plain(span):
    """Only spans with other fields are decoded as a whole."""
    (group,) = split_request(make_request("other", *SPANS[span]))
    assert None is not split_span(group.spans[0])


def test_secrets_and_content_are_not_remembered(receiver):
    """The table keeps attributes that no filter changes."""
    for name in ("secrets", "content", "exception", "long attribute"):
        prepare(receiver, make_request("other", *SPANS[name]))
    known = b"".join(receiver._spans._known[False]._known)
    assert b"gpt-4o" in known
    for text in (KEY, "hunter2", "question", "prompt", "exception", "word"):
        assert text.encode() not in known


@pytest.mark.parametrize("filter_name", ["secrets", "content"])
def test_filter_that_fails_keeps_no_attribute(receiver, monkeypatch, filter_name):
    """Whichever filter fails."""
    monkeypatch.setattr(diagnostics, "reraise", False)
    owner, attribute = (
        (receiver._redact.spans._redactor, "_redact_attributes")
        if filter_name == "secrets"
        else (receiver._spans._known[False], "_is_content")
    )
    monkeypatch.setattr(owner, attribute, None)
    body, attributes, _, _ = prepare(receiver, make_request("other", "x", {"note": KEY}, {}))
    assert ("x", []) == (body.name, attributes)


def test_table_is_bounded(receiver, monkeypatch):
    """Ids differ from span to span."""
    monkeypatch.setattr("lupis_instrument._viewer.known_attributes._MAX_KNOWN", 10)
    for number in range(25):
        prepare(receiver, make_request("other", "x", {"id": number}, {}))
    assert 10 >= len(receiver._spans._known[False]._known)
