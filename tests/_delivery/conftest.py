"""Finished spans for the tests in this folder."""

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Status, StatusCode, set_span_in_context

SECOND = 1_000_000_000


@pytest.fixture
def finished():
    """Makes a finished span; times are seconds."""
    provider = TracerProvider(resource=Resource({"service.name": "s"}), shutdown_on_exit=False)
    tracer = provider.get_tracer("tests")

    def make(name="GET", attributes=None, *, parent=None, start=1, seconds=1.0, failed=False):
        span = tracer.start_span(
            name,
            context=set_span_in_context(parent) if parent is not None else None,
            start_time=start * SECOND,
            attributes=attributes,
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(int((start + seconds) * SECOND))
        return span

    return make


@pytest.fixture
def llm_call(finished):
    """Makes the span of a finished LLM call."""

    def make(model="gpt-4o", read=10, written=5, *, chat=None, cached=None, error=None, seconds=1):
        given = {
            "gen_ai.provider.name": "openai",
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": model,
            "gen_ai.usage.input_tokens": read,
            "gen_ai.usage.output_tokens": written,
            "gen_ai.usage.cache_read.input_tokens": cached,
            "lupis.chat.id": chat,
            "error.type": error,
        }
        attributes = {name: value for name, value in given.items() if value is not None}
        return finished(f"chat {model}", attributes, seconds=seconds)

    return make
