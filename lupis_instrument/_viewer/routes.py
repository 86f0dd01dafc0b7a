"""The table of the JSON API: paths and their questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple
from urllib.parse import unquote

from lupis_instrument._viewer import answers, detail_answers

if TYPE_CHECKING:
    from lupis_instrument._viewer.question import Question


class Route(NamedTuple):
    """A question that a path asks.

    Attributes:
        ask: returns the answer, as data for JSON.
        is_kept: whether the answer is kept until the store changes.
    """

    ask: Callable[[Question], dict[str, Any]]
    is_kept: bool = True


ROUTES = {
    "/api/summary": Route(answers.answer_summary),
    "/api/series": Route(answers.answer_series),
    "/api/calls": Route(answers.answer_calls),
    "/api/runs": Route(answers.answer_runs),
    "/api/runs/": Route(detail_answers.answer_run),
    "/api/traces/": Route(detail_answers.answer_trace),
    "/api/conversations": Route(answers.answer_conversations),
    "/api/conversations/": Route(detail_answers.answer_conversation),
    "/api/totals": Route(answers.answer_totals),
    "/api/errors": Route(answers.answer_errors),
    "/api/cache": Route(detail_answers.answer_cache),
    "/api/compare": Route(detail_answers.answer_compare),
    "/api/events": Route(answers.answer_events),
    "/api/delivery": Route(answers.answer_delivery, is_kept=False),
}
"""By path; after a slash at the end comes the name of the thing that the question is about."""


def find_route(path: str) -> tuple[Route, str] | None:
    """Return the route of a path and the name at its end; None for another path.

    Args:
        path: the path of the URL, with its percent signs.

    Raises:
        UnicodeDecodeError: the name is no UTF-8.
    """
    if path in ROUTES and not path.endswith("/"):
        return ROUTES[path], ""
    prefix = next((key for key in ROUTES if key.endswith("/") and path.startswith(key)), "")
    name = unquote(path[len(prefix) :], errors="strict")
    return (ROUTES[prefix], name) if prefix and name else None
