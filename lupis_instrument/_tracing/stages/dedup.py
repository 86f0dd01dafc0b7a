"""Keeps a call from being counted twice: one stage drops spans, a later one moves tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument import _semconv

if TYPE_CHECKING:
    from typing import Callable

    from lupis_instrument._tracing.pipeline import Draft

_TOKEN_PREFIXES = (
    "gen_ai.usage.",
    "llm.cost.",
    "llm.token_count.",
    "llm.usage.",
    _semconv.LUPIS_USAGE_TOTAL_TOKENS,
)
"""Beginnings of the names by which libraries report tokens and costs."""


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
        if draft.state.url is None:
            _count_below(draft)
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
            cost = attributes.get(_semconv.GEN_AI_USAGE_COST)
            _rename_tokens(attributes)
            if cost is not None and not llm_node.reports_any((_semconv.GEN_AI_USAGE_COST,)):
                attributes[_semconv.GEN_AI_USAGE_COST] = cost
        return draft


def _count_below(draft: Draft) -> None:
    """Leave calls and tokens to the spans below a library's span, if those report them."""
    span_node = draft.state.span_node
    if span_node is None:
        return
    if span_node.has_call:
        draft.attributes[_semconv.LUPIS_DEDUP] = "child"
    if span_node.tokens_below:
        _rename_tokens(draft.attributes)


def _rename_tokens(attributes: dict[str, Any]) -> None:
    """Give counts of tokens names that no backend adds up."""
    for name in [name for name in attributes if name.startswith(_TOKEN_PREFIXES)]:
        value = attributes.pop(name)
        repeated_name = _semconv.REPEATED_TOKENS.get(name)
        if repeated_name is not None:
            attributes[repeated_name] = value
