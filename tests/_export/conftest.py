"""Finished spans, encoded items and a store for the tests in this folder."""

import os

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Status, StatusCode, set_span_in_context

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.otlp.target import Target
from lupis_instrument._export.store.store import Process, Store

SECOND = 1_000_000_000


@pytest.fixture(autouse=True)
def _all_lines_are_new():
    """Warnings of earlier tests may be written again."""
    diagnostics.reset()


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
        values = {
            "gen_ai.provider.name": "openai",
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": model,
            "gen_ai.usage.input_tokens": read,
            "gen_ai.usage.output_tokens": written,
            "gen_ai.usage.cache_read.input_tokens": cached,
            "lupis.chat.id": chat,
            "error.type": error,
        }
        attributes = {name: value for name, value in values.items() if value is not None}
        return finished(f"chat {model}", attributes, seconds=seconds)

    return make


@pytest.fixture
def items(finished):
    """Makes encoded spans with the names 0, 1, 2 and so on."""

    def make(count, *, first=0, size=0):
        spans = [finished(str(n), {"filler": "x" * size}) for n in range(first, first + count)]
        return ItemEncoder(spans[0].resource).encode_spans(spans)

    return make


@pytest.fixture
def store(tmp_path):
    """A store in a new folder."""
    store = Store(str(tmp_path / "data"), 64 << 20, Process("shop", "run", os.getpid(), "leader"))
    yield store
    store.database.close()


@pytest.fixture
def target_of():
    """Makes the target of a URL."""
    return lambda url, form="traces": Target(url, form, "shop", url)
