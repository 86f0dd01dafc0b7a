"""Spans of the OpenTelemetry SDK, followed by a `CallSpanProcessor` with a list for its queue."""

import json

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind

from lupis_instrument import LupisConfig
from lupis_instrument._redaction import Redactor
from lupis_instrument._tracing.http_call import _last_unanswered_call
from lupis_instrument._tracing.processor import CallSpanProcessor
from lupis_instrument._tracing.provider import RecordOnlySampler
from lupis_instrument._tracing.stages import build_pipeline

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
def _no_earlier_call():
    """No call is a retry of a call in another test."""
    token = _last_unanswered_call.set(None)
    yield
    _last_unanswered_call.reset(token)


class TrackedProvider:
    """A tracer provider with a `CallSpanProcessor`.

    Attributes:
        queued: the states of the spans that have ended.
    """

    def __init__(self, sampler=None, propagator_guard=None):
        self.queued = []
        self.processor = CallSpanProcessor(self.queued.append, propagator_guard)
        self.provider = TracerProvider(
            sampler=sampler, resource=Resource({}), shutdown_on_exit=False
        )
        self.provider.sampler = RecordOnlySampler(self.provider.sampler)
        self.provider.add_span_processor(self.processor)
        self.tracer = self.provider.get_tracer("tests")

    def start_call(self, url=OPENAI, *, parent=None, kind=SpanKind.CLIENT, **attributes):
        """Starts the span of a call, as an instrumentor does."""
        context = trace.set_span_in_context(parent) if parent is not None else None
        attributes = {"http.request.method": "POST", "url.full": url, **attributes}
        return self.tracer.start_span("POST", context=context, kind=kind, attributes=attributes)

    def state(self, span):
        """Returns the state of an open span."""
        return self.processor.find_state(span)

    def http_call(self, span):
        """Returns the call that a span reports."""
        return self.state(span).http_call

    def answer_call(
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
        """Plays a whole exchange as a client's adapter does; returns the response's body."""
        http_call = self.http_call(span)
        http_call.begin_attempt(method, url)
        http_call.request_headers = list(request_headers)
        http_call.add_request_data(json.dumps(request or {"model": "gpt-4o"}).encode())
        response_body = http_call.begin_response(status, list(headers), "1.1")
        if response_body is not None:
            response_body.feed(body if isinstance(body, bytes) else json.dumps(body).encode())
            response_body.end(outcome)
        return response_body

    def run_pipeline(self, pipeline):
        """Prepares the queued spans, as the worker's thread does."""
        prepared = []
        for state in self.queued:
            if state.readable is None:
                state.end_sdk_span()
            span = pipeline.run(state) if state.readable is not None else None
            if span is not None:
                prepared.append(span)
        return prepared


@pytest.fixture
def make_tracked():
    """Makes tracked providers with options."""
    return TrackedProvider


@pytest.fixture
def tracked():
    """A tracked provider that samples every span."""
    return TrackedProvider()


@pytest.fixture
def unsampled():
    """A tracked provider whose sampler drops every span."""
    return TrackedProvider(ALWAYS_OFF)


@pytest.fixture
def pipeline(tracked):
    """Builds the pipeline of these settings."""

    def build(redactor=None, conversations=None, **settings):
        return build_pipeline(
            LupisConfig(project_id="p", **settings),
            redactor or Redactor(),
            Resource({"service.name": "s"}),
            conversations=conversations,
            tokens_reported=tracked.processor.span_tree.tokens_reported,
        )

    return build


@pytest.fixture
def export(tracked, pipeline):
    """Returns the queued spans as a pipeline with these settings exports them."""

    def run(**settings):
        return tracked.run_pipeline(pipeline(**settings))

    return run
