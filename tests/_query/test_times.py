"""Recorded times as dates and text."""

from datetime import datetime, timezone

import pytest

from lupis_instrument._query.times import SECOND, format_iso_time, format_local_time

MOMENT = datetime(2026, 11, 25, 14, 30, 5, 250_000, tzinfo=timezone.utc)
NANOSECONDS = int(MOMENT.timestamp() * SECOND)


def test_local_time_is_in_the_time_zone_of_the_machine():
    """The text is the one that the machine's own clock would show."""
    assert MOMENT.astimezone().strftime("%Y-%m-%d %H:%M:%S") == format_local_time(NANOSECONDS)


def test_local_time_follows_the_pattern():
    """A caller may ask for the seconds alone."""
    assert "05" == format_local_time(NANOSECONDS, "%S")


def test_iso_time_is_utc_with_microseconds():
    """The text has the same form for every time."""
    assert "2026-11-25T14:30:05.250000+00:00" == format_iso_time(NANOSECONDS)


@pytest.mark.parametrize("nanoseconds", [1 << 62, -(1 << 62), -(1 << 40), float("inf"), 1e30])
def test_any_time_can_be_formatted(nanoseconds):
    """A program may set a time that the calendar lacks."""
    assert isinstance(format_local_time(nanoseconds), str)
    assert isinstance(format_iso_time(nanoseconds), (str, type(None)))


def test_a_time_outside_the_calendar_is_a_question_mark():
    """JSON has null for it."""
    assert ("?", None) == (format_local_time(1e30), format_iso_time(1e30))
