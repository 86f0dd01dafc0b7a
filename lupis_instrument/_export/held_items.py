"""Items that wait in memory, because neither their endpoint nor the store accepts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from lupis_instrument._diagnostics import warn
from lupis_instrument._export.store.database import StoreUnavailable
from lupis_instrument._export.store.size_limit import split_items
from lupis_instrument._process.native_threads import RLock

if TYPE_CHECKING:
    from lupis_instrument._export.accounting import Account
    from lupis_instrument._export.otlp.destinations import Destination
    from lupis_instrument._export.otlp.encoded_items import EncodedItem
    from lupis_instrument._export.store.store import Store

    Group = Tuple[Optional[Destination], List[EncodedItem]]

MAX_HELD_BYTES = 32 << 20
"""The size of all items in memory; the oldest items beyond it are dropped."""
NO_STORE = "no store"
"""The reason for which items are dropped that found no place at all."""


class HeldItems:
    """Groups of items by destination, oldest first; any thread may call the methods."""

    def __init__(self, store: Store, account: Account) -> None:
        """Hold nothing yet.

        Args:
            store: takes the items as soon as it can be used again.
            account: counts the items that are stored or dropped.
        """
        self._store = store
        self._account = account
        self.reset()

    def reset(self) -> None:
        """Hold nothing; in a forked child, the items belong to the parent."""
        self._lock = RLock()
        self._groups: list[Group] = []

    def __bool__(self) -> bool:
        """Whether any item is held."""
        with self._lock:
            return bool(self._groups)

    def add_group(self, destination: Destination | None, items: list[EncodedItem]) -> None:
        """Hold `items`, and drop the oldest groups that no longer fit into memory."""
        with self._lock:
            self._groups.append((destination, items))
            size = sum(len(item.body) for _, held in self._groups for item in held)
            while size > MAX_HELD_BYTES:
                _, lost = self._groups.pop(0)
                size -= sum(len(item.body) for item in lost)
                self._account.add_dropped(len(lost), NO_STORE)

    def list_destinations(self) -> list[Destination]:
        """Return the endpoints that held items wait for."""
        with self._lock:
            return list(
                {known.target: known for known, _ in self._groups if known is not None}.values()
            )

    def has_items(self, destination: Destination) -> bool:
        """Return whether items for `destination` are held."""
        return bool(self.find_groups(destination))

    def find_groups(self, destination: Destination) -> list[list[EncodedItem]]:
        """Return the groups for `destination`; `remove_items` takes sent items out of them."""
        with self._lock:
            return [items for held_for, items in self._groups if held_for == destination]

    def remove_items(self, group: list[EncodedItem], sent: Sequence[EncodedItem]) -> bool:
        """Remove `sent`, the first items of `group`; returns False if `group` is held no more."""
        with self._lock:
            if not any(items is group for _, items in self._groups):
                return False
            del group[: len(sent)]
            self._groups = [held for held in self._groups if held[1]]
            return True

    def store_all(self) -> None:
        """Store the items, up to the first failure: each attempt may wait for other processes."""
        groups = self._take_all()
        try:
            while groups:
                destination, items = groups[0]
                target = destination.target if destination is not None else None
                for part in split_items(tuple(items)):
                    self._store.add_items(part, target)
                    self._account.add_stored(len(part))
                    del items[: len(part)]
                del groups[0]
        except StoreUnavailable as error:
            warn(f"cannot store spans and events: {error}")
        finally:
            with self._lock:
                self._groups[:0] = groups

    def drop_all(self) -> bool:
        """Try once more to store the items, and drop the remaining ones.

        Returns:
            Whether no item was dropped.
        """
        self.store_all()
        lost = self._take_all()
        for _, items in lost:
            self._account.add_dropped(len(items), NO_STORE)
        return not lost

    def _take_all(self) -> list[Group]:
        with self._lock:
            groups, self._groups = self._groups, []
        return groups
