"""Writes an agent's turns as text: `chat → tools get_weather, search → chat`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Iterable, Iterator

from lupis_instrument._cli.lupis.formatting import cut_middle
from lupis_instrument._diagnostics import escape_controls

if TYPE_CHECKING:
    from lupis_instrument._query.turns import Step, Turn

_MAX_LINES = 5
_ARROW, _TIMES = "\u2192", "\u00d7"
_ASCII_ARROW, _ASCII_TIMES = "->", "x"


def format_turns(turns: Iterable[Turn], width: int) -> Iterator[str]:
    """Yield a line for each turn of more than one step; equal turns share a line.

    Args:
        turns: the turns.
        width: the maximum width of a line in terminal columns.
    """
    counts: dict[tuple[Step, ...], int] = {}
    for turn in turns:
        if len(turn.steps) > 1 or turn.steps[0].tools:
            counts[turn.steps] = counts.get(turn.steps, 0) + 1
    arrow, times = _choose_symbols()
    for steps, count in list(counts.items())[:_MAX_LINES]:
        text = f" {arrow} ".join(_format_step(step, arrow, times) for step in steps)
        suffix = f"  {times}{count:,}" if count > 1 else ""
        yield cut_middle(text, width - len(suffix)) + suffix
    omitted = sum(list(counts.values())[_MAX_LINES:])
    if omitted:
        yield f"and {omitted:,} other turn{'' if omitted == 1 else 's'}"


def _format_step(step: Step, arrow: str, times: str) -> str:
    problem = f" ({escape_controls(step.problem)})" if step.problem else ""
    text = f"{escape_controls(step.operation)}{problem}"
    if step.tools:
        tools = [
            _count_name(name, step.tools.count(name), times) for name in dict.fromkeys(step.tools)
        ]
        text = f"{text} {arrow} tools {', '.join(tools)}"
    if step.calls == 1:
        return text
    return f"({text}) {times}{step.calls:,}" if step.tools else f"{text} {times}{step.calls:,}"


def _count_name(name: str, count: int, times: str) -> str:
    return escape_controls(name) + (f" {times}{count}" if count > 1 else "")


def _choose_symbols() -> tuple[str, str]:
    try:
        (_ARROW + _TIMES).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError, AttributeError):
        return _ASCII_ARROW, _ASCII_TIMES
    return _ARROW, _TIMES
