"""Numbers, amounts and names as people read them."""

import re
import sys
import time
from io import BytesIO, TextIOWrapper

import pytest

from lupis_instrument._cli.lupis.formatting import (
    cut_middle,
    describe_name,
    format_count,
    format_dollars,
    format_duration,
    format_moment,
    pad_text,
    text_width,
)

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("shown", "number"),
    [
        ("0", 0),
        ("999", 999),
        ("9,999", 9_999),
        ("12.3k", 12_345),
        ("999k", 999_400),
        ("1.23M", 1_234_567),
        ("45.7M", 45_678_901),
        ("2.50G", 2_500_000_000),
    ],
)
def test_counts_have_three_or_four_digits(shown, number):
    """Large numbers get a unit."""
    assert shown == format_count(number)


@pytest.mark.parametrize(
    ("shown", "seconds"),
    [
        ("0 us", 0),
        ("850 us", 0.00085),
        ("1.0 ms", 0.0009996),
        ("1.2 ms", 0.0012),
        ("12 ms", 0.012),
        ("999 ms", 0.9994),
        ("1.00 s", 0.9996),
        ("9.99 s", 9.99),
        ("10.0 s", 9.996),
        ("59.9 s", 59.9),
        ("1m 00s", 59.96),
        ("2m 05s", 125),
        ("1h 00m", 3599.6),
        ("3h 20m", 12_000),
        ("1d 00h", 86_380),
        ("4d 05h", 363_700),
    ],
)
def test_durations_have_three_digits(shown, seconds):
    """A unit never reaches the size of the next one."""
    assert shown == format_duration(seconds * SECOND)


@pytest.mark.parametrize(
    ("shown", "amount"),
    [
        ("-", None),
        ("$0.00", 0.0),
        ("$0.000018", 0.000018),
        ("$0.0123", 0.0123),
        ("$1.50", 1.5),
        ("$12,345.68", 12_345.678),
    ],
)
def test_dollars_have_enough_digits(shown, amount):
    """Cheap calls differ, and an unknown cost is not 0."""
    assert shown == format_dollars(amount)


def test_wide_characters_take_two_columns():
    """Combining characters take none."""
    assert (3, 4, 1) == (text_width("abc"), text_width("\u6a21\u578b"), text_width("e\u0301"))


def test_padded_text_has_the_exact_width():
    """Longer text is cut off."""
    assert ["ab  ", "  ab", "abc\u2026", "\u6a21\u578b\u2026 "] == [
        pad_text("ab", 4),
        pad_text("ab", 4, right=True),
        pad_text("abcdef", 4),
        pad_text("\u6a21\u578b\u6a21\u578b", 6),
    ]


def test_long_names_lose_their_middle():
    """The names of models differ at their ends."""
    assert ["abc", "ab\u2026yz", "a\u2026z"] == [
        cut_middle("abc", 5),
        cut_middle("abcdefuvwxyz", 5),
        cut_middle("abcdefuvwxyz", 3),
    ]


def test_ellipsis_is_in_the_encoding_of_the_output(monkeypatch):
    """An ASCII terminal gets dots."""
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(BytesIO(), encoding="ascii"))
    assert "ab...z" == cut_middle("abcdefuvwxyz", 6)


def test_moments_of_today_have_no_date():
    """A moment of another year has all parts."""
    now = time.time_ns()
    assert re.fullmatch(r"\d\d:\d\d:\d\d", format_moment(now))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", format_moment(now - 800 * 86_400 * 10**9))


def test_a_bare_method_has_its_host():
    """Names of other spans stay."""
    assert ("GET example.org", "GET", "chat m") == (
        describe_name("GET", "example.org"),
        describe_name("GET", None),
        describe_name("chat m", "example.org"),
    )
