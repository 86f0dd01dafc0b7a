"""Reads JSON of any length in pieces and keeps only the few members that are asked for."""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import Any, Callable, Dict, List, Union

_TOKEN = re.compile(rb'["{}\[\]]|-?[0-9][-+.eE0-9]*|true|false|null')
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NESTING = re.compile(rb'["{}\[\]]')
_NOT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_QUOTE, _BRACE = b'"{'
_STEPS = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_LITERALS = {b"true": True, b"false": False, b"null": None}
_MOST_TEXT = 512
_MOST_KEPT = 4096
_MOST_ELEMENTS = 128
_LONGEST_SCALAR = 512
_FEW = 4096  # bytes read token by token before a container counts as large

Container = Union[Dict[str, Any], List[Any]]


class Skim:
    """A push parser that hands on each top-level value (or element of a top-level array), pruned.

    Objects keep only members named in `words`; the value of one named in `whole` is kept with all
    that is in it. Strings longer than 512 bytes become None. What is kept is bounded by 4,096
    values, whatever is fed. Broken or cut-off JSON yields what was complete until then.
    """

    __slots__ = (
        "_emit",
        "_kept",
        "_key",
        "_long",
        "_skipped",
        "_stack",
        "_tail",
        "_whole",
        "_whole_words",
        "_words",
    )  # fmt: skip

    def __init__(
        self, words: frozenset[str], whole: frozenset[str], emit: Callable[[Any], object]
    ) -> None:
        self._words = words
        self._whole_words = whole
        self._emit = emit
        self._stack: list[Container] = []
        self._key: str | None = None
        self._tail = b""
        self._skipped = 0  # depth below the container that is being skipped
        self._whole = 0  # depth of the stack below which everything is kept
        self._kept = 0
        self._long = False  # within a string that is not kept

    def feed(self, data: bytes) -> None:
        """Read a piece, cut anywhere."""
        text = self._tail + data
        self._tail = b""
        place = 0
        while place < len(text):
            if self._long:
                place = self._leave_string(text, place)
            elif self._skipped:
                place = self._skip(text, place)
            else:
                place = self._step(text, place)

    def close(self) -> None:
        """End of the text: hand on what a cut-off value held."""
        while self._stack:
            self._leave_container()
        self._tail = b""

    def _step(self, text: bytes, place: int) -> int:
        """Read one token of what is kept; return where the next one starts."""
        match = _TOKEN.search(text, place)
        if match is None:
            self._tail = _cut_literal(text, place)
            return len(text)
        first = text[match.start()]
        if first == _QUOTE:
            return self._read_string(text, match.start())
        if first in _STEPS:
            if _STEPS[first] > 0:
                self._enter_container({} if first == _BRACE else [])
            else:
                self._leave_container()
        elif match.end() == len(text) and len(match.group()) < _LONGEST_SCALAR:
            self._tail = match.group()  # a number may go on in the next piece
            return len(text)
        else:
            self._put(_read_scalar(match.group()))
        return match.end()

    def _read_string(self, text: bytes, start: int) -> int:
        end = _find_string_end(text, start + 1)
        if end < 0:
            if len(text) - start <= _MOST_TEXT:
                self._tail = text[start:]
                return len(text)
            self._long = True
            return start + 1
        self._take_string(text[start : end + 1])
        return end + 1

    def _leave_string(self, text: bytes, place: int) -> int:
        end = _find_string_end(text, place)
        if end >= 0:
            self._long = False
            if not self._skipped:
                self._take_string(b"")
            return end + 1
        self._tail = _find_open_escape(text, place)
        return len(text)

    def _take_string(self, quoted: bytes) -> None:
        if self._key is None and self._stack and isinstance(self._stack[-1], dict):
            self._key = _read_text(quoted) or ""
            return
        if self._stack and self._wants(None):
            self._attach(_read_text(quoted))
        self._key = None

    def _wants(self, value: Any) -> bool:
        """Whether the value that stands here is kept."""
        if not self._stack:
            return True
        if self._kept >= _MOST_KEPT * (2 if self._whole else 1) and len(self._stack) > 1:
            return False
        holder = self._stack[-1]
        if isinstance(holder, list):
            return len(holder) < _MOST_ELEMENTS and (self._whole > 0 or isinstance(value, dict))
        return self._whole > 0 or self._key in self._words

    def _put(self, value: Any) -> None:
        if self._stack and self._wants(value):
            self._attach(value)
        self._key = None

    def _attach(self, value: Any) -> None:
        self._kept += 1
        holder = self._stack[-1]
        if isinstance(holder, dict):
            holder[self._key or ""] = value
        else:
            holder.append(value)

    def _enter_container(self, container: Container) -> None:
        if not self._wants(container):
            self._skipped = 1
            return
        if not self._whole and self._key in self._whole_words:
            self._whole = len(self._stack) + 1
        if self._stack and not self._is_top():
            self._attach(container)
        self._stack.append(container)
        self._key = None

    def _leave_container(self) -> None:
        self._key = None
        if not self._stack:
            return
        container = self._stack.pop()
        if len(self._stack) < self._whole:
            self._whole = 0
        if isinstance(container, dict) and (not self._stack or self._is_top()):
            self._emit(container)
            self._kept = 0

    def _is_top(self) -> bool:
        """Whether what is entered now is an element of the outermost array."""
        return len(self._stack) == 1 and isinstance(self._stack[0], list)

    def _skip(self, text: bytes, place: int) -> int:
        """Pass over a container that is not kept; return where reading goes on."""
        start = place
        while self._skipped and not self._long and place < len(text):
            place = self._skip_token(text, place)
            if 0 <= start < place - _FEW:
                start = -1
                if self._skip_block(text, place):
                    return len(text)
        return place

    def _skip_token(self, text: bytes, place: int) -> int:
        match = _NESTING.search(text, place)
        if match is None:
            return len(text)
        if match.group() == b'"':
            self._long = True
            return self._leave_string(text, match.end())
        self._skipped += _STEPS[match.group()[0]]
        if not self._skipped:
            self._key = None
        return match.end()

    def _skip_block(self, text: bytes, place: int) -> bool:
        """Pass over the rest of the piece at one go, if the container doesn't end in it."""
        # The letter and quote added end a string that is cut off here, even after a backslash;
        # where none is, the quote is left alone.
        bare = _STRING.sub(b"", text[place:] + b'n"')
        brackets = bare.translate(None, _NOT_BRACKETS)
        steps = [_STEPS[bracket] for bracket in brackets]
        if self._skipped + min(accumulate(steps), default=0) <= 0:
            return False
        self._skipped += sum(steps)
        if not bare.endswith(b'n"'):
            self._long = True
            self._tail = _find_open_escape(text, place)
        return True


def _find_string_end(text: bytes, place: int) -> int:
    """Where the quote is that ends the string whose inside starts at `place`; -1: not here."""
    while True:
        end = text.find(b'"', place)
        if end < 0:
            return -1
        inside = text[place:end]
        if (len(inside) - len(inside.rstrip(b"\\"))) % 2 == 0:
            return end
        place = end + 1


def _find_open_escape(text: bytes, place: int) -> bytes:
    """The backslash at the end of a cut-off string that escapes what comes next, if one does."""
    trailing = len(text) - len(text.rstrip(b"\\"))
    return b"\\" if min(trailing, len(text) - place) % 2 else b""


def _read_text(quoted: bytes) -> str | None:
    if not quoted or len(quoted) > _MOST_TEXT:
        return None
    if b"\\" not in quoted:
        return quoted[1:-1].decode("utf-8", "replace")
    try:
        text = json.loads(quoted.decode("utf-8", "replace"), strict=False)
    except ValueError:
        return None
    return text if isinstance(text, str) else None


def _read_scalar(token: bytes) -> Any:
    if token in _LITERALS:
        return _LITERALS[token]
    try:
        return json.loads(token)
    except (ValueError, RecursionError):
        return None


def _cut_literal(text: bytes, place: int) -> bytes:
    """The end of `text` that may be the start of a literal cut off there."""
    for length in range(min(4, len(text) - place), 0, -1):
        end = text[-length:]
        if any(literal.startswith(end) for literal in (*_LITERALS, b"-")):
            return end
    return b""
