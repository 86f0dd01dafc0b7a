"""Checks many rows in one test: as a test of its own, each would cost milliseconds."""

from __future__ import annotations

from typing import Any, Callable, Iterable


def check_rows(check: Callable[..., None], rows: Iterable[Any]) -> None:
    """Fails with all rows that a check refuses, each with its reason.

    Args:
        check: a function of a row that fails with AssertionError; a plain tuple is its arguments.
        rows: all rows of a table; there is at least one.
    """
    checked = 0
    failures = {}
    for row in rows:
        checked += 1
        try:
            check(*(row if type(row) is tuple else (row,)))  # a NamedTuple is one argument
        except AssertionError as error:
            failures[repr(row)] = str(error)
    assert checked
    assert {} == failures
