"""The last stage: filters every text of a span, and removes all of them if filtering fails."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any, Callable, Collection, Mapping, Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, TraceState

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import report_fault
from lupis_instrument._redaction.exception_text import NAMES, ExceptionFilter, filter_status

if TYPE_CHECKING:
    from lupis_instrument._redaction import Redactor
    from lupis_instrument._tracing.pipeline import Draft

REDACTED = "[REDACTED]"
_MAX_CACHED = 256
"""Redacted scopes and resources kept; a program may make a tracer for each call."""


class SpanRedactor:
    """Filters every text of a span, its events, links, trace state, scope and resource."""

    def __init__(
        self,
        redactor: Redactor | None,
        cut_lengths: Collection[int] = (),
        *,
        keep_source: bool = False,
        is_known_file: Callable[[str], bool] | None = None,
    ) -> None:
        """Create the stage.

        Args:
            redactor: the secret filter; None filters no secrets.
            cut_lengths: the lengths at which OpenTelemetry may have cut values.
            keep_source: whether stack traces keep lines of source code.
            is_known_file: returns whether stack traces keep the name of a file; None for the
                files of this process.
        """
        self._redactor = redactor
        self._cut_lengths = cut_lengths
        self._exceptions = ExceptionFilter(is_known_file or _is_known_file, keep_source=keep_source)
        self._cache: dict[int, tuple[Any, Any]] = {}

    def __call__(self, draft: Draft) -> Draft:
        """Return the draft with filtered texts, or with none if the filter fails."""
        try:
            self._filter_exceptions(draft)
            if self._redactor is not None:
                self._redact_draft(draft, self._redactor)
        except Exception as fault:
            _remove_texts(draft)
            report_fault("redaction", fault)
        return draft

    def learn_spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Look at the texts of many spans at once, before they are filtered one by one."""
        values = [value for span in spans for value in (span.attributes or {}).values()]
        self.learn_values((*values, *(span.name for span in spans)))

    def learn_values(self, values: Collection[Any]) -> None:
        """Look at the texts among many values of attributes, before they are filtered."""
        if self._redactor is None:
            return
        lists = [item for value in values if isinstance(value, tuple) for item in value]
        self._redactor.learn_texts({text for text in (*values, *lists) if isinstance(text, str)})

    def redact_text(self, text: str) -> str:
        """Return a text that is exported outside spans, filtered."""
        return text if self._redactor is None else self._redactor.redact_text(text)

    def redact_resource(self, resource: Resource) -> Resource:
        """Return a resource with filtered attributes and schema URL."""
        if self._redactor is None:
            return resource
        schema = self._redactor.redact_text(resource.schema_url) if resource.schema_url else ""
        return Resource(self._redactor.redact_attributes(resource.attributes), schema)

    def redact_attributes(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return attributes that describe no exception, filtered; none if the filter fails."""
        return (
            attributes if self._redactor is None else self._redactor.redact_attributes(attributes)
        )

    def redact_scope(self, scope: InstrumentationScope) -> InstrumentationScope | None:
        """Return a scope with filtered texts."""
        return scope if self._redactor is None else _redact_scope(scope, self._redactor)

    def _filter_exceptions(self, draft: Draft) -> None:
        """Remove the content that exceptions quote; no setting switches this off."""
        filter_attributes = self._exceptions.filter_attributes
        if draft.status.description:
            description = filter_status(draft.status.description, _list_error_types(draft))
            draft.status = Status(draft.status.status_code, description)
        if not NAMES.isdisjoint(draft.attributes):
            draft.attributes = dict(filter_attributes(draft.attributes))
        if draft.events:
            draft.events = [
                Event(event.name, filter_attributes(event.attributes), event.timestamp)
                for event in draft.events
            ]
        if draft.links:
            draft.links = [
                Link(link.context, filter_attributes(link.attributes)) for link in draft.links
            ]

    def _redact_draft(self, draft: Draft, redactor: Redactor) -> None:
        draft.name = redactor.redact_text(draft.name)
        draft.attributes = redactor.redact_attributes(self._drop_cut_words(draft.attributes))
        draft.events = [
            Event(
                redactor.redact_text(event.name),
                redactor.redact_attributes(self._drop_cut_words(event.attributes)),
                event.timestamp,
            )
            for event in draft.events
        ]
        draft.links = [
            Link(
                _redact_span_context(link.context, redactor),
                redactor.redact_attributes(self._drop_cut_words(link.attributes)),
            )
            for link in draft.links
        ]
        # The exported span takes trace state and scope from its source. Both hold text of others.
        context, scope = draft.source.context, draft.source.instrumentation_scope
        redacted_scope = self._cached(scope, lambda: _redact_scope(scope, redactor))
        if context is not None and (context.trace_state or redacted_scope is not scope):
            redacted_context = _redact_span_context(context, redactor)
            draft.source = _copy_source(draft.source, redacted_context, redacted_scope)
        if draft.status.description:
            description = redactor.redact_text(draft.status.description)
            draft.status = Status(draft.status.status_code, description)
        resource = draft.resource
        draft.resource = self._cached(resource, lambda: self.redact_resource(resource))

    def _drop_cut_words(self, attributes: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return attributes without the last word of values that OpenTelemetry may have cut.

        That word may be the beginning of a secret, which no rule recognizes.
        """
        if not self._cut_lengths or not attributes:
            return attributes or {}
        return {name: self._drop_cut_word(value) for name, value in attributes.items()}

    def _drop_cut_word(self, value: Any) -> Any:
        from lupis_instrument._redaction import drop_truncated_word

        if isinstance(value, str):
            return drop_truncated_word(value) if len(value) in self._cut_lengths else value
        return tuple(map(self._drop_cut_word, value)) if isinstance(value, tuple) else value

    def _cached(self, original: Any, redact: Callable[[], Any]) -> Any:
        """Return the redacted form of a resource or a scope, computed once for each object."""
        cached = self._cache.get(id(original))
        if cached is None:
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            # The original is kept too, so that no other object can get its id.
            cached = self._cache[id(original)] = (original, redact())
        return cached[1]


def make_exception_filter(*, keep_source: bool) -> ExceptionFilter:
    """Return a filter for the texts of exceptions, which knows the files of this process."""
    return ExceptionFilter(_is_known_file, keep_source=keep_source)


def _is_known_file(name: str) -> bool:
    """Return whether `linecache` knows a file of code: `traceback` reads each file through it.

    `cache` has been a public name without documentation since Python 1.5. If it goes, stack traces
    lose their files.
    """
    return name in getattr(linecache, "cache", ())


def _list_error_types(draft: Draft) -> list[str]:
    """Return the types of the errors that a span reports."""
    names = (_semconv.ERROR_TYPE, _semconv.LUPIS_ERROR_CODE)
    holders = [(draft.attributes, name) for name in names]
    holders += [(event.attributes or {}, _semconv.EXCEPTION_TYPE) for event in draft.events]
    return [str(attributes[name]) for attributes, name in holders if name in attributes]


def read_length_limits() -> frozenset[int]:
    """Return the lengths at which OpenTelemetry cuts values, before they reach this stage."""
    try:
        limits = SpanLimits()
    except ValueError:
        return frozenset()  # the tracer provider reads the same variables and reports the error
    lengths = {limits.max_span_attribute_length, limits.max_attribute_length}
    return frozenset(length for length in lengths if length is not None)


def _redact_scope(
    scope: InstrumentationScope | None, redactor: Redactor
) -> InstrumentationScope | None:
    """Filter the texts that code passes to `get_tracer`.

    Returns:
        The filtered scope; `scope` itself if it holds no secret.
    """
    if scope is None:
        return None
    texts = {"name": scope.name, "version": scope.version or "", "schema": scope.schema_url or ""}
    attributes = dict(getattr(scope, "attributes", None) or {})  # not before SDK 1.30
    redacted = redactor.redact_attributes(texts)
    redacted_attributes = redactor.redact_attributes(attributes)
    if redacted == texts and redacted_attributes == attributes:
        return scope
    options = {"attributes": redacted_attributes} if attributes else {}
    return InstrumentationScope(
        redacted["name"], redacted["version"], redacted["schema"], **options
    )


def _redact_span_context(context: SpanContext, redactor: Redactor) -> SpanContext:
    """Filter `tracestate`, which vendors pass along: https://www.w3.org/TR/trace-context."""
    if not context.trace_state:
        return context
    state = redactor.redact_attributes(context.trace_state)
    if state == dict(context.trace_state):
        return context
    return _replace_trace_state(
        context, TraceState([(key, str(text)) for key, text in state.items()])
    )


def _replace_trace_state(context: SpanContext, trace_state: TraceState) -> SpanContext:
    return SpanContext(
        context.trace_id, context.span_id, context.is_remote, context.trace_flags, trace_state
    )


def _copy_source(
    span: ReadableSpan, context: SpanContext, scope: InstrumentationScope | None
) -> ReadableSpan:
    """Copy the fields of `span` that a draft exports, with another context and scope."""
    return ReadableSpan(
        span.name,
        context,
        span.parent,
        # Without it, the SDK detects a resource in a thread pool, impossible at the end of Python.
        resource=span.resource,
        kind=span.kind,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=scope,
    )


def _remove_texts(draft: Draft) -> None:
    """Remove all text from a draft; ids, times, kind and status code stay."""
    context = draft.source.context
    if context is not None:
        redacted_context = _replace_trace_state(context, TraceState())
        scope = InstrumentationScope(REDACTED)
        draft.source = _copy_source(draft.source, redacted_context, scope)
    draft.name = REDACTED
    draft.attributes = {}
    draft.events = ()
    draft.links = ()
    draft.status = Status(draft.status.status_code)
    draft.resource = Resource({})
