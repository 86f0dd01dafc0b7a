"""Reads the filter language: `model:gpt-4o error:429 user:u7 cost>0.01`.

A filter is a list of words, and a call must match all of them:

    model:gpt-4o     the field has this value; `*` stands for any characters
    -model:gpt-4o    it has another value, or none
    error            the field is set; -error: it is not
    cost>0.01        also <, >= and <=; durations take units: duration>2s, first<300ms
    since:1h         also 30m, 2d, 1w, or a date such as 2026-11-25
    trip             any text of the call contains this; "two words" in quotes
"""

from __future__ import annotations

import re
from typing import Any

from lupis_instrument._query.fields import Field, FieldType, find_field
from lupis_instrument._query.filters import CallFilter, Condition
from lupis_instrument._query.times import parse_duration, parse_start

_WORD = re.compile(
    r"""(?P<not>-)?
    (?:(?P<field>[A-Za-z][\w.-]*)(?P<operator>>=|<=|!=|[:=<>]))?
    (?:"(?P<quoted>[^"]*)"|(?P<plain>\S+))?""",
    re.VERBOSE,
)
_OPERATORS = {":": "=", "=": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_OPPOSITES = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_LIKE = {"=": "like", "!=": "unlike"}
_NUMERIC = (FieldType.NUMBER, FieldType.SECONDS)


class FilterSyntaxError(ValueError):
    """A word of a filter is not valid; the message says the word, the problem and the cure."""


def parse_filter(text: str) -> CallFilter:
    """Return the filter that a text describes; an empty text selects all calls.

    Raises:
        FilterSyntaxError: a word is not valid.
    """
    conditions = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        match = _WORD.match(text, position)
        if match is None or match.end() == position:  # a quote that nothing closes
            raise FilterSyntaxError(f"{text[position:]!r}: expected a word such as model:gpt-4o")
        conditions.append(_read_word(match))
        position = match.end()
    return CallFilter(tuple(conditions))


def _read_word(match: re.Match[str]) -> Condition:
    quoted, plain = match["quoted"], match["plain"]
    value = quoted if quoted is not None else plain or ""
    if match["field"] is None:
        return _read_plain_word(value, is_quoted=quoted is not None, is_negated=bool(match["not"]))
    field = find_field(match["field"])
    if field is None:
        names = "model, provider, error, user, chat, cost, duration"
        raise FilterSyntaxError(f"{match.group()!r}: no such field; fields are {names} and others")
    operator = _OPERATORS[match["operator"]]
    if match["not"]:
        operator = _OPPOSITES[operator]
    if not value:
        raise FilterSyntaxError(f"{match.group()!r}: expected a value after {match['operator']!r}")
    try:
        if field.type is FieldType.TEXT and "*" in value:
            operator = _LIKE.get(operator, operator)
        return Condition(field.name, operator, _read_value(field, value))
    except ValueError as error:
        raise FilterSyntaxError(f"{match.group()!r}: {error}") from None


def _read_plain_word(value: str, *, is_quoted: bool, is_negated: bool) -> Condition:
    field = None if is_quoted else find_field(value)
    if field is not None and field.type not in (FieldType.TIME, FieldType.TRACE):
        return Condition(field.name, "unset" if is_negated else "set")
    return Condition("", "!=" if is_negated else "=", value)


def _read_value(field: Field, text: str) -> Any:
    if field.type is FieldType.TIME:
        return parse_start(text)
    if field.type is FieldType.TRACE:
        if not re.fullmatch(r"[0-9a-fA-F]{1,32}", text):
            raise ValueError("expected up to 32 hexadecimal digits")
        return text.lower()
    if field.type in _NUMERIC:
        return _read_number(field, text)
    return text


def _read_number(field: Field, text: str) -> float:
    if field.type is FieldType.SECONDS:
        seconds = parse_duration(text)
        if seconds is not None:
            return seconds
    try:
        return float(text.lstrip("$"))
    except ValueError:
        example = "2s or 300ms" if field.type is FieldType.SECONDS else "0.01"
        raise ValueError(f"expected a number, such as {example}") from None
