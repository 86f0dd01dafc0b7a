"""Reads the list of messages of a long chat by its beginning and its newest messages.

A chat sends all earlier messages with every call. A checkpoint notes where the newest messages of
a call began, and a hash of the bytes before that place. In the next call, the messages up to the
checkpoint are the same and need not be parsed.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, NamedTuple, Sequence

from lupis_instrument._llm.conversation.conversations import RecentMap

_LIST_NAMES = frozenset(("messages", "contents", "input", "inputs"))
"""Members that are the list of a chat's messages: see `conversation.turns`."""
_KEY_BYTES = 2048
"""Bytes at the start of a list by which its checkpoints are stored."""
_WINDOW_BYTES = 512
"""Bytes before a checkpoint that must be the same."""
_START_BYTES = 64 * 1024
"""Bytes before a list that may be parsed."""
_HEAD_LENGTH = 16
_TAIL_LENGTH = 32
"""Elements after a checkpoint: more than conversations are matched by."""
_MAX_ELEMENTS = 200_000
_MAX_CHECKPOINTS = 8

_SPACE = re.compile(r"[ \t\n\r]*")
_COLON = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_AFTER_VALUE = re.compile(r"[ \t\n\r]*([,\]}])[ \t\n\r]*")
# Latin-1 gives the text as many characters as it has bytes. Only positions are read from it.
_parse_value = json.JSONDecoder().raw_decode


class Checkpoint(NamedTuple):
    """A position in a list.

    Attributes:
        offset: bytes from the start of the list to an element.
        number: the number of elements before it.
        window: the hash of the bytes before the element.
    """

    offset: int
    number: int
    window: int


class LongList(Sequence[Any]):
    """The elements of a list in a JSON text, parsed when they are used."""

    def __init__(self, body: bytes, text: str, start: int, checkpoint: Checkpoint | None) -> None:
        """Find the elements behind the checkpoint.

        Args:
            body: the JSON text.
            text: the same as Latin-1.
            start: the position after the list's opening bracket.
            checkpoint: a position in the list from an earlier call.

        Raises:
            ValueError: the text is no JSON, or the list has too many elements.
        """
        self._body = body
        self._text = text
        self._start = start
        self._first = checkpoint.number if checkpoint is not None else 0
        offset = checkpoint.offset if checkpoint is not None else 0
        self._positions, self.end = _find_elements(text, start + offset, _MAX_ELEMENTS)
        self._head = self._positions[: 2 * _HEAD_LENGTH]
        if self._first:
            self._head, _ = _find_elements(text, start, _HEAD_LENGTH)

    def __len__(self) -> int:
        return self._first + len(self._positions) // 2

    def __getitem__(self, index: Any) -> Any:
        """Return an element, or a list of elements for a slice."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        positions, number = self._head, 2 * index
        if number >= len(positions):
            if index < self._first:
                self._positions, _ = _find_elements(self._text, self._start, _MAX_ELEMENTS)
                self._first = 0
            positions, number = self._positions, number - 2 * self._first
        return json.loads(self._body[positions[number] : positions[number + 1]])

    def make_checkpoint(self) -> Checkpoint | None:
        """Return a position near the end of the list; None if the list is short."""
        index = len(self) - _TAIL_LENGTH
        if index <= max(self._first, _HEAD_LENGTH):
            return None
        position = self._positions[2 * (index - self._first)]
        return Checkpoint(position - self._start, index, _hash_window(self._body, position))


class LongLists:
    """Reads requests with a long list, by the checkpoints of earlier calls."""

    def __init__(self, may_parse: Callable[[bytes], bool]) -> None:
        """Start without any request.

        Args:
            may_parse: returns whether parsing a text takes little time and memory.
        """
        self._may_parse = may_parse
        self._checkpoints: RecentMap[int, list[Checkpoint]] = RecentMap()

    def read_members(self, body: bytes) -> dict[str, Any] | None:
        """Return the members of a JSON object; the list of messages is parsed when it is used.

        None if the object has no such list near its start, or if it must not be parsed.
        """
        text = body.decode("latin-1")
        try:
            return self._walk_members(body, text)
        except (ValueError, IndexError, RecursionError):
            return None

    def _walk_members(self, body: bytes, text: str) -> dict[str, Any]:
        members: dict[str, Any] = {}
        before_list, parsed_text = True, text[:_START_BYTES]
        position = _skip_space(text, 0)
        if text[position] != "{":
            raise ValueError("no object")
        position = _skip_space(text, position + 1)
        while text[position] != "}":
            key_start = position
            key, position = _parse_value(parsed_text, position)
            colon = _COLON.match(text, position) if isinstance(key, str) else None
            if colon is None:
                raise ValueError("no member")
            start = colon.end()
            if before_list and key in _LIST_NAMES and text[start] == "[":
                members[key], position = self._read_list(body, text, _skip_space(text, start + 1))
                before_list, parsed_text = False, text
            else:
                _, position = _parse_value(parsed_text, start)
                members.update(json.loads(b"{" + body[key_start:position] + b"}"))
            separator = _AFTER_VALUE.match(text, position)
            if separator is None or separator[1] == "]":
                raise ValueError("no object")
            position = separator.start(1) if separator[1] == "}" else separator.end()
        return members

    def _read_list(self, body: bytes, text: str, start: int) -> tuple[LongList, int]:
        key = hash(body[start : start + _KEY_BYTES])
        checkpoints = self._checkpoints.get(key) or []
        checkpoint = next((known for known in checkpoints if _fits(known, body, start)), None)
        offset = checkpoint.offset if checkpoint is not None else 0
        if not self._may_parse(body[start + offset :]):
            raise ValueError("too many values")
        elements = LongList(body, text, start, checkpoint)
        newest = elements.make_checkpoint()
        if newest is not None and newest not in checkpoints:
            others = [known for known in checkpoints if known is not checkpoint]
            self._checkpoints.put(key, [newest, *others][:_MAX_CHECKPOINTS])
        return elements, elements.end


def _fits(checkpoint: Checkpoint, body: bytes, start: int) -> bool:
    position = start + checkpoint.offset
    return position < len(body) and _hash_window(body, position) == checkpoint.window


def _hash_window(body: bytes, position: int) -> int:
    return hash(body[max(0, position - _WINDOW_BYTES) : position])


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match is not None else position


def _find_elements(text: str, position: int, limit: int) -> tuple[list[int], int]:
    """Return the positions of at most `limit` elements of a list, and of the end of the list.

    There are two positions for each element, its start and its end: a list of numbers is built
    faster than a list of pairs.
    """
    positions: list[int] = []
    if text[position] == "]":
        return positions, position + 1
    for _ in range(limit):
        _, end = _parse_value(text, position)
        positions += (position, end)
        if text[end] == "," and text[end + 1] == "{":
            position = end + 1
        elif text[end] == "," and text[end + 1 : end + 3] == " {":
            position = end + 2
        else:
            match = _AFTER_VALUE.match(text, end)
            if match is None or match[1] == "}":
                raise ValueError("no list")
            if match[1] == "]":
                return positions, match.end(1)
            position = match.end()
    if limit == _MAX_ELEMENTS:
        raise ValueError("too many elements")
    return positions, position
