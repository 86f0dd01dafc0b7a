"""Times, sums and names as people read them, safe for any terminal."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Callable
from unicodedata import combining, east_asian_width

SECOND = 1_000_000_000
"""In nanoseconds."""
_STEPS = ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k"))
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def clean(text: object) -> str:
    """Return `text` with what is no visible character spelled out.

    Names come from programs and providers; control characters among them would move the cursor,
    recolour the terminal or turn the direction of the line.
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in shown
    )


def cells(text: str) -> int:
    """Return how many columns of a terminal a text takes up."""
    if text.isascii():
        return len(text)
    return sum(_cells(each) for each in text)


def _cells(character: str) -> int:
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def pad(text: str, room: int, *, right: bool = False) -> str:
    """Return `text` with spaces up to `room` columns, cut off where it is longer."""
    if cells(text) > room:
        while cells(text) > room - 3:
            text = text[:-1]
        text += "..."
    spaces = " " * (room - cells(text))
    return spaces + text if right else text + spaces


def count(number: int) -> str:
    """Return a number to three or four digits: 950, 9,500, 12.3k, 4.56M."""
    for step, unit in _STEPS:
        if number >= step:
            scaled = number / (1000 if unit == "k" else step)
            return f"{scaled:.{max(0, 3 - len(str(int(scaled))))}f}{unit}"
    return f"{number:,}"


def dollars(amount: float | None) -> str:
    """Return USD with enough digits to tell cheap calls apart; unknown is never 0."""
    if amount is None:
        return "-"
    if amount >= 1 or amount == 0:
        return f"${amount:,.2f}"
    return f"${amount:.4f}" if amount >= 0.01 else f"${amount:.6f}"  # noqa: PLR2004 - a cent


def duration(nanoseconds: float | None) -> str:
    """Return a time span to three digits: 850 us, 1.2 ms, 12 ms, 1.23 s, 2m 05s, 3h 20m, 4d 05h."""
    if nanoseconds is None:
        return "-"
    form = next((form for end, form in _SPANS if nanoseconds < end), _days)
    return form(nanoseconds / SECOND)


def _days(seconds: float) -> str:
    hours = round(seconds / _HOUR)
    return f"{hours // 24}d {hours % 24:02}h"


def _hours(seconds: float) -> str:
    minutes = round(seconds / _MINUTE)
    return f"{minutes // 60}h {minutes % 60:02}m"


def _minutes(seconds: float) -> str:
    return f"{round(seconds) // 60}m {round(seconds) % 60:02}s"


# Each up to where the next would be shown as one whole, for 999.6 ms are 1.00 s.
_SPANS: tuple[tuple[float, Callable[[float], str]], ...] = (
    (0.0009995 * SECOND, lambda seconds: f"{seconds * 1e6:.0f} us"),
    (0.00995 * SECOND, lambda seconds: f"{seconds * 1e3:.1f} ms"),
    (0.9995 * SECOND, lambda seconds: f"{seconds * 1e3:.0f} ms"),
    (9.995 * SECOND, lambda seconds: f"{seconds:.2f} s"),
    (59.95 * SECOND, lambda seconds: f"{seconds:.1f} s"),
    ((_HOUR - 0.5) * SECOND, _minutes),
    ((_DAY - 30) * SECOND, _hours),
)


def local(nanoseconds: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a time since the epoch as the user's clock shows it."""
    try:
        return datetime.fromtimestamp(nanoseconds / SECOND).astimezone().strftime(form)
    except (ValueError, OverflowError, OSError):  # a program may have set any time
        return "?"


def iso(nanoseconds: int) -> str | None:
    """Return a time since the epoch in ISO 8601, UTC; None for one that no calendar has."""
    try:
        moment = datetime.fromtimestamp(nanoseconds / SECOND, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="microseconds")
