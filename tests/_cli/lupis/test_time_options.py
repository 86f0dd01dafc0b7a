"""The option types for ages and start times."""

from datetime import datetime, timezone

import click
import pytest

from lupis_instrument._cli.lupis.time_options import Age, StartTime

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1800, "30m"),
        (3600, "1h"),
        (172_800, "2d"),
        (604_800, "1w"),
        (90, "90s"),
        (5400, "1.5H"),
        (60, " 1 m "),
    ],
)
def test_age_is_a_number_with_a_unit(seconds, text):
    """The units go from seconds to weeks."""
    assert seconds * SECOND == Age().convert(text, None, None)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 25).astimezone(), "2026-11-25"),
        (datetime(2026, 11, 25, 14, 30).astimezone(), "2026-11-25T14:30"),
        (datetime(2026, 11, 25, 14, 30).astimezone(), "2026-11-25 14:30:00"),
        (datetime(2026, 11, 25, 14, 30, tzinfo=timezone.utc), "2026-11-25T14:30:00Z"),
        (datetime(2026, 11, 25, 12, 30, tzinfo=timezone.utc), "2026-11-25T14:30:00+02:00"),
    ],
)
def test_start_may_be_a_day_or_time(moment, text):
    """Times are local unless they have an offset."""
    assert moment.timestamp() * SECOND == StartTime().convert(text, None, None)


@pytest.mark.parametrize("text", ["", "yesterday", "1", "h", "-1h", "1h30m", "2026-13-01", "1e9d"])
@pytest.mark.parametrize("command", [["report"], ["traces"], ["export"]])
def test_wrong_start_is_refused_with_valid_examples(command, text, lupis):
    """The exit status is 2."""
    done = lupis(*command, "--since", text)
    assert 2 == done.exit_code
    assert repr(text) in done.stderr
    assert "expected 30m, 1h, 2d or 1w, or a day or time like 2026-11-25" in done.stderr


def test_start_may_be_before_the_epoch():
    """A very long age includes all items."""
    assert 0 > StartTime().convert("999999999w", None, None)


def test_wrong_age_is_refused_with_valid_examples():
    """An age is no day or time."""
    with pytest.raises(click.BadParameter, match="expected 30m"):
        Age().convert("2026-11-25", None, None)
