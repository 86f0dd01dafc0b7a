"""Turns an event of the program into values that JSON can hold, on the program's own thread."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from time import time
from typing import TYPE_CHECKING, Any, Dict

from lupis_instrument._tracing.context import collect_metadata

if TYPE_CHECKING:
    from lupis_instrument._tracing.context import Conversation

Event = Dict[str, Any]

MAX_TEXT_LENGTH = 8 * 1024
"""Characters of one text; a longer text is cut."""
MAX_ITEMS = 1000
"""Members of one list or dict; further members are left out."""
MAX_DEPTH = 8
"""Levels of nesting; deeper values are left out."""
MAX_EVENT_SIZE = 64 * 1024
"""Bytes of one event as JSON; once they are used up, values are cut or left out."""
_MAX_INT_BITS = 1000
_FRAME_SIZE = 1024
"""Bytes reserved for an event's own keys and for the markers of omitted values."""
_PAIR_SIZE = 13
"""Bytes of the quotes, colon and comma around a name and its value, or of a short value."""
_NUMBER_SIZE = 24
"""Bytes of a float, or of an integer of ordinary length."""
_CUT = "[cut]"
_is_plain = re.compile(r"[ !#-\[\]-~]*\Z").match
"""Matches texts that JSON holds without escapes."""


class MetadataCache:
    """The copied metadata of the last conversation; consecutive events mostly share it."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: tuple[Conversation | None, dict[str, Any], int] = (None, {}, 0)

    def copy_metadata(self, conversation: Conversation, copy: _JsonCopy) -> dict[str, Any]:
        """Return the metadata of an event.

        Args:
            conversation: the conversation of the event.
            copy: the copy of the event's other values; the metadata's size counts in it.
        """
        # One tuple is read and replaced at once, so threads need no lock.
        cached_conversation, metadata, size = self._last
        if cached_conversation is not conversation:
            before = copy.bytes_left
            metadata = copy.copy_mapping(collect_metadata(conversation))
            self._last = (conversation, metadata, before - copy.bytes_left)
        else:
            copy.bytes_left -= size
        return metadata


def make_event(
    name: str,
    properties: Mapping[str, Any] | None,
    conversation: Conversation,
    metadata: MetadataCache | None = None,
) -> Event:
    """Return an event as it is sent; the program may change `properties` afterwards."""
    copy = _JsonCopy()
    mapping = properties if isinstance(properties, Mapping) else {"value": properties}
    # Name and metadata come first: an event that is too big loses properties, not its owner.
    title = copy.copy_text(name)
    owner = (metadata or MetadataCache()).copy_metadata(conversation, copy)
    return {
        "name": title,
        "timestamp": int(time() * 1000),
        "properties": copy.copy_mapping(mapping) if properties is not None else {},
        "metadata": owner,
    }


class _JsonCopy:
    """Copies the values of one event; a value that JSON cannot hold becomes a readable marker.

    Attributes:
        bytes_left: the bytes of JSON that further values may take.
    """

    __slots__ = ("_open_containers", "bytes_left")

    def __init__(self) -> None:
        self.bytes_left = MAX_EVENT_SIZE - _FRAME_SIZE
        self._open_containers: list[int] = []

    def copy_value(self, value: Any) -> Any:
        """Return a copy of `value`, or a marker in its place."""
        self.bytes_left -= _PAIR_SIZE
        if self.bytes_left <= 0:
            return _CUT
        try:
            return self._copy_any(value)
        except Exception:  # an object of a class that fails, or a dict that another thread changes
            return self._make_marker(value)

    def copy_text(self, value: Any) -> str:
        """Return `value` as text that UTF-8 can hold, cut to the room that is left."""
        if type(value) is str and len(value) <= MAX_TEXT_LENGTH and _is_plain(value):
            bytes_left = self.bytes_left - len(value)
            if bytes_left >= 0:
                self.bytes_left = bytes_left
                return value
        try:
            text = str(value)
        except Exception:
            return self._make_marker(value)
        length = len(text)
        if length > MAX_TEXT_LENGTH:
            text = f"{_cut_text(text, MAX_TEXT_LENGTH)}[cut: {length}]"
        if not text.isascii():
            text = text.encode(errors="replace").decode()
        size = len(json.dumps(text))
        if size > self.bytes_left:
            # A character takes up to twelve bytes of JSON: a surrogate pair of `\uXXXX` escapes.
            text = f"{_cut_text(text, max(0, self.bytes_left) // 12)}[cut: {length}]"
            size = len(json.dumps(text))
        self.bytes_left -= size
        return text

    def copy_mapping(self, mapping: Mapping[Any, Any]) -> dict[str, Any]:
        """Return a copy of a mapping; its keys become text."""
        result: dict[str, Any] = {}
        for key, item in mapping.items():
            if len(result) >= MAX_ITEMS or self.bytes_left <= 0:
                result[_CUT] = len(mapping)
                break
            # The usual case, two short plain texts, without a call of another function.
            if type(item) is str and type(key) is str and _is_plain(key) and _is_plain(item):
                bytes_left = self.bytes_left - len(key) - len(item) - _PAIR_SIZE
                if bytes_left >= 0 and len(key) <= MAX_TEXT_LENGTH >= len(item):
                    self.bytes_left = bytes_left
                    result[key] = item
                    continue
            result[self.copy_text(key)] = self.copy_value(item)
        return result

    def _copy_any(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.copy_text(value)
        if value is None or isinstance(value, bool):
            return value
        self.bytes_left -= _NUMBER_SIZE
        if isinstance(value, int):
            bits = value.bit_length()
            # Three bits are about one decimal digit.
            self.bytes_left -= bits // 3 if bits <= _MAX_INT_BITS else 0
            return int(value) if bits <= _MAX_INT_BITS else f"[int of {bits} bits]"
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else f"[{float(value)!r}]"
        if isinstance(value, (dict, list, tuple, set, frozenset, Mapping)):
            return self._copy_container(value)
        return self._make_marker(value)

    def _copy_container(self, value: Any) -> Any:
        if id(value) in self._open_containers:
            return "[cyclic]"
        if len(self._open_containers) >= MAX_DEPTH:
            return "[too deep]"
        self._open_containers.append(id(value))
        try:
            is_mapping = isinstance(value, Mapping)
            return self.copy_mapping(value) if is_mapping else self._copy_items(value)
        finally:
            self._open_containers.pop()

    def _copy_items(self, items: Any) -> list[Any]:
        result: list[Any] = []
        for item in items:
            if len(result) >= MAX_ITEMS or self.bytes_left <= 0:
                result.append(f"[cut: {len(items)}]")
                break
            result.append(self.copy_value(item))
        return result

    def _make_marker(self, value: Any) -> str:
        return self.copy_text(f"[{type(value).__name__}]")


def _cut_text(text: str, length: int) -> str:
    # The import loads the redaction rules. Only the few events that are cut wait for it.
    from lupis_instrument._redaction import truncate_text

    return truncate_text(text, length)
