"""Marks the slow parameters of a test, which `make test` leaves to `make test-slow`."""

from __future__ import annotations

from typing import Any, Container, Iterable

import pytest


def slow_except(fast: Container[Any], values: Iterable[Any]) -> list[Any]:
    """Returns parameters of a test, of which all but a few are slow.

    Args:
        fast: the values that `make test` runs too.
        values: all values; a tuple has several parameters.
    """
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            marks=[] if value in fast else [pytest.mark.slow],
        )
        for value in values
    ]
