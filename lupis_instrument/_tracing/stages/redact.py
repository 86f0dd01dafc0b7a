"""Last stage: no text leaves unfiltered, and none at all where filtering fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Collection, Mapping

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, TraceState

from lupis_instrument._diagnostics import report_fault

if TYPE_CHECKING:
    from lupis_instrument._redaction import Redactor
    from lupis_instrument._tracing.draft import Draft

REDACTED = "[REDACTED]"
_MOST_KNOWN = 256


class Redact:
    """Filters every text of a span, those of its events, links, states, scope and resource too."""

    def __init__(self, redactor: Redactor | None, cut_at: Collection[int] = ()) -> None:
        """Filter with `redactor`; None filters nothing. Values as long as `cut_at` may be cut."""
        self._redactor = redactor
        self._cut_at = cut_at
        self._known: dict[int, tuple[Any, Any]] = {}

    def __call__(self, draft: Draft) -> Draft:
        """Return the draft, filtered."""
        if self._redactor is not None:
            try:
                self._filter(draft, self._redactor)
            except Exception as fault:
                _empty(draft)
                report_fault("redaction", fault)
        return draft

    def text(self, text: str) -> str:
        """Return any text that leaves beside the spans, filtered."""
        return text if self._redactor is None else self._redactor.redact_text(text)

    def resource(self, resource: Resource) -> Resource:
        """Return what all spans say about where they come from, filtered."""
        if self._redactor is None:
            return resource
        schema = self._redactor.redact_text(resource.schema_url) if resource.schema_url else ""
        return Resource(self._redactor.redact_attributes(resource.attributes), schema)

    def _filter(self, draft: Draft, redactor: Redactor) -> None:
        draft.name = redactor.redact_text(draft.name)
        draft.attributes = redactor.redact_attributes(self._whole(draft.attributes))
        draft.events = [
            Event(
                redactor.redact_text(event.name),
                redactor.redact_attributes(self._whole(event.attributes)),
                event.timestamp,
            )
            for event in draft.events
        ]
        draft.links = [
            Link(
                _context(link.context, redactor),
                redactor.redact_attributes(self._whole(link.attributes)),
            )
            for link in draft.links
        ]
        # What an OTLP span takes from its source, and others can write into.
        context, scope = draft.source.context, draft.source.instrumentation_scope
        shown = self._remember(scope, lambda: _scope(scope, redactor))
        if context is not None and (context.trace_state or shown is not scope):
            draft.source = _rebuild(draft.source, _context(context, redactor), shown)
        if draft.status.description:
            description = redactor.redact_text(draft.status.description)
            draft.status = Status(draft.status.status_code, description)
        resource = draft.resource
        draft.resource = self._remember(resource, lambda: self.resource(resource))

    def _whole(self, attributes: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return attributes without what OpenTelemetry's limits may have left of a secret."""
        if not self._cut_at or not attributes:
            return attributes or {}
        return {name: self._uncut(value) for name, value in attributes.items()}

    def _uncut(self, value: Any) -> Any:
        from lupis_instrument._redaction import drop_truncated_word

        if isinstance(value, str):
            return drop_truncated_word(value) if len(value) in self._cut_at else value
        return tuple(map(self._uncut, value)) if isinstance(value, tuple) else value

    def _remember(self, each: Any, shown: Callable[[], Any]) -> Any:
        """Return a resource or a scope as it is shown, from the last time if it was met before."""
        known = self._known.get(id(each))
        if known is None:
            if len(self._known) >= _MOST_KNOWN:  # a program may make a tracer for each call
                self._known.clear()
            # The original is kept too, so that no other can take its id.
            known = self._known[id(each)] = (each, shown())
        return known[1]


def read_limits() -> frozenset[int]:
    """Return the lengths at which OpenTelemetry cuts values: it does before they are filtered."""
    try:
        limits = SpanLimits()
    except ValueError:
        return frozenset()  # the provider, which reads the same variables, has said so
    lengths = {limits.max_span_attribute_length, limits.max_attribute_length}
    return frozenset(length for length in lengths if length is not None)


def _scope(scope: InstrumentationScope | None, redactor: Redactor) -> InstrumentationScope | None:
    """Filter what the program that asked for a tracer calls itself."""
    if scope is None:
        return None
    told = {"name": scope.name, "version": scope.version or "", "schema": scope.schema_url or ""}
    attributes = dict(getattr(scope, "attributes", None) or {})  # not before SDK 1.30
    shown, rest = redactor.redact_attributes(told), redactor.redact_attributes(attributes)
    if shown == told and rest == attributes:
        return scope
    more = {"attributes": rest} if attributes else {}
    return InstrumentationScope(shown["name"], shown["version"], shown["schema"], **more)


def _context(context: SpanContext, redactor: Redactor) -> SpanContext:
    """Filter the state that vendors hand on in `tracestate`: https://www.w3.org/TR/trace-context."""
    if not context.trace_state:
        return context
    state = redactor.redact_attributes(context.trace_state)
    if state == dict(context.trace_state):
        return context
    return _with_state(context, TraceState([(key, str(text)) for key, text in state.items()]))


def _with_state(context: SpanContext, state: TraceState) -> SpanContext:
    return SpanContext(
        context.trace_id, context.span_id, context.is_remote, context.trace_flags, state
    )


def _rebuild(
    span: ReadableSpan, context: SpanContext, scope: InstrumentationScope | None
) -> ReadableSpan:
    """Return as much of `span` as a draft takes from it, in another context and scope."""
    return ReadableSpan(
        span.name,
        context,
        span.parent,
        kind=span.kind,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=scope,
    )


def _empty(draft: Draft) -> None:
    context = draft.source.context
    if context is not None:
        nameless = InstrumentationScope(REDACTED)
        draft.source = _rebuild(draft.source, _with_state(context, TraceState()), nameless)
    draft.name = REDACTED
    draft.attributes = {}
    draft.events = ()
    draft.links = ()
    draft.status = Status(draft.status.status_code)
    draft.resource = Resource({})
