"""The spans of HTTP calls, made without the SDK: its spans take most of the time that a call costs.

The SDK's span copies its attributes under a lock, checks each of them, and is copied when it ends.
The spans of this module record the same without that. Wherever the user has set a sampler or
limits (`has_defaults`), the SDK makes the span.
"""

from __future__ import annotations

from operator import attrgetter
from time import time_ns
from traceback import format_exception
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, SpanLimits
from opentelemetry.sdk.trace.sampling import DEFAULT_ON
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from lupis_instrument import _semconv
from lupis_instrument._tracing.api import get_current

if TYPE_CHECKING:
    from typing import Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.util.types import Attributes, AttributeValue

    from lupis_instrument._tracing.processor import CallSpanProcessor

_MAX_COUNT = 128
"""The default limit of attributes, events and links. No instrumentor sets so many attributes."""
_PLAIN_TYPES = frozenset((str, int, bool, float))
HTTP_MARKS = frozenset((_semconv.HTTP_REQUEST_METHOD, "http.method"))
"""Attributes that the span of an HTTP call has from its start."""
_RANDOM_TRACE_ID = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)
"""The flag of trace ids whose bits are all random; not before SDK 1.41."""
_ROOT_FLAGS = TraceFlags(TraceFlags.SAMPLED | _RANDOM_TRACE_ID)
_UNSET = Status()


class CallSpan(trace.Span):
    """The span of one HTTP call; it has the attributes of a `ReadableSpan`, open or ended.

    Attributes:
        name: the name.
        kind: the kind, always CLIENT.
        attributes: the attributes so far.
        events: the events so far.
        links: the links to other spans.
        status: the status.
        start_time: the start, in nanoseconds since the epoch.
        end_time: the end; None while the span is open.
        resource: the resource of the provider.
        instrumentation_scope: the scope of the tracer.
    """

    context = property(attrgetter("_context"), doc="The ids of this span.")
    parent = property(attrgetter("_parent"), doc="The ids of the span above; None for a root.")

    def __init__(
        self, factory: CallSpanFactory, name: str, context: SpanContext, parent: SpanContext | None
    ) -> None:
        self.name = name
        self.kind = trace.SpanKind.CLIENT
        self._context = context
        self._parent = parent
        self.attributes: dict[str, Any] = {}
        self.events: Sequence[Event] = ()
        self.links: Sequence[Link] = ()
        self.status = _UNSET
        self.start_time = 0
        self.end_time: int | None = None
        self.resource = factory.resource
        self.instrumentation_scope = factory.scope
        self._processor: Any = factory.processor

    def get_span_context(self) -> SpanContext:
        """Return the ids of this span."""
        return self._context

    def is_recording(self) -> bool:
        """Return whether the span has not ended."""
        return self.end_time is None

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Set one attribute, unless the span has ended; a value of a wrong type is left out."""
        if type(value) not in _PLAIN_TYPES:
            self.set_attributes({key: value})
        elif self.end_time is None:
            self.attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Set attributes, unless the span has ended; values of a wrong type are left out."""
        if self.end_time is None:
            if not _PLAIN_TYPES.issuperset(map(type, attributes.values())):
                attributes = BoundedAttributes(attributes=attributes)
            self.attributes.update(attributes)

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        """Add an event, unless the span has ended or has too many."""
        if self.end_time is None and len(self.events) < _MAX_COUNT:
            cleaned = BoundedAttributes(attributes=attributes)
            self.events = (*self.events, Event(name, cleaned, timestamp))

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Add a link to another span, unless the span has ended or has too many."""
        if self.end_time is None and len(self.links) < _MAX_COUNT:
            self.links = (*self.links, Link(context, BoundedAttributes(attributes=attributes)))

    def update_name(self, name: str) -> None:
        """Replace the name, unless the span has ended."""
        if self.end_time is None:
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status, unless the span has ended or its status is OK."""
        if isinstance(status, StatusCode):
            status = Status(status, description)
        is_final = self.end_time is not None or self.status.status_code is StatusCode.OK
        if not is_final and status.status_code is not StatusCode.UNSET:
            self.status = status

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add an event with the type, the message and the stack trace of an exception."""
        kind = type(exception)
        module = "" if kind.__module__ in (None, "builtins") else f"{kind.__module__}."
        described = {
            "exception.type": f"{module}{kind.__qualname__}",
            "exception.message": str(exception),
            "exception.stacktrace": "".join(
                format_exception(kind, exception, exception.__traceback__)
            ),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", {**described, **(attributes or {})}, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """End the span, once; takes no lock, for the garbage collector may call this."""
        if self.end_time is None:
            self.end_time = time_ns() if end_time is None else end_time
            self._processor.on_end(self)


def has_defaults(sampler: Sampler) -> bool:
    """Return whether the user has chosen neither a sampler nor limits of the SDK.

    Args:
        sampler: the sampler of the user's settings.

    Raises:
        ValueError: a variable of the SDK has no valid number.
    """
    limits = SpanLimits()
    lengths = (limits.max_span_attribute_length, limits.max_attribute_length)
    counts = (
        *(limits.max_span_attributes, limits.max_events, limits.max_links),
        *(limits.max_event_attributes, limits.max_link_attributes),
    )
    return (
        sampler is DEFAULT_ON
        and lengths == (None, None)
        and all((count or 0) >= _MAX_COUNT for count in counts)
    )


class CallSpanFactory:
    """Starts the spans of one tracer.

    Attributes:
        resource: the resource of the spans.
        scope: the instrumentation scope of the tracer.
        processor: follows the spans.
    """

    def __init__(
        self,
        processor: CallSpanProcessor,
        resource: Resource,
        id_generator: IdGenerator,
        scope: InstrumentationScope,
    ) -> None:
        """Make a factory.

        Args:
            processor: follows the spans.
            resource: the resource of the spans.
            id_generator: makes the ids of the spans.
            scope: the instrumentation scope of the tracer.
        """
        self.resource = resource
        self.scope = scope
        self.processor: Any = processor
        self._draw_span_id = id_generator.generate_span_id
        self._draw_trace_id = id_generator.generate_trace_id

    def start_span(
        self, name: str, context: Context | None, attributes: Mapping[str, Any], **options: Any
    ) -> CallSpan | None:
        """Start the span of an HTTP call.

        Args:
            name: the name of the span.
            context: the context with the span above; None for the current one.
            attributes: the first attributes of the span.
            options: further options of the span, which only the SDK knows.

        Returns:
            The span; None if the SDK has to make it: for other spans, with options, and below a
            span that is not sampled.
        """
        if options or HTTP_MARKS.isdisjoint(attributes):
            return None
        call_context = get_current() if context is None else context
        parent: SpanContext | None = None
        if call_context:
            parent = trace.get_current_span(call_context).get_span_context()
        if parent is None or not parent.is_valid:
            trace_id, flags, state, parent = self._draw_trace_id(), _ROOT_FLAGS, None, None
        elif parent.trace_flags & TraceFlags.SAMPLED:
            trace_id, state = parent.trace_id, parent.trace_state
            flags = TraceFlags(TraceFlags.SAMPLED | (parent.trace_flags & _RANDOM_TRACE_ID))
        else:
            return None
        own = SpanContext(trace_id, self._draw_span_id(), False, flags, state)
        span = CallSpan(self, name, own, parent)
        span.set_attributes(attributes)
        span.start_time = time_ns()
        self.processor.on_start(span, call_context)
        return span
