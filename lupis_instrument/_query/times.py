"""Converts recorded times, nanoseconds since the epoch, to dates and text."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from time import time_ns

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

# Programs may set any time on a span. A time outside the calendar raises ValueError or
# OverflowError, and OSError on Windows.
_OUTSIDE_CALENDAR = (ValueError, OverflowError, OSError)


def format_local_time(nanoseconds: float, pattern: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a time in the user's time zone; "?" if the calendar has no such time.

    Args:
        nanoseconds: the time, since the epoch.
        pattern: the format, as `strftime` takes it.
    """
    try:
        return datetime.fromtimestamp(nanoseconds / SECOND).astimezone().strftime(pattern)
    except _OUTSIDE_CALENDAR:
        return "?"


def format_iso_time(nanoseconds: float) -> str | None:
    """Return a time in ISO 8601, UTC, to the microsecond; None if the calendar has no such time.

    Args:
        nanoseconds: the time, since the epoch.
    """
    try:
        moment = datetime.fromtimestamp(nanoseconds / SECOND, timezone.utc)
    except _OUTSIDE_CALENDAR:
        return None
    return moment.isoformat(timespec="microseconds")


_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|[smhdw])", re.ASCII | re.IGNORECASE)


def parse_duration(text: str) -> float | None:
    """Return the seconds of a text such as `300ms`, `2s`, `30m`, `1h`, `2d` or `1w`; else None."""
    match = _DURATION.fullmatch(text.strip())
    return None if match is None else float(match[1]) * _UNIT_SECONDS[match[2].lower()]


def parse_start(text: str) -> int:
    """Return the start of a period, in nanoseconds since the epoch.

    Args:
        text: an age, or a day or time in ISO 8601, local by default.

    Raises:
        ValueError: the text is neither.
    """
    age = parse_duration(text)
    if age is not None:
        return time_ns() - int(age * SECOND)
    try:
        # fromisoformat() reads the suffix Z since Python 3.11.
        moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text.strip()))
        return int(moment.timestamp() * SECOND)
    except _OUTSIDE_CALENDAR:
        valid = "expected 30m, 1h, 2d or 1w, or a day or time like 2026-11-25T14:30"
        raise ValueError(valid) from None
