"""Which spans are recorded: what the sampler says, with two exceptions.

The spans of calls that are not to be recorded are noted all the same: upstream's instrumentors add
trace headers for them too, and only a span that was noted when it began tells where its headers
would go. And that the program's own provider keeps no span around a call says nothing about ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, TraceState
    from opentelemetry.util.types import Attributes


class RecordOnlySampler(Sampler):
    """Decides as another sampler does, but has no CLIENT span dropped before it begins."""

    def __init__(self, inner: Sampler) -> None:
        """Decide as `inner` does."""
        self._inner = inner

    def should_sample(  # noqa: PLR0917 - the SDK's
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Return the decision on a span that begins."""
        more: Any = (kind, attributes, links, trace_state)
        parent = trace.get_current_span(parent_context).get_span_context()
        if parent.is_valid and not parent.is_remote and not parent.trace_flags.sampled:
            # By the trace's id, samplers decide again what they decided for a parent of ours.
            parent_context = trace.set_span_in_context(trace.INVALID_SPAN, parent_context)
        result = self._inner.should_sample(parent_context, trace_id, name, *more)
        if kind is not SpanKind.CLIENT or result.decision is not Decision.DROP:
            return result
        # The attributes that the result names are all that the span will have.
        return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)

    def get_description(self) -> str:
        """Return what the other sampler is called."""
        return self._inner.get_description()
