"""Scans JSON of any length in pieces and keeps only a few members."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from itertools import accumulate
from typing import Any, Callable, Dict, List, Union

_TOKEN = re.compile(rb'["{}\[\]]|-?[0-9][-+.eE0-9]*|true|false|null')
_QUOTED = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_STRING = re.compile(_QUOTED, re.DOTALL)
_STRING_REST = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_NO_BRACKETS = rb'[^\[\]{}"]*'
_CONTAINER = _QUOTED
for _ in range(3):  # a pattern for containers that are nested at most three deep
    _CONTAINER = rb"[\[{]%b(?:(?:%b|%b)%b)*[\]}]" % (
        _NO_BRACKETS,
        _QUOTED,
        _CONTAINER,
        _NO_BRACKETS,
    )
_VALUE = rb"(?:[-+.0-9a-zA-Z]+|%b|%b)" % (_QUOTED, _CONTAINER)
_OPENING = re.compile(rb'["{\[]')
_QUOTE_OR_BRACKET = re.compile(rb'["{}\[\]]')
_NOT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_QUOTE, _BRACE, _BACKSLASH = b'"{\\'
_DEPTH_CHANGES = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_LITERALS = {b"true": True, b"false": False, b"null": None}
_MAX_TEXT = 512
_MAX_KEPT_VALUES = 4096
_MAX_ELEMENTS = 128
_MAX_SCALAR = 512
_LARGE_CONTAINER = 4096  # bytes of a skipped container that are read token by token
_MAX_TOKENS = 500_000
"""Tokens that are read singly, less than a second of work. No answer of a model has so many."""
_TOKENS_PER_SKIP = 8
"""Brackets and strings that are skipped in the time of one token."""

Container = Union[Dict[str, Any], List[Any]]


class JsonScanner:
    """A push parser that emits each top-level value, or each element of a top-level array, pruned.

    An object keeps only the members in `names`. If a member is also in `whole_names`, everything
    in its value is kept. A string longer than 512 bytes becomes None. At most about 4,096 values
    are kept, whatever is fed. Broken or cut-off JSON gives the members that were complete.

    The scanner holds a stack of the open containers that it keeps. A container that it doesn't
    keep is skipped by counting brackets, and members that it doesn't keep by one search for many.
    Both are much faster than parsing. A text with more than 500,000 other tokens is garbage: the
    scanner stops reading it.
    """

    __slots__ = (
        "_emit", "_in_long_string", "_kept_count", "_key", "_names", "_skip_depth",
        "_skipped_members", "_stack", "_tail", "_tokens_left", "_whole_depth", "_whole_names",
    )  # fmt: skip

    def __init__(
        self, names: frozenset[str], whole_names: frozenset[str], emit: Callable[[Any], object]
    ) -> None:
        self._names = names
        self._skipped_members = _compile_skipped_members(names)
        self._tokens_left = _MAX_TOKENS
        self._whole_names = whole_names
        self._emit = emit
        self._stack: list[Container] = []
        self._key: str | None = None  # the key whose value comes next
        self._tail = b""  # the start of a token that the next piece completes
        self._skip_depth = 0  # open containers within the one that is skipped, and itself
        self._whole_depth = 0  # length of the stack from which on everything is kept
        self._kept_count = 0
        self._in_long_string = False  # within a string that is not kept

    def feed(self, data: bytes) -> None:
        """Read a piece of the JSON text, cut anywhere."""
        text = self._tail + data
        self._tail = b""
        position = 0
        while position < len(text) and self._tokens_left > 0:
            self._tokens_left -= 1
            if self._in_long_string:
                position = self._skip_string(text, position)
            elif self._skip_depth:
                position = self._skip_container(text, position)
            else:
                position = self._read_token(text, position)

    def close(self) -> None:
        """Emit the complete members of a value that is cut off: the text has ended."""
        while self._stack:
            self._close_container()
        self._tail = b""

    def _read_token(self, text: bytes, position: int) -> int:
        """Read one token that isn't skipped; return the position after it."""
        if self._expects_key() and not self._whole_depth:
            skipped = self._skipped_members.match(text, position)
            if skipped is not None:
                return skipped.end()
        # A number outside all containers is of no interest, and garbage may be full of numbers.
        match = (_TOKEN if self._stack else _OPENING).search(text, position)
        if match is None:
            self._tail = _find_partial_literal(text, position)
            return len(text)
        first = text[match.start()]
        if first == _QUOTE:
            return self._read_string(text, match.start())
        if first in _DEPTH_CHANGES:
            if _DEPTH_CHANGES[first] > 0:
                self._open_container({} if first == _BRACE else [])
            else:
                self._close_container()
        elif match.end() == len(text) and len(match.group()) < _MAX_SCALAR:
            self._tail = match.group()  # a number may continue in the next piece
            return len(text)
        else:
            self._add_scalar(match.group())
        return match.end()

    def _read_string(self, text: bytes, start: int) -> int:
        end = _find_string_end(text, start + 1)
        if end < 0:
            if len(text) - start <= _MAX_TEXT:
                self._tail = text[start:]
                return len(text)
            self._in_long_string = True
            return start + 1
        self._add_string(text[start : end + 1])
        return end + 1

    def _skip_string(self, text: bytes, position: int) -> int:
        """Skip the remaining part of a long string; return the position after it."""
        end = _find_string_end(text, position)
        if end >= 0:
            self._in_long_string = False
            if not self._skip_depth:
                self._add_string(b"")
            return end + 1
        self._tail = _find_open_escape(text, position)
        return len(text)

    def _add_string(self, quoted: bytes) -> None:
        """Take a string as the next key of an object, or else as a value."""
        if self._expects_key():
            self._key = _parse_text(quoted) or ""
            return
        if self._stack and self._is_kept(None):
            self._store_value(_parse_text(quoted))
        self._key = None

    def _expects_key(self) -> bool:
        """Return whether the next token is a key of an object, or the object's end."""
        return self._key is None and bool(self._stack) and isinstance(self._stack[-1], dict)

    def _is_kept(self, value: Any) -> bool:
        """Return whether to keep a value at the current position."""
        if not self._stack:
            return True
        max_kept = _MAX_KEPT_VALUES * (2 if self._whole_depth else 1)
        if self._kept_count >= max_kept and len(self._stack) > 1:
            return False
        container = self._stack[-1]
        if isinstance(container, list):
            is_wanted = self._whole_depth > 0 or isinstance(value, dict)
            return len(container) < _MAX_ELEMENTS and is_wanted
        return self._whole_depth > 0 or self._key in self._names

    def _add_scalar(self, token: bytes) -> None:
        if self._expects_key():
            self._tokens_left = 0  # a key is a string: this is no JSON
        elif self._is_kept(None):
            self._store_value(_parse_scalar(token))
        self._key = None

    def _store_value(self, value: Any) -> None:
        self._kept_count += 1
        container = self._stack[-1]
        if isinstance(container, dict):
            container[self._key or ""] = value
        else:
            container.append(value)

    def _open_container(self, container: Container) -> None:
        if not self._is_kept(container):
            self._skip_depth = 1
            return
        if not self._whole_depth and self._key in self._whole_names:
            self._whole_depth = len(self._stack) + 1
        if self._stack and not self._is_top_level():
            self._store_value(container)
        self._stack.append(container)
        self._key = None

    def _close_container(self) -> None:
        self._key = None
        if not self._stack:
            return
        container = self._stack.pop()
        if len(self._stack) < self._whole_depth:
            self._whole_depth = 0
        if isinstance(container, dict) and (not self._stack or self._is_top_level()):
            self._emit(container)
            self._kept_count = 0

    def _is_top_level(self) -> bool:
        """Return whether the next value is an element of the outermost array."""
        return len(self._stack) == 1 and isinstance(self._stack[0], list)

    def _skip_container(self, text: bytes, position: int) -> int:
        """Skip a container, or as much of it as has come; return the position after it.

        The first 4,096 bytes are read token by token. A container that is still open then is
        probably large, so the remaining text of the piece is skipped at once if possible.
        """
        start = position
        while self._skip_depth and not self._in_long_string and position < len(text):
            self._tokens_left -= 1
            position = self._skip_token(text, position)
            if 0 <= start < position - _LARGE_CONTAINER:
                start = -1  # try this once for each piece
                if self._skip_remaining(text, position):
                    return len(text)
        return position

    def _skip_token(self, text: bytes, position: int) -> int:
        match = _QUOTE_OR_BRACKET.search(text, position)
        if match is None:
            return len(text)
        if match.group() == b'"':
            self._in_long_string = True
            return self._skip_string(text, match.end())
        self._skip_depth += _DEPTH_CHANGES[match.group()[0]]
        if not self._skip_depth:
            self._key = None
        return match.end()

    def _skip_remaining(self, text: bytes, position: int) -> bool:
        """Skip all of `text` from `position` on; return False if the container ends in it.

        Without its strings, the text is only brackets, whose depths are added up. The appended
        letter and quote close a string that is cut off at the end, even after a backslash. If no
        string is cut off, the quote has no partner and remains.
        """
        without_strings, count = _STRING.subn(b"", text[position:] + b'n"')
        brackets = without_strings.translate(None, _NOT_BRACKETS)
        self._tokens_left -= (count + len(brackets)) // _TOKENS_PER_SKIP
        changes = [_DEPTH_CHANGES[bracket] for bracket in brackets]
        if self._skip_depth + min(accumulate(changes), default=0) <= 0:
            return False
        self._skip_depth += sum(changes)
        if not without_strings.endswith(b'n"'):
            self._in_long_string = True
            self._tail = _find_open_escape(text, position)
        return True


def _find_string_end(text: bytes, start: int) -> int:
    """Return the position of the quote that ends a string whose content begins at `start`; or -1.

    A quote ends the string if an even number of backslashes comes before it.
    """
    end = text.find(b'"', start)
    if end < 0 or text[end - 1] != _BACKSLASH or end == start:
        return end
    match = _STRING_REST.match(text, start)
    end = match.end() if match is not None else len(text)
    return end if text[end : end + 1] == b'"' else -1


@lru_cache(maxsize=None)
def _compile_skipped_members(names: frozenset[str]) -> re.Pattern[bytes]:
    """Return a pattern for up to 200 members of an object that are not kept, and are complete."""
    kept = b"|".join(re.escape(name.encode()) for name in sorted(names))
    member = rb"[\s,]*\"(?!(?:" + kept + rb")\")[^\"\\]*\"\s*:\s*" + _VALUE + rb"(?=\s*[,}])"
    return re.compile(rb"(?:" + member + rb"){1,200}", re.DOTALL)


def _find_open_escape(text: bytes, start: int) -> bytes:
    """Return the backslash at the end of a cut-off string if it escapes the next character."""
    backslashes = len(text) - len(text.rstrip(b"\\"))
    return b"\\" if min(backslashes, len(text) - start) % 2 else b""


def _parse_text(quoted: bytes) -> str | None:
    if not quoted or len(quoted) > _MAX_TEXT:
        return None
    if b"\\" not in quoted:
        return quoted[1:-1].decode("utf-8", "replace")
    try:
        text = json.loads(quoted.decode("utf-8", "replace"), strict=False)
    except ValueError:
        return None
    return text if isinstance(text, str) else None


def _parse_scalar(token: bytes) -> Any:
    if token in _LITERALS:
        return _LITERALS[token]
    try:
        return json.loads(token)
    except (ValueError, RecursionError):
        return None


def _find_partial_literal(text: bytes, start: int) -> bytes:
    """Return the end of `text` if it may be the beginning of a literal or a number."""
    for length in range(min(4, len(text) - start), 0, -1):
        end = text[-length:]
        if any(literal.startswith(end) for literal in (*_LITERALS, b"-")):
            return end
    return b""
