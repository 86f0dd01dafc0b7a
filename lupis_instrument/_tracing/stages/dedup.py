"""Keeps a call from being counted twice: one stage drops spans, a later one moves tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lupis_instrument import _semconv

if TYPE_CHECKING:
    from typing import Callable

    from lupis_instrument._tracing.pipeline import Draft


def drop_repeated_span(draft: Draft) -> Draft | None:
    """Drop a span if an outer span reports the same call, or if a setting excludes it."""
    state = draft.state
    return None if state.outer is not None or state.excluded else draft


class CountOnce:
    """Leaves tokens to the span of an LLM library's instrumentor, if that span has them.

    The cost stays. The other instrumentor's cost may be wrong (OpenLIT reports 0 if it could not
    load its prices), and the two use different attributes, which nobody adds up.
    """

    def __init__(self, tokens_reported: Callable[[str | None], bool]) -> None:
        """Create the stage.

        Args:
            tokens_reported: returns whether another span reports the tokens of a response id,
                one that was made after the call.
        """
        self._tokens_reported = tokens_reported

    def __call__(self, draft: Draft) -> Draft:
        """Note which span has the tokens; rename the tokens here if the other span has them."""
        llm_node = draft.state.llm_node
        if llm_node is None:
            return draft
        attributes = draft.attributes
        counted = _semconv.LUPIS_USAGE_SOURCE in attributes
        response_id = attributes.get(_semconv.GEN_AI_RESPONSE_ID)
        repeated = llm_node.reports_any(_semconv.LLM_SPAN_TOKENS) or self._tokens_reported(
            response_id
        )
        if counted:
            attributes[_semconv.LUPIS_DEDUP] = "parent" if repeated else "self"
        if counted and repeated:
            # An older, second name of the cache writes; one renamed attribute is enough for them.
            attributes.pop(_semconv.GEN_AI_USAGE_CACHE_CREATION, None)
            for name, repeated_name in _semconv.REPEATED_TOKENS.items():
                if name in attributes:
                    attributes[repeated_name] = attributes.pop(name)
        return draft
