"""Forwards finished spans to tracer providers of the program, for `LUPIS_JOIN_PROVIDER`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterable

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan

from lupis_instrument._diagnostics import internal_errors, warn
from lupis_instrument._tracing.context import OUTER_CALL_KEY, use_context

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource


class SpanForwarder:
    """Passes spans to the span processors of other tracer providers."""

    def __init__(self, get_providers: Callable[[], Iterable[Any]]) -> None:
        """Create a forwarder.

        Args:
            get_providers: returns the providers; called for each span, for they change.
        """
        self._get_providers = get_providers

    def __call__(self, span: ReadableSpan) -> None:
        """Forward a span that the pipeline has prepared."""
        for provider in self._get_providers():
            with internal_errors("joining a provider"):
                _forward_span(provider, span)


def _forward_span(provider: Any, span: ReadableSpan) -> None:
    # A provider has no public list of its processors. SDK 1.0 to 1.45 keep the processor that
    # stands for all of them under this name.
    processor = getattr(provider, "_active_span_processor", None)
    if processor is None:
        warn("LUPIS_JOIN_PROVIDER: this release of the OpenTelemetry SDK can't be joined")
        return
    # A context of its own, for two reasons. Instrumentation is suppressed on the worker's thread,
    # and some processors, such as Logfire's, leave out spans that end in a suppressed context.
    # And HTTP calls that a processor makes must not be recorded in turn.
    with use_context(Context({OUTER_CALL_KEY: _ForwardingCall})):
        processor.on_end(_copy_with_resource(span, provider.resource))


class _ForwardingCall:
    """Takes the place of a `SpanState`, as a call that is under way."""

    ended = False


def _copy_with_resource(span: ReadableSpan, resource: Resource) -> ReadableSpan:
    """Return a copy of the span with the resource of the provider that it is forwarded to."""
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=resource,
        attributes=span.attributes,
        events=span.events,
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
