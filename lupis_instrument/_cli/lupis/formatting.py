"""Formats numbers and amounts for people, and fits texts into columns."""

from __future__ import annotations

import sys
from time import time_ns
from typing import TYPE_CHECKING, Any, Callable

from lupis_instrument._export.terminal import Terminal, text_width
from lupis_instrument._query.times import SECOND, format_local_time

if TYPE_CHECKING:
    from lupis_instrument._query.items import Item

# From where a number gets a unit. Up to 9,999 is short enough without one.
_COUNT_UNITS = ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k"))
_CENT = 0.01
_ELLIPSIS = "\u2026"
_HTTP_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "HTTP"))
_MAX_CHARACTERS = 4
"""The characters that a terminal column may hold, where most of them are combining ones."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def pad_text(text: str, width: int, *, right: bool = False) -> str:
    """Fill `text` with spaces up to a width, or cut off its end.

    Args:
        text: the text.
        width: the width in terminal columns.
        right: whether to align to the right.
    """
    if text_width(text) > width:
        dots = choose_dots()
        text = _take_start(text, width - len(dots)) + dots
    spaces = " " * (width - text_width(text))
    return spaces + text if right else text + spaces


def cut_middle(text: str, width: int) -> str:
    """Return `text` without its middle, if it is wider than some terminal columns.

    The names of models and of conversations differ at their ends.
    """
    room = _MAX_CHARACTERS * width
    if len(text) > 2 * room:  # the middle of a very long text is never shown
        text = text[:room] + text[-room:]
    return Terminal(ellipsis=choose_dots()).cut_middle(text, width)


def _take_start(text: str, width: int) -> str:
    """Return the start of a text that fits into some terminal columns."""
    text = text[: _MAX_CHARACTERS * max(width, 0)]
    while text_width(text) > max(width, 0):
        text = text[:-1]
    return text


def choose_dots() -> str:
    """Return the ellipsis of standard output's encoding."""
    try:
        _ELLIPSIS.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError, AttributeError):
        return "..."
    return _ELLIPSIS


def format_count(number: int) -> str:
    """Return a number with three or four digits: 950, 9,500, 12.3k, 4.56M."""
    for start, unit in _COUNT_UNITS:
        if number >= start:
            scaled = number / (1000 if unit == "k" else start)
            return f"{scaled:.{max(0, 3 - len(str(int(scaled))))}f}{unit}"
    return f"{number:,}"


def format_dollars(amount: float | None) -> str:
    """Return an amount in USD, with more digits for small amounts; "-" for an unknown one."""
    if amount is None:
        return "-"
    if amount >= 1 or amount == 0:
        return f"${amount:,.2f}"
    return f"${amount:.4f}" if amount >= _CENT else f"${amount:.6f}"


def format_duration(nanoseconds: float | None) -> str:
    """Return a duration with three digits: 850 us, 1.2 ms, 12 ms, 1.23 s, 2m 05s, 4d 05h."""
    if nanoseconds is None:
        return "-"
    form = next((form for end, form in _DURATION_FORMS if nanoseconds < end), _format_days)
    return form(nanoseconds / SECOND)


def _format_days(seconds: float) -> str:
    hours = round(seconds / _HOUR)
    return f"{hours // 24}d {hours % 24:02}h"


def _format_hours(seconds: float) -> str:
    minutes = round(seconds / _MINUTE)
    return f"{minutes // 60}h {minutes % 60:02}m"


def _format_minutes(seconds: float) -> str:
    return f"{round(seconds) // 60}m {round(seconds) % 60:02}s"


# Each form ends where rounding would reach the next unit: 999.6 ms are shown as 1.00 s.
_DURATION_FORMS: tuple[tuple[float, Callable[[float], str]], ...] = (
    (0.0009995 * SECOND, lambda seconds: f"{seconds * 1e6:.0f} us"),
    (0.00995 * SECOND, lambda seconds: f"{seconds * 1e3:.1f} ms"),
    (0.9995 * SECOND, lambda seconds: f"{seconds * 1e3:.0f} ms"),
    (9.995 * SECOND, lambda seconds: f"{seconds:.2f} s"),
    (59.95 * SECOND, lambda seconds: f"{seconds:.1f} s"),
    ((_HOUR - 0.5) * SECOND, _format_minutes),
    ((_DAY - 30) * SECOND, _format_hours),
)


def format_tokens(item: Item) -> str:
    """Return the input and output tokens of a call; empty if the provider reported none."""
    if item.input_tokens is None and item.output_tokens is None:
        return ""
    counts = (item.input_tokens, item.output_tokens)
    # A program may have set any value as tokens.
    numbers = (count if isinstance(count, int) else 0 for count in counts)
    return " -> ".join(map(format_count, numbers))


def format_token_sums(row: Any) -> str:
    """Return the input and output tokens of several calls; empty if there are none."""
    if not row.input_tokens and not row.output_tokens:
        return ""
    return f"{format_count(row.input_tokens)} -> {format_count(row.output_tokens)}"


def format_cost(item: Item) -> str:
    """Return the cost of a call; "$?" if it is unknown, empty for spans that are no calls."""
    if isinstance(item.cost, (int, float)):
        return format_dollars(item.cost)
    return "$?" if item.cost_status == "unpriced" else ""


def format_total_cost(cost: float | None, unpriced: int) -> str:
    """Return the cost of several calls, empty if there were none with a cost.

    Args:
        cost: the sum of the known costs in USD; None if there are none.
        unpriced: the number of calls without a known price.
    """
    unknown = f" + {unpriced} unpriced" if unpriced else ""
    return f"{format_dollars(cost)}{unknown}" if unknown or cost is not None else ""


def format_moment(nanoseconds: float) -> str:
    """Return a time in the user's time zone, without the date for today, or the year for this one.

    Args:
        nanoseconds: the time, since the epoch.
    """
    day, today = (format_local_time(time, "%Y-%m-%d") for time in (nanoseconds, time_ns()))
    if day == today:
        return format_local_time(nanoseconds, "%H:%M:%S")
    pattern = "%m-%d %H:%M" if day[:4] == today[:4] else "%Y-%m-%d %H:%M"
    return format_local_time(nanoseconds, pattern)


def format_share(share: float | None) -> str:
    """Return a part of a whole in percent; "-" for an unknown one."""
    return "-" if share is None else f"{share:.0%}"


def describe_name(name: str, host: Any) -> str:
    """Return the name of a span, with the host if the name is an HTTP method alone."""
    return f"{name} {host}" if name in _HTTP_METHODS and isinstance(host, str) else name
