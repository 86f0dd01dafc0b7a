"""Spans as the SDK makes them, followed by ours, with a list in place of the worker."""

import json

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind

from lupis_instrument import LupisConfig
from lupis_instrument._redaction import Redactor
from lupis_instrument._tracing import pipeline as _pipeline
from lupis_instrument._tracing.http_call import _last_unanswered_call
from lupis_instrument._tracing.processor import CallSpanProcessor
from lupis_instrument._tracing.sampling import RecordOnlySampler

OPENAI = "https://api.openai.com/v1/chat/completions"
JSON = [("Content-Type", "application/json")]
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "hi"}}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
}


@pytest.fixture(autouse=True)
def _first():
    """No call of another test is one that a call repeats."""
    token = _last_unanswered_call.set(None)
    yield
    _last_unanswered_call.reset(token)


class Tracked:
    """A provider whose spans are tracked; `put` has the records whose spans have ended."""

    def __init__(self, sampler=None):
        self.put = []
        self.tracking = CallSpanProcessor(self.put.append)
        self.provider = TracerProvider(
            sampler=sampler, resource=Resource({}), shutdown_on_exit=False
        )
        self.provider.sampler = RecordOnlySampler(self.provider.sampler)
        self.provider.add_span_processor(self.tracking)
        self.tracer = self.provider.get_tracer("tests")

    def start(self, url=OPENAI, *, parent=None, kind=SpanKind.CLIENT, **attributes):
        """Starts the span of a call, as an instrumentor does."""
        context = trace.set_span_in_context(parent) if parent is not None else None
        given = {"http.request.method": "POST", "url.full": url, **attributes}
        return self.tracer.start_span("POST", context=context, kind=kind, attributes=given)

    def record(self, span):
        """What is known of a span that is under way."""
        return self.tracking.find_state(span)

    def http_call(self, span):
        """The call that a span stands for."""
        return self.record(span).http_call

    def answer(
        self,
        span,
        *,
        url=OPENAI,
        method="POST",
        status=200,
        request=None,
        request_headers=(),
        headers=JSON,
        body=ANSWER,
        outcome="complete",
    ):
        """Has the wire show a whole exchange; returns its body."""
        http_call = self.http_call(span)
        http_call.begin_attempt(method, url)
        http_call.request_headers = list(request_headers)
        http_call.add_request_data(json.dumps(request or {"model": "gpt-4o"}).encode())
        watched = http_call.begin_response(status, list(headers), "1.1")
        if watched is not None:
            watched.feed(body if isinstance(body, bytes) else json.dumps(body).encode())
            watched.end(outcome)
        return watched

    def run(self, pipeline):
        """Prepares what was put, as the worker's thread does."""
        prepared = []
        for record in self.put:
            if record.readable is None:
                record.end_sdk_span()
            span = pipeline.run(record) if record.readable is not None else None
            if span is not None:
                prepared.append(span)
        return prepared


@pytest.fixture
def tracked():
    """A provider whose spans are tracked."""
    return Tracked()


@pytest.fixture
def unsampled():
    """The same, with a sampler that wants none of its spans."""
    return Tracked(ALWAYS_OFF)


@pytest.fixture
def pipeline(tracked):
    """Makes the pipeline of these settings."""

    def make(redactor=None, conversations=None, **settings):
        config = LupisConfig(project_id="p", **settings)
        return _pipeline.build_pipeline(
            config,
            redactor or Redactor(),
            Resource({"service.name": "s"}),
            conversations=conversations,
            tokens_reported=tracked.tracking.span_tree.tokens_reported,
        )

    return make


@pytest.fixture
def export(tracked, pipeline):
    """Runs what has ended through the pipeline of these settings."""

    def run(**settings):
        return tracked.run(pipeline(**settings))

    return run
