"""Reads the parts of a usage report that are charged beside the tokens of the call's own model."""

from __future__ import annotations

import re
from typing import Any, Iterator, Mapping

from lupis_instrument._llm.api.charged_parts import (
    ADDED_ROUND,
    COUNT_NAMES,
    FREE,
    OTHER_ROUND,
    OWN_ROUNDS,
    TOKEN_MEMBERS,
    TOOL_CALLS,
    TOOL_MEMBERS,
    UNPRICED_COUNTS,
)
from lupis_instrument._llm.api.field_paths import parse_count

Report = Mapping[str, Any]

_ROUNDS, _SEARCH_SIZE, _MODELS = "iterations", "search_context_size", "svg_rounds"
_BILLED, _TOKENS = "billed_units", "tokens"
PART_NAMES = frozenset(
    (*TOOL_MEMBERS, *UNPRICED_COUNTS, _ROUNDS, _SEARCH_SIZE, _MODELS, _BILLED, _TOKENS)
)
"""Members of a report that make it worth reading such parts."""

_READ_MEMBERS = TOKEN_MEMBERS.union(TOOL_MEMBERS)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_ -]{0,39}")
_DATE = re.compile(r"[-@](?:\d{8}|latest)$")
_MAX_ROUNDS = 128
# The tool in the request that names the model of a kind of rounds.
_ROUND_TOOLS = {"image_gen": "image_generation"}


def add_problem(counts: dict[str, Any], problem: str) -> None:
    """Add a reason why the counts may not be all that is charged."""
    problems = counts.get("problems", ())
    if problem not in problems:
        counts["problems"] = (*problems, problem)


def list_rounds(
    report: Report, model: str | None, counts: dict[str, Any]
) -> Iterator[tuple[str | None, Report]]:
    """Yield the reports of rounds that the report itself does not include.

    Each comes with ``own`` if the call's own model took the round, else with the type of the tool
    that did, or None. A round of an unknown type becomes a problem in `counts`.

    Args:
        report: the report of the whole call.
        model: the model that answered, if known.
        counts: the counts of the call by field of `Usage`.
    """
    for row in _list_objects(report.get(_ROUNDS)):
        kind = row.get("type")
        if kind == ADDED_ROUND:
            yield "own", row
        elif kind == OTHER_ROUND:
            yield None, row
        elif kind not in OWN_ROUNDS:
            add_problem(counts, f"{_name_part(kind)} not read")
        elif _is_other_model(row.get("model"), model) and parse_count(row.get("output_tokens")):
            yield None, row
    for row in _list_objects(report.get(_MODELS)):
        yield None, row
    for name, row in _list_tool_reports(report):
        yield _ROUND_TOOLS.get(name, name), row


def add_counted_parts(report: Report, counts: dict[str, Any]) -> None:
    """Add calls of tools, and a problem for each count that nothing can charge."""
    for member in TOOL_MEMBERS:
        if member in report:
            _add_tool_calls(member, report[member], counts)
    parts: list[Any] = [report, report.get(_BILLED), report.get(_TOKENS)]
    for member in report:
        if "tool" in member.lower() and member not in _READ_MEMBERS and _has_count(report[member]):
            add_problem(counts, f"{_name_part(member)} not read")
    for part in parts:
        for name, label in UNPRICED_COUNTS.items() if isinstance(part, dict) else ():
            if parse_count(part.get(name)):
                add_problem(counts, f"no price for {label}")
    size = report.get(_SEARCH_SIZE)
    if isinstance(size, str) and _WORD.fullmatch(size):
        counts["search_size"] = size


def _has_count(value: Any) -> bool:
    """Return whether a value holds a count that is not 0, at any depth of JSON."""
    if isinstance(value, dict):
        return any(map(_has_count, value.values()))
    return any(map(_has_count, value)) if isinstance(value, list) else bool(parse_count(value))


def _add_tool_calls(tool: str, value: Any, counts: dict[str, Any]) -> None:
    """Add the calls in a value of any form: a count, counts by name, or a list of both."""
    if isinstance(value, dict) and "input_tokens" in value:
        return  # a round of another model
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        _add_tool_calls(value["type"], value.get("count"), counts)
    elif isinstance(value, dict):
        for name, member in value.items():
            _add_tool_calls(tool if name in COUNT_NAMES else name, member, counts)
    elif isinstance(value, list):
        for row in value[:_MAX_ROUNDS]:
            if isinstance(row, str):
                _count_calls(row, 1, counts)
            else:
                _add_tool_calls(tool, row, counts)
    else:
        _count_calls(tool, parse_count(value), counts)


def _count_calls(tool: str, calls: int | None, counts: dict[str, Any]) -> None:
    field = TOOL_CALLS.get(tool.lower())
    if not calls or field == FREE:
        return
    if field is None:
        add_problem(counts, f"{_name_part(tool)} not read")
    else:
        counts[field] = counts.get(field, 0) + calls


def _list_tool_reports(report: Report) -> Iterator[tuple[str, Report]]:
    for member in TOOL_MEMBERS:
        tools = report.get(member)
        for name, row in tools.items() if isinstance(tools, dict) else ():
            if isinstance(row, dict) and row.get("input_tokens"):
                yield name, row


def _list_objects(rows: Any) -> list[Report]:
    return (
        [row for row in rows[:_MAX_ROUNDS] if isinstance(row, dict)]
        if isinstance(rows, list)
        else []
    )


def _is_other_model(name: Any, model: str | None) -> bool:
    """Return whether a name means another model than the one that answered, dates aside."""
    if not isinstance(name, str) or not model:
        return False
    return _DATE.sub("", name) != _DATE.sub("", model)


def _name_part(word: Any) -> str:
    """Return a provider's word for a message, in which free text has no place."""
    is_word = isinstance(word, str) and _WORD.fullmatch(word)
    return word.replace("_", " ") if is_word else "unknown part"
