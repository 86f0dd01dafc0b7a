"""Trace headers that a request has before this package adds any.

They are the program's own and stay as they are, unless an earlier request of this package had them:
a redirected or repeated request carries the headers of the request before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Deque, NamedTuple, Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from lupis_instrument import _semconv

if TYPE_CHECKING:
    from lupis_instrument._tracing.span_state import SpanState

    SentValues = Deque[int]
    """The hashes of header values that this package has sent, of merged baggage after a prefix."""

MAX_SENT_VALUES = 4096
_MAX_BAGGAGE_BYTES = 8192
_MAX_BAGGAGE_MEMBERS = 64
"""The limits up to which every platform has to pass baggage on (W3C Baggage, section 3.2.2)."""
_MERGED = "merged:"
_W3C = TraceContextTextMapPropagator()


class HeaderLine(NamedTuple):
    """One trace header of a request.

    Attributes:
        name: the name in lower case.
        key: the name as the client keeps it, text or bytes.
        value: the value as the client keeps it, text or bytes.
    """

    name: str
    key: Any
    value: Any

    @property
    def text(self) -> str:
        """The value as text."""
        return read_text(self.value)


def read_text(value: Any) -> str:
    """Return a header's name or value as text; clients take bytes too."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def remove_sent(
    carrier: Any, lines: Sequence[HeaderLine], sent_values: SentValues, state: SpanState
) -> None:
    """Remove headers that an earlier request of this package had.

    Args:
        carrier: the headers of the request.
        lines: the trace headers in them.
        sent_values: the values that this package has sent.
        state: the state of the request's span. Headers of the call that this request is a part of
            stay: the span of that call reports both.
    """
    outer_id = trace.format_span_id(state.outermost.span.get_span_context().span_id)
    for line in lines:
        text = line.text
        if hash(_MERGED + text) in sent_values:
            own_part, _, _ = text.rpartition(",")
            _set_value(carrier, line, own_part)
        elif hash(text) in sent_values and (state.outer is None or outer_id not in text):
            del carrier[line.key]


def adopt_parent(lines: Sequence[HeaderLine], state: SpanState) -> None:
    """Make the span that a request's `traceparent` names the parent of the request's span."""
    values = [line.text for line in lines if line.name == _semconv.HEADER_TRACEPARENT]
    if len(values) != 1:  # a request with several is not valid (W3C Trace Context)
        return
    tracestate = [line.text for line in lines if line.name == _semconv.HEADER_TRACESTATE]
    headers = {_semconv.HEADER_TRACEPARENT: values, _semconv.HEADER_TRACESTATE: tracestate}
    parent = trace.get_current_span(_W3C.extract(headers, Context())).get_span_context()
    if parent.is_valid:
        state.adopt_parent(parent)


def merge_baggage(
    carrier: Any, lines: Sequence[HeaderLine], member: str, sent_values: SentValues
) -> None:
    """Add a member to the baggage of a request, unless that has one of the same name or no room.

    Args:
        carrier: the headers of the request.
        lines: the trace headers in them.
        member: the name and the value of the member, as the header has them.
        sent_values: takes the new value.
    """
    first, *others = (line for line in lines if line.name == _semconv.HEADER_BAGGAGE)
    own_part = ",".join(line.text for line in (first, *others))
    members = own_part.split(",")
    name = member.partition("=")[0]
    if any(known.partition("=")[0].strip() == name for known in members):
        return
    merged = f"{own_part},{member}"
    if len(members) >= _MAX_BAGGAGE_MEMBERS or len(merged.encode()) > _MAX_BAGGAGE_BYTES:
        return
    for line in others:
        carrier.pop(line.key, None)
    _set_value(carrier, first, merged)
    sent_values.append(hash(_MERGED + merged))


def _set_value(carrier: Any, line: HeaderLine, text: str) -> None:
    """Replace the value of a header, as text or as bytes like the former value."""
    carrier[line.key] = text.encode("latin-1") if isinstance(line.value, bytes) else text
