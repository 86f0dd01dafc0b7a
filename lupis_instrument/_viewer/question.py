"""The parameters of a question, as the query of a URL gives them."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Mapping, NamedTuple, Sequence

from lupis_instrument._query.filters import CallFilter, make_filter
from lupis_instrument._query.text_filter import parse_filter
from lupis_instrument._query.times import parse_duration, parse_start

if TYPE_CHECKING:
    from lupis_instrument._query.store_reader import OpenStore

DEFAULT_SINCE = "24h"
ALL_TIMES = "all"
_MILLISECOND = 1_000_000
_MAX_LIMIT = 1000
_MAX_FILTER_LENGTH = 2000


class BadQuestionError(ValueError):
    """A parameter is not valid; the message is for the user."""


class MissingError(LookupError):
    """The store does not have the thing that the question is about."""


class Question(NamedTuple):
    """A question of the page.

    Attributes:
        store: the open store.
        parameters: the values by the names of the parameters.
        name: the last part of the path, such as a trace id; empty without one.
    """

    store: OpenStore
    parameters: Mapping[str, Sequence[str]]
    name: str = ""

    def read_text(self, name: str, default: str = "") -> str:
        """Return the first value of a parameter."""
        values = self.parameters.get(name)
        return values[0] if values else default

    def read_number(self, name: str, default: int, highest: int = _MAX_LIMIT) -> int:
        """Return a parameter as a number from 1 to `highest`.

        Raises:
            BadQuestionError: it is no such number.
        """
        text = self.read_text(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):  # noqa: PLR2004
            raise BadQuestionError(f"{name}={text[:40]}: expected a number from 1 to {highest}")
        return min(int(text), highest)

    @property
    def since(self) -> int | None:
        """Return the start of the period, nanoseconds since the epoch; None for all times."""
        text = self.read_text("since", DEFAULT_SINCE)
        return None if text == ALL_TIMES else _read_time("since", text)

    @property
    def until(self) -> int | None:
        """Return the end of the period, nanoseconds since the epoch; None for now."""
        text = self.read_text("until")
        return _read_time("until", text) if text else None

    @property
    def words(self) -> CallFilter:
        """Return the filter that the user typed.

        Raises:
            BadQuestionError: the filter has an error.
        """
        text = self.read_text("q")
        if len(text) > _MAX_FILTER_LENGTH:
            raise BadQuestionError(f"the filter is longer than {_MAX_FILTER_LENGTH:,} characters")
        try:
            return parse_filter(text)
        except ValueError as error:
            raise BadQuestionError(str(error)) from None

    @property
    def calls(self) -> CallFilter:
        """Return the filter for the calls of the period that match the typed words."""
        period = make_filter(since=self.since, until=self.until)
        return period.also(*self.words.conditions)


def _read_time(name: str, text: str) -> int:
    """Return a time: milliseconds since the epoch, an age, or a day or time."""
    try:
        if parse_duration(text) is None and text.replace(".", "", 1).isdigit():
            return int(float(text) * _MILLISECOND)
        moment = parse_start(text)
    except (ValueError, OverflowError):
        raise BadQuestionError(
            f"{name}={text[:40]}: expected 15m, 1h, 7d, all, or a day like 2026-11-25"
        ) from None
    return max(0, min(moment, time_ns() * 2))


def to_milliseconds(nanoseconds: float | None) -> float | None:
    """Return a time in milliseconds; None for None."""
    return None if nanoseconds is None else nanoseconds / _MILLISECOND
