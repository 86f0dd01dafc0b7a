"""Finds further copies of a value that a name hides: ``login hunter22, password: hunter22``.

Only the copy behind the name has a name. A copy is redacted if it stands alone, and if the value
looks random, since a word may stand elsewhere with another meaning.
"""

from __future__ import annotations

from typing import Iterable, Iterator

from lupis_instrument._redaction.assignments import looks_random
from lupis_instrument._redaction.hits import Hit

_MIN_LENGTH = 8
_MAX_LENGTH = 256
# Each value is searched for in the whole text.
_MAX_VALUES = 8


def find_copies(text: str, hits: Iterable[Hit]) -> Iterator[Hit]:
    """Yield the copies of fully hidden values.

    Args:
        text: The text.
        hits: The secrets in it.
    """
    values: dict[str, Hit] = {}
    for hit in hits:
        if hit.fully_hidden and _MIN_LENGTH <= hit.end - hit.start <= _MAX_LENGTH:
            value = text[hit.start : hit.end]
            if value not in values and looks_random(value):
                values[value] = hit
                if len(values) == _MAX_VALUES:
                    break
    for value, hit in values.items():
        position = text.find(value)
        while position >= 0:
            end = position + len(value)
            if _is_alone(text, position, end):
                yield Hit(position, end, hit.rule, fully_hidden=True)
            position = text.find(value, end)


def _is_alone(text: str, start: int, end: int) -> bool:
    """Return whether neither a letter nor a digit stands beside a part of a text."""
    return not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())
