"""Keeps a call from being counted twice: one stage drops spans, a later one moves tokens.

The later one also completes and prices calls that a library's span alone reports, such as gRPC's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument import _semconv
from lupis_instrument._tracing.foreign_calls import complete_call, is_foreign_call

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
_MAX_RECORDED = 1024
"""Ids kept of responses that this package has recorded; the oldest go first."""


def drop_repeated_span(draft: Draft) -> Draft | None:
    """Drop a span if an outer span reports the same call, or if a setting excludes it."""
    state = draft.state
    return None if state.outer is not None or state.excluded else draft


class CountOnce:
    """Leaves tokens to the span of an LLM library's instrumentor, if that span has them.

    The cost stays. The other instrumentor's cost may be wrong (OpenLIT reports 0 if it could not
    load its prices), and the two use different attributes, which nobody adds up.
    """

    def __init__(
        self,
        tokens_reported: Callable[[str | None], bool],
        add_cost: Callable[[dict[str, Any], int], None],
    ) -> None:
        """Create the stage.

        Args:
            tokens_reported: returns whether another span reports the tokens of a response id,
                one that was made after the call.
            add_cost: adds the cost to the attributes of a call that a library's span alone
                reports, from its time in nanoseconds since the epoch.
        """
        self._tokens_reported = tokens_reported
        self._add_cost = add_cost
        self._recorded_responses: dict[Any, bool] = {}

    def __call__(self, draft: Draft) -> Draft:
        """Note which span has the tokens; rename the tokens here if the other span has them."""
        llm_node = draft.state.llm_node
        attributes = draft.attributes
        response_id = attributes.get(_semconv.GEN_AI_RESPONSE_ID)
        counted = _semconv.LUPIS_USAGE_SOURCE in attributes
        if draft.state.url is None:
            self._count_library_span(draft, response_id)
        if llm_node is None:
            if counted:
                self._keep_response(response_id, has_tokens=True)
            return draft
        repeated = llm_node.reports_any(_semconv.LLM_SPAN_TOKENS) or self._tokens_reported(
            response_id
        )
        if counted:
            attributes[_semconv.LUPIS_DEDUP] = "parent" if repeated else "self"
            self._keep_response(response_id, has_tokens=not repeated)
        if counted and repeated:
            cost = attributes.get(_semconv.GEN_AI_USAGE_COST)
            _rename_tokens(attributes)
            if cost is not None and not llm_node.reports_any((_semconv.GEN_AI_USAGE_COST,)):
                attributes[_semconv.GEN_AI_USAGE_COST] = cost
        return draft

    def _keep_response(self, response_id: Any, *, has_tokens: bool) -> None:
        """Keep the id of a response that this package has recorded, and who has its tokens."""
        recorded = self._recorded_responses
        if response_id is not None:
            if len(recorded) >= _MAX_RECORDED:
                del recorded[next(iter(recorded))]
            recorded[response_id] = has_tokens

    def _count_library_span(self, draft: Draft, response_id: Any) -> None:
        """Leave calls and tokens to other spans if those report them; else add the cost."""
        attributes, span_node = draft.attributes, draft.state.span_node
        is_call = is_foreign_call(attributes) and not _is_own(draft)
        has_call = span_node is not None and span_node.has_call
        repeated = span_node is not None and span_node.tokens_below
        if is_call and not has_call and response_id in self._recorded_responses:
            # The id finds a call on a thread or task that does not know the library's span.
            has_call = True
            repeated = repeated or self._recorded_responses[response_id]
        if has_call or (is_call and repeated):
            attributes[_semconv.LUPIS_DEDUP] = "child"
        elif is_call:
            complete_call(attributes, draft.source.name)
            self._add_cost(attributes, draft.source.start_time or 0)
        if repeated:
            _rename_tokens(attributes)


def _is_own(draft: Draft) -> bool:
    """Return whether the span is one of `LupisSDK.create_span`."""
    scope = draft.source.instrumentation_scope
    return scope is not None and scope.name == _semconv.SCOPE


def _rename_tokens(attributes: dict[str, Any]) -> None:
    """Give counts of tokens names that no backend adds up."""
    for name in [name for name in attributes if name.startswith(_TOKEN_PREFIXES)]:
        value = attributes.pop(name)
        repeated_name = _semconv.REPEATED_TOKENS.get(name)
        if repeated_name is not None:
            attributes[repeated_name] = value
