"""Events, made on the program's thread: whatever it gives becomes something JSON can hold."""

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

MOST_TEXT = 8 * 1024
"""Characters of one text; more is cut."""
MOST_ITEMS = 1000
"""Members of one list or dict; more are left out."""
MOST_DEPTH = 8
"""Levels of nesting; what lies deeper is left out."""
MOST_SIZE = 64 * 1024
"""Bytes of one event as JSON; what comes later is cut or left out."""
_MOST_BITS = 1000
_FRAME = 1024
"""Bytes of an event's own keys, and of what says that something was left out."""
_AROUND = 13
"""Bytes of quotes, colon and comma around a name and a value, or of a short value."""
_NUMBER = 24
"""Bytes of a float, or of an integer that is not a long one."""
_CUT = "[cut]"
_PLAIN = re.compile(r"[ !#-\[\]-~]*\Z").match
"""Finds the texts that JSON holds as they are."""


class MetadataCache:
    """The metadata that was copied last: one event after the other has the same."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: tuple[Conversation | None, dict[str, Any], int] = (None, {}, 0)

    def of(self, conversation: Conversation, copy: _Copy) -> dict[str, Any]:
        """Return the metadata of an event that `copy` copies."""
        of, made, size = self._last
        if of is not conversation:
            before = copy.left
            made = copy.members(collect_metadata(conversation))
            self._last = (conversation, made, before - copy.left)
        else:
            copy.left -= size
        return made


def make_event(
    name: str,
    properties: Mapping[str, Any] | None,
    conversation: Conversation,
    metadata: MetadataCache | None = None,
) -> Event:
    """Return an event as it is sent; the program may change `properties` afterwards."""
    copy = _Copy()
    named = properties if isinstance(properties, Mapping) else {"value": properties}
    # In this order: a big event loses properties, not whose it is.
    title, whose = copy.text(name), (metadata or MetadataCache()).of(conversation, copy)
    return {
        "name": title,
        "timestamp": int(time() * 1000),
        "properties": copy.members(named) if properties is not None else {},
        "metadata": whose,
    }


class _Copy:
    """Copies the values of one event; what JSON cannot hold becomes a readable marker."""

    __slots__ = ("_inside", "left")

    def __init__(self) -> None:
        self.left = MOST_SIZE - _FRAME
        self._inside: list[int] = []

    def value(self, value: Any) -> Any:
        """Return a copy of `value`."""
        self.left -= _AROUND
        if self.left <= 0:
            return _CUT
        try:
            return self._value(value)
        except Exception:  # a property of its own class, or a dict that another thread changes
            return self._marker(value)

    def text(self, value: Any) -> str:
        """Return `value` as text that UTF-8 can hold, or as much of it as there is room for."""
        if type(value) is str and len(value) <= MOST_TEXT and _PLAIN(value):
            left = self.left - len(value)
            if left >= 0:
                self.left = left
                return value
        try:
            text = str(value)
        except Exception:
            return self._marker(value)
        length = len(text)
        if length > MOST_TEXT:
            text = f"{_cut(text, MOST_TEXT)}[cut: {length}]"
        if not text.isascii():
            text = text.encode(errors="replace").decode()
        size = len(json.dumps(text))
        if size > self.left:
            # As JSON, a character may take twelve bytes.
            text = f"{_cut(text, max(0, self.left) // 12)}[cut: {length}]"
            size = len(json.dumps(text))
        self.left -= size
        return text

    def members(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        """Return a copy of a mapping."""
        result: dict[str, Any] = {}
        for key, item in value.items():
            if len(result) >= MOST_ITEMS or self.left <= 0:
                result[_CUT] = len(value)
                break
            if type(item) is str and type(key) is str and _PLAIN(key) and _PLAIN(item):
                left = self.left - len(key) - len(item) - _AROUND
                if left >= 0 and len(key) <= MOST_TEXT >= len(item):
                    self.left = left
                    result[key] = item
                    continue
            result[self.text(key)] = self.value(item)
        return result

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool):
            return value
        self.left -= _NUMBER
        if isinstance(value, int):
            bits = value.bit_length()
            self.left -= bits // 3 if bits <= _MOST_BITS else 0
            return int(value) if bits <= _MOST_BITS else f"[int of {bits} bits]"
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else f"[{float(value)!r}]"
        if isinstance(value, (dict, list, tuple, set, frozenset, Mapping)):
            return self._container(value)
        return self._marker(value)

    def _container(self, value: Any) -> Any:
        if id(value) in self._inside:
            return "[cyclic]"
        if len(self._inside) >= MOST_DEPTH:
            return "[too deep]"
        self._inside.append(id(value))
        try:
            return self.members(value) if isinstance(value, Mapping) else self._items(value)
        finally:
            self._inside.pop()

    def _items(self, value: Any) -> list[Any]:
        result: list[Any] = []
        for item in value:
            if len(result) >= MOST_ITEMS or self.left <= 0:
                result.append(f"[cut: {len(value)}]")
                break
            result.append(self.value(item))
        return result

    def _marker(self, value: Any) -> str:
        return self.text(f"[{type(value).__name__}]")


def _cut(text: str, length: int) -> str:
    # Few events are cut; the others don't wait until the rules are loaded.
    from lupis_instrument._redaction import truncate_text

    return truncate_text(text, length)
