"""Sends trace headers to the hosts that `LUPIS_PROPAGATE_TO` names, and to no other.

Upstream's instrumentors ask the global propagator to add headers to each request they make a
span for. Ours stands in front of the one that is set: for spans of ours it looks where they go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Sequence

from opentelemetry import baggage, context, propagate, trace
from opentelemetry.propagators.textmap import (
    TextMapPropagator,
    default_getter,
    default_setter,
)

from lupis_instrument import _names
from lupis_instrument._addresses import may_receive
from lupis_instrument._diagnostics import guarded, report_fault
from lupis_instrument._exchange import locate

if TYPE_CHECKING:
    from lupis_instrument._pipeline.processor import Tracking


class SelectivePropagator(TextMapPropagator):
    """A propagator that keeps our trace ids and chat ids from hosts that needn't know them."""

    def __init__(
        self,
        inner: TextMapPropagator,
        tracking: Tracking,
        allowed: Callable[[], Sequence[str]],
    ) -> None:
        """Hand on to `inner` what may go to the `allowed` hosts."""
        self._inner = inner
        self._tracking = tracking
        self._allowed = allowed

    def inject(
        self,
        carrier: Any,
        context: context.Context | None = None,
        setter: Any = default_setter,
    ) -> None:
        """Add headers to `carrier` if the request may carry them."""
        try:
            wanted = self._context_for(context)
        except Exception as fault:
            report_fault("choosing trace headers", fault)
            return
        if wanted is not None:
            kept = guarded("keeping trace headers", self._keep_theirs, carrier, wanted)
            self._inner.inject(carrier, kept or wanted, setter)

    def _keep_theirs(self, carrier: Any, here: context.Context) -> context.Context | None:
        """Return what keeps the headers of the program's own instrumentor further out, if any.

        The program's backend knows that one's span; it would look for ours in vain.
        """
        record = self._tracking.record_of(trace.get_current_span(here))
        parent = record.span.parent if record is not None else None
        if parent is None or parent.is_remote:
            return None
        carried = trace.get_current_span(self._inner.extract(carrier, context.Context()))
        if carried.get_span_context().span_id != parent.span_id:
            return None
        return trace.set_span_in_context(trace.NonRecordingSpan(parent), here)

    def _context_for(self, given: context.Context | None) -> context.Context | None:
        """Return the context whose headers may go out, None for none at all."""
        here = given if given is not None else context.get_current()
        record = self._tracking.record_of(trace.get_current_span(here))
        if record is None or record.url is None:
            return here  # no request of ours: none of our business
        if not may_receive(locate(record.url).host, self._allowed()):
            return None
        chat_id = record.conversation.chat_id
        if chat_id is None:
            return here
        return baggage.set_baggage(_names.LUPIS_CHAT_ID, chat_id, here)

    def extract(
        self,
        carrier: Any,
        context: context.Context | None = None,
        getter: Any = default_getter,
    ) -> context.Context:
        """Read what came, as the propagator behind does."""
        return self._inner.extract(carrier, context, getter)

    @property
    def fields(self) -> set[str]:
        """The headers that may be added."""
        return self._inner.fields


def install(tracking: Tracking, allowed: Callable[[], Sequence[str]]) -> None:
    """Put ours in front of the global propagator."""
    inner = propagate.get_global_textmap()
    propagate.set_global_textmap(SelectivePropagator(inner, tracking, allowed))
