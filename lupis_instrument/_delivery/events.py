"""Events, made on the program's thread: whatever it gives becomes something JSON can hold."""

from __future__ import annotations

import math
from time import time
from typing import TYPE_CHECKING, Any, Dict, Mapping

from lupis_instrument._context import metadata_of

if TYPE_CHECKING:
    from lupis_instrument._context import Conversation

Event = Dict[str, Any]

MOST_TEXT = 8 * 1024
"""Characters of one text; more is cut."""
MOST_ITEMS = 1000
"""Members of one list or dict; more are left out."""
MOST_DEPTH = 8
"""Levels of nesting; what lies deeper is left out."""
MOST_SIZE = 256 * 1024
"""Characters of one event, roughly; what comes later is left out."""
_MOST_BITS = 1000


def make(name: str, properties: Mapping[str, Any] | None, conversation: Conversation) -> Event:
    """Return an event as it is sent; the program may change `properties` afterwards."""
    copy = _Copy()
    named = properties if isinstance(properties, Mapping) else {"value": properties}
    return {
        "name": copy.text(name),
        "timestamp": int(time() * 1000),
        "properties": copy.members(named if properties is not None else {}),
        "metadata": copy.members(metadata_of(conversation)),
    }


class _Copy:
    """Copies the values of one event; what JSON cannot hold becomes a readable marker."""

    def __init__(self) -> None:
        self._left = MOST_SIZE
        self._inside: list[int] = []

    def value(self, value: Any) -> Any:
        """Return a copy of `value`."""
        self._left -= 8
        if self._left <= 0:
            return "[cut]"
        try:
            return self._value(value)
        except Exception:  # a property of its own class, or a dict that another thread changes
            return _marker(value)

    def text(self, value: Any) -> str:
        """Return `value` as text that UTF-8 can hold."""
        try:
            text = str(value)
        except Exception:
            return _marker(value)
        length = len(text)
        if length > MOST_TEXT:
            text = f"{text[:MOST_TEXT]}[cut: {length}]"
        self._left -= len(text)
        return text if text.isascii() else text.encode(errors="replace").decode()

    def members(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        """Return a copy of a mapping."""
        result: dict[str, Any] = {}
        for key, item in value.items():
            if len(result) >= MOST_ITEMS or self._left <= 0:
                result["[cut]"] = len(value)
                break
            result[self.text(key)] = self.value(item)
        return result

    def _value(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int):
            bits = value.bit_length()
            return int(value) if bits <= _MOST_BITS else f"[int of {bits} bits]"
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else f"[{float(value)!r}]"
        if isinstance(value, (Mapping, list, tuple, set, frozenset)):
            return self._container(value)
        return _marker(value)

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
            if len(result) >= MOST_ITEMS or self._left <= 0:
                result.append(f"[cut: {len(value)}]")
                break
            result.append(self.value(item))
        return result


def _marker(value: Any) -> str:
    return f"[{type(value).__name__}]"
