"""Spans that are forwarded to the program's own tracer providers."""

import pytest
from opentelemetry import context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from lupis_instrument._tracing.context import OUTER_CALL_KEY
from lupis_instrument._tracing.span_forwarder import SpanForwarder


class Collect(SpanProcessor):
    """Keeps ended spans and the contexts in which they end."""

    def __init__(self):
        self.spans = []
        self.contexts = []

    def on_end(self, span):
        self.spans.append(span)
        self.contexts.append(context.get_current())


class FailingProcessor(SpanProcessor):
    """Fails for each span."""

    def on_end(self, span):
        raise RuntimeError


def make_provider(processor):
    """Returns a provider of the program with one processor."""
    provider = TracerProvider(
        resource=Resource({"service.name": "program"}), shutdown_on_exit=False
    )
    provider.add_span_processor(processor)
    return provider


@pytest.fixture
def finished_span(tracked):
    """A span that has ended."""
    span = tracked.start_call()
    span.end()
    return span


def test_a_forwarded_span_has_the_resource_of_the_provider(finished_span):
    """Everything else is the same."""
    collect = Collect()
    SpanForwarder(lambda: [make_provider(collect)])(finished_span)
    (span,) = collect.spans
    assert {"service.name": "program"} == dict(span.resource.attributes)
    for field in ("name", "context", "parent", "attributes", "start_time", "end_time", "status"):
        assert getattr(finished_span, field) == getattr(span, field), field


def test_a_processor_runs_in_a_context_without_suppression(finished_span):
    """Logfire's leaves out spans that end in a suppressed one; its own calls are not recorded."""
    collect = Collect()
    with suppress_instrumentation():
        SpanForwarder(lambda: [make_provider(collect)])(finished_span)
    (forwarding_context,) = collect.contexts
    assert {OUTER_CALL_KEY} == set(forwarding_context)
    assert not forwarding_context[OUTER_CALL_KEY].ended


def test_a_processor_that_fails_does_not_keep_spans_from_others(finished_span, capsys):
    """The fault is reported."""
    collect = Collect()
    providers = [make_provider(FailingProcessor()), make_provider(collect)]
    SpanForwarder(lambda: providers)(finished_span)
    assert 1 == len(collect.spans)
    assert "joining a provider failed (RuntimeError" in capsys.readouterr().err


def test_a_provider_of_an_unknown_release_is_named(finished_span, capsys):
    """Its processors cannot be found."""
    SpanForwarder(lambda: [object()])(finished_span)
    assert "LUPIS_JOIN_PROVIDER: this release" in capsys.readouterr().err
