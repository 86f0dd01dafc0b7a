"""What would tell of one call twice: the first stage drops spans, a later one figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lupis_instrument import _semconv

if TYPE_CHECKING:
    from typing import Callable

    from lupis_instrument._tracing.draft import Draft


def dedup(draft: Draft) -> Draft | None:
    """Drop a span that repeats one further out, or that the user excluded."""
    record = draft.record
    return None if record.outer is not None or record.excluded else draft


class CountOnce:
    """Leaves tokens to the span of an LLM library's instrumentor where it has them.

    The cost stays: what others name is not always one (OpenLIT's is 0 where it got no prices), and
    nobody adds up the attributes of both.
    """

    def __init__(self, tokens_reported: Callable[[str | None], bool]) -> None:
        """Ask `tokens_reported` whether another span reports the tokens of a response."""
        self._has_told = tokens_reported

    def __call__(self, draft: Draft) -> Draft:
        """Say which of the two has them, and keep those that the other has by other names."""
        above = draft.record.llm
        if above is None:
            return draft
        attributes = draft.attributes
        counted = _semconv.LUPIS_USAGE_SOURCE in attributes
        response = attributes.get(_semconv.GEN_AI_RESPONSE_ID)
        repeated = above.has_any(_semconv.LLM_SPAN_TOKENS) or self._has_told(response)
        if counted:
            attributes[_semconv.LUPIS_DEDUP] = "parent" if repeated else "self"
        if counted and repeated:
            attributes.pop(_semconv.GEN_AI_USAGE_CACHE_CREATION, None)
            for name, repeated_name in _semconv.REPEATED_TOKENS.items():
                if name in attributes:
                    attributes[repeated_name] = attributes.pop(name)
        return draft
