"""`--since`: how far back, or from when on."""

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
def test_back(seconds, text):
    """Seconds to weeks."""
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
def test_days_and_times(moment, text):
    """Local, unless they say otherwise."""
    assert moment.timestamp() * SECOND == StartTime().convert(text, None, None)


@pytest.mark.parametrize("text", ["", "yesterday", "1", "h", "-1h", "1h30m", "2026-13-01", "1e9d"])
@pytest.mark.parametrize("command", [["report"], ["traces"], ["export"]])
def test_wrong_values_say_what_is_right(command, text, lupis):
    """Exit status 2."""
    done = lupis(*command, "--since", text)
    assert 2 == done.exit_code
    assert repr(text) in done.stderr
    assert "expected 30m, 1h, 2d or 1w, or a day or time like 2026-11-25" in done.stderr


def test_long_ago_is_all():
    """Before the epoch, too."""
    assert 0 > StartTime().convert("999999999w", None, None)


def test_wrong_ages_say_what_is_right():
    """No days or times."""
    with pytest.raises(click.BadParameter, match="expected 30m"):
        Age().convert("2026-11-25", None, None)
