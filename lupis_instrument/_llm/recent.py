"""A mapping with a limited number of entries."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

MAX_ENTRIES = 10_000


class RecentMap(Generic[Key, Value]):
    """A mapping that keeps the 10,000 most recently used entries.

    `functools.lru_cache` does the same for functions; this class also replaces and removes entries.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """Return the value of `key`, or None, and mark the entry as just used."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def pop(self, key: Key) -> Value | None:
        """Remove the entry of `key`, and return its value, or None."""
        return self._entries.pop(key, None)

    def put(self, key: Key, value: Value) -> None:
        """Store `value`, and drop the least recently used entry if there are too many."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
