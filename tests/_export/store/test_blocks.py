"""Full blocks of items are added up as they are stored."""

from contextlib import closing
from sqlite3 import DatabaseError, connect

import pytest

from lupis_instrument._export.otlp.encoded_items import SPAN, EncodedItem, Facts
from lupis_instrument._export.otlp.encoding import OWN_SCOPE, Origin
from lupis_instrument._export.store import blocks, store
from lupis_instrument._export.store.block_tables import SIZE
from lupis_instrument._export.store.database import FILE_NAME
from lupis_instrument._export.store.store import Process, Store


class Item(EncodedItem):
    """An item whose facts are its source."""

    @property
    def facts(self):
        return self.source


def make_items(count):
    """Returns calls of 1 USD."""
    origin = Origin(b"\n\x00", OWN_SCOPE)
    return [
        Item(SPAN, origin, b"x", Facts(number, 2 * 10**6, "chat", provider="p", cost=1.0))
        for number in range(count)
    ]


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A store that a process writes to; it counts as large."""
    monkeypatch.setattr(blocks, "MIN_ITEMS", 0)
    written = Store(str(tmp_path), 1 << 30, Process("shop", "run", 8, "8:1"))
    yield written
    written.database.close()


def read_sums(folder):
    """Returns calls and cost of the blocks by their first id."""
    with closing(connect(folder / FILE_NAME)) as db:
        return db.execute("SELECT id, calls, cost FROM block_origin ORDER BY id").fetchall()


def test_block_is_added_up_once_it_is_full(written, tmp_path):
    """The last items wait for the next block. Ids begin with 1."""
    written.add_items(make_items(SIZE - 2))
    assert [] == read_sums(tmp_path)
    written.add_items(make_items(1))
    assert [(1, SIZE - 1, SIZE - 1.0)] == read_sums(tmp_path)
    written.add_items(make_items(SIZE + 1))
    assert [(1, SIZE - 1, SIZE - 1.0), (SIZE, SIZE, float(SIZE))] == read_sums(tmp_path)


def test_small_store_is_not_added_up(written, tmp_path, monkeypatch):
    """Reports read the items of such a store, and writing stays cheap."""
    monkeypatch.setattr(blocks, "MIN_ITEMS", SIZE + 1)
    written.add_items(make_items(SIZE))
    assert [] == read_sums(tmp_path)


def test_small_store_with_high_ids_is_not_added_up(written, tmp_path, monkeypatch):
    """The ids of items that were deleted do not make it large."""
    written.add_items(make_items(1))
    written.database.run(lambda db: db.execute("DELETE FROM item"))
    written.database.run(lambda db: db.execute("UPDATE sequence SET last = 1000000"))
    monkeypatch.setattr(blocks, "MIN_ITEMS", 2 * SIZE)
    written.add_items(make_items(SIZE))
    written.add_items(make_items(SIZE))
    assert [] == read_sums(tmp_path)


def test_blocks_of_a_file_without_sums_follow_bit_by_bit(written, tmp_path, monkeypatch):
    """A process does not add up a large file of an older release at once: the newest come first."""
    with monkeypatch.context() as patch:
        patch.setattr(store, "add_up_full_blocks", lambda *_: None)
        written.add_items(make_items(4 * SIZE))
    monkeypatch.setattr(blocks, "_MAX_BLOCKS_AT_ONCE", 3)
    written.add_items(make_items(SIZE))
    assert [2 * SIZE, 3 * SIZE, 4 * SIZE] == [row[0] for row in read_sums(tmp_path)]


def test_items_are_stored_if_they_cannot_be_added_up(written, monkeypatch):
    """Reports read the items then."""

    def fail(*_):
        raise DatabaseError("database disk image is malformed")

    monkeypatch.setattr(store, "add_up_full_blocks", fail)
    assert SIZE == len(written.add_items(make_items(SIZE)))
