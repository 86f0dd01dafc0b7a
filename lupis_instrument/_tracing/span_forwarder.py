"""Hands finished spans to the tracer providers of the program too, where it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterable

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan

from lupis_instrument._diagnostics import guarded, warn
from lupis_instrument._tracing.context import OUTER_CALL_KEY, use_context

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource


class SpanForwarder:
    """Feeds the span processors of other providers."""

    def __init__(self, providers: Callable[[], Iterable[Any]]) -> None:
        """Feed those of `providers`, asked for anew for each span."""
        self._providers = providers

    def __call__(self, span: ReadableSpan) -> None:
        """Hand on a span as it leaves the pipeline, with their resource."""
        for provider in self._providers():
            guarded("joining a provider", _feed, provider, span)


def _feed(provider: Any, span: ReadableSpan) -> None:
    # Which processors a provider has, it doesn't say in public. It has kept the one that stands
    # for all by this name in SDK 1.0 to 1.45.
    processor = getattr(provider, "_active_span_processor", None)
    if processor is None:
        warn("LUPIS_JOIN_PROVIDER: this release of the OpenTelemetry SDK can't be joined")
        return
    # Some leave out what ends where instrumentation is suppressed, as Logfire's do, and as it is on
    # the worker's thread. Calls that they make themselves are no more recorded here than there.
    with use_context(Context({OUTER_CALL_KEY: _Joining})):
        processor.on_end(_of(span, provider.resource))


class _Joining:
    """Stands for a call that is under way."""

    ended = False


def _of(span: ReadableSpan, resource: Resource) -> ReadableSpan:
    """Return the span with another resource: it tells where the program is, as that one's do."""
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
