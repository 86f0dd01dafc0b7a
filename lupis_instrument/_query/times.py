"""Converts recorded times, nanoseconds since the epoch, to dates and text."""

from __future__ import annotations

from datetime import datetime, timezone

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
