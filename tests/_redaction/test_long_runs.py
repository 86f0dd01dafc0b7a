"""Long runs of the characters of keys are found whatever surrounds them."""

from __future__ import annotations

import random

import pytest

from lupis_instrument._redaction.prefilter import MIN_RUN, find_long_runs

KEY = b"ghp_0123456789012345678"


@pytest.mark.parametrize("length", [MIN_RUN - 1, MIN_RUN, MIN_RUN + 1])
def test_run_has_a_least_length(length):
    """A run of sixteen characters is long."""
    runs = find_long_runs(b"x " * 200 + b"a" * length + b" x")
    assert runs == ([b"a" * length] if length >= MIN_RUN else [])


def test_uuid_is_left_out():
    """A UUID is no key by itself, but a longer run with hyphens may be."""
    uuid = b"3f2b1c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d"
    assert find_long_runs(uuid) == []
    assert find_long_runs(uuid + b"a") == [uuid + b"a"]


def test_run_among_numbers():
    """In a text of numbers, only the runs that hold a letter are found."""
    numbers = [str(random.Random(seed).random()) for seed in range(2000)]
    text = " ".join([*numbers[:1000], KEY.decode(), "1.5e-05", *numbers[1000:]])
    assert [KEY] == find_long_runs(text.encode())
    assert [KEY] == find_long_runs(KEY)
    assert [KEY] == find_long_runs(b",".join([b"0.8444218515250481"] * 400 + [KEY]))


@pytest.mark.parametrize("separator", [" ", f" {'x' * 20} ", " 0.8444218515250481 ", ", "])
def test_runs_with_any_separator(separator):
    """The same runs are found whether a text has few or many of them."""
    keys = [f"k{number:019}" for number in range(300)]
    runs = find_long_runs(separator.join(keys).encode())
    assert keys == [run.decode()[-20:] for run in runs if b"k0" in run]
