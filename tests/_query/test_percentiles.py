"""Percentiles of times."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lupis_instrument._query import percentiles
from lupis_instrument._query.percentiles import PERCENTILES, TimeLists


@given(st.lists(st.integers(0, 50), min_size=1))
def test_percentiles_are_the_nearest_ranks(times):
    """A percentile P is the smallest time that at least P percent of all times do not exceed."""
    ranks = [math.ceil(Fraction(len(times) * percent, 100)) for percent in PERCENTILES]
    expected = tuple(sorted(times)[rank - 1] * 10 for rank in ranks)
    text = ",".join(map(str, times))
    assert expected == TimeLists([text], unit=10).percentiles  # sorted
    total = TimeLists()
    total.add(TimeLists([text], unit=10))
    assert expected == total.percentiles  # counted


def test_part_that_is_counted_already_is_counted_once():
    """The total of a report has the times of all groups."""
    first, second, total = TimeLists(["1,1,1", None]), TimeLists(["9", "", "8"]), TimeLists()
    assert 3 == first.counts[1]
    total.add(first)
    total.add(second)
    assert {1: 3, 8: 1, 9: 1} == total.counts
    everything = TimeLists()
    everything.add(total)
    assert (1, 9, 9) == everything.percentiles


@pytest.mark.parametrize("size", [0, 4000])
def test_damaged_list_has_the_times_that_are_numbers(size, monkeypatch):
    """A file may be damaged anywhere."""
    monkeypatch.setattr(percentiles, "_MAX_SORTED_SIZE", size)
    assert (7, 7, 7) == TimeLists(["x,7", "-,1x"]).percentiles
    assert (1, 3, 3) == TimeLists(["1,[2],3", "null,{}"]).percentiles


def test_no_times_have_no_percentiles():
    """Calls without a first piece have none."""
    assert (None, None, None) == TimeLists([None]).percentiles == TimeLists().percentiles
