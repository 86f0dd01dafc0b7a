"""Totals from the sums of blocks equal the sums of the items, whatever has happened to these."""

import random
import sqlite3
from contextlib import closing

import pytest

from lupis_instrument._export.otlp.encoded_items import Facts
from lupis_instrument._export.store import blocks as stored_blocks
from lupis_instrument._export.store.block_tables import SIZE
from lupis_instrument._export.store.blocks import add_up_blocks, find_missing_blocks
from lupis_instrument._export.store.schema import DELIVERED, migrate_schema
from lupis_instrument._query import blocks
from lupis_instrument._query.calls import list_calls
from lupis_instrument._query.filters import make_filter
from lupis_instrument._query.groupings import DIMENSIONS
from lupis_instrument._query.series import count_over_time
from lupis_instrument._query.totals import add_up_calls

START = 1_700_000_000_000_000_000
HOUR = 3600 * 10**9
COUNT = 3 * SIZE + 500
COLUMNS = ("id", "kind", "state", "origin", *Facts._fields)
INSERT = f"INSERT INTO item ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
FILTERS = (
    {},
    {"since": START + HOUR},
    {"since": START + HOUR + 1, "until": START + 5 * HOUR + 7},
    {"model": "m1"},
    {"error": True},
    {"error": False, "provider": "p1"},
    {"status": 429, "run": "run-1"},
    {"user": "user-1"},
    {"project": "shop", "host": "h0", "until": START + 4 * HOUR},
    {"min_cost": 0.5},
    {"retries": True},
)


def make_row(draw, number):
    """Returns a span, mostly a call, with any of the values that programs send."""
    is_call = draw.random() < 0.9
    facts = Facts(
        at=START + number * 6 * HOUR // COUNT + draw.randrange(HOUR // 10),
        duration=draw.randrange(5 * 10**9),
        name="chat",
        chat=draw.choice([None, f"chat-{number // 30}"]),
        provider=f"p{draw.randrange(2)}" if is_call else None,
        operation=draw.choice(["chat", "embeddings", None]),
        model=draw.choice(["m1", "m2", None]),
        input_tokens=draw.choice([None, 0, draw.randrange(9000), "many"]),
        output_tokens=draw.choice([None, draw.randrange(900), 1.5]),
        cached_tokens=draw.choice([None, draw.randrange(90)]),
        cost=draw.choice([None, draw.random(), 1e-9]),
        cost_status=draw.choice(["priced", "partial", "unpriced", None]),
        error=draw.choice([None, None, "429", "TimeoutError"]),
        first_chunk=draw.choice([None, draw.random()]),
        user=draw.choice([None, "user-1", "user-2"]),
        session=draw.choice([None, "s"]),
        host=draw.choice(["h0", "h1"]),
        status=draw.choice([200, 429, None, "odd"]),
        resends=draw.choice([None, 1]),
    )
    return (number, 0, 0, draw.randrange(1, 4), *facts)


@pytest.fixture(scope="module")
def built():
    """A store with three full blocks and a part of a fourth."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate_schema(connection)
        for number in (1, 2, 3):
            connection.execute(
                "INSERT INTO origin VALUES (?, ?, x'', ?, ?, 7, 'web', NULL)",
                (number, bytes([number]), ("shop", "lab")[number % 2], f"run-{number}"),
            )
        draw = random.Random(1)
        rows = [make_row(draw, number) for number in range(1, COUNT)]
        connection.executemany(INSERT, rows)
        connection.execute("UPDATE sequence SET last = ?", (COUNT - 1,))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stored_blocks, "MIN_ITEMS", 0)
            add_up_blocks(connection)
        yield connection


@pytest.fixture
def db(built, monkeypatch):
    """A copy of this store, which counts as a large one."""
    for module in (blocks, stored_blocks):
        monkeypatch.setattr(module, "MIN_ITEMS", 0)
    monkeypatch.setattr(blocks, "_MAX_READ_SHARE", 1)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        built.backup(connection)
        yield connection


def read_totals(db, by, call_filter):
    """Returns the totals by key, without the last digits of sums of fractions."""
    groups, damaged = add_up_calls(db, by, call_filter)
    names = ("calls", "errors", "input_tokens", "output_tokens", "cached_tokens", "unknown")
    return damaged, {
        key: (
            *(getattr(totals, name) for name in (*names, "unpriced", "partial", "time", "priced")),
            *(None if totals.cost is None else pytest.approx(totals.cost),),
            *(totals.latencies.counts, totals.first_chunks.counts),
        )
        for key, totals in groups.items()
    }


def check_totals(db, monkeypatch, dimensions=("model", "user", "hour"), filters=FILTERS[:3]):
    """Compares totals by blocks with totals by items."""
    for by in [(name,) for name in dimensions]:
        for values in filters:
            call_filter = make_filter(**values)
            sums_of_blocks = read_totals(db, by, call_filter)
            with monkeypatch.context() as patch:
                patch.setattr(blocks, "has_blocks", lambda _: False)
                assert read_totals(db, by, call_filter) == sums_of_blocks, (by, values)


def count_blocks(db):
    return db.execute("SELECT count(*) FROM block").fetchone()[0]


def test_totals_of_blocks_and_items_are_the_same(db, monkeypatch):
    """For every dimension, with conditions that sums can answer and others."""
    assert 3 == count_blocks(db)
    sums = blocks.find_block_sums(db, ["model"], make_filter(since=START + HOUR, model="m1"))
    assert "block_origin" == sums.table
    check_totals(db, monkeypatch, ("model", "session"), FILTERS)
    check_totals(db, monkeypatch, DIMENSIONS)


def test_condition_that_sums_cannot_answer_reads_the_items(db):
    """The cost of each call, and words that may be anywhere."""
    for values in ({"min_cost": 0.5}, {"retries": True}, {"chat": "c", "model": "m"}):
        assert blocks.find_block_sums(db, ["model"], make_filter(**values)) is None
    assert blocks.find_block_sums(db, ["user", "model"], make_filter()) is None


def test_deleted_items_leave_the_totals(db, monkeypatch):
    """A block that loses an item loses its sums, and its items are read."""
    db.execute("DELETE FROM item WHERE id = ?", (SIZE + 5,))
    assert 2 == count_blocks(db)
    check_totals(db, monkeypatch)
    add_up_blocks(db)
    assert 3 == count_blocks(db)
    check_totals(db, monkeypatch)


def test_all_items_of_a_block_are_deleted(db, monkeypatch):
    """The oldest items go first from a full store."""
    db.execute("DELETE FROM item WHERE id < ?", (2 * SIZE,))
    assert 1 == count_blocks(db)
    check_totals(db, monkeypatch)
    assert [] == find_missing_blocks(db)


def test_changed_item_changes_the_totals(db, monkeypatch):
    """Another program may change the file. A new state leaves the sums as they are."""
    db.execute("UPDATE item SET state = ?", (DELIVERED,))
    assert 3 == count_blocks(db)
    db.execute("UPDATE item SET cost = 7 WHERE id = 9")
    assert 2 == count_blocks(db)
    check_totals(db, monkeypatch)


def test_damaged_item_is_counted_as_before(db, monkeypatch):
    """Its block gets no sums, so that the item is left out and reported."""
    db.execute("UPDATE item SET duration = 'x' WHERE id = 100 AND provider IS NOT NULL")
    add_up_blocks(db)
    assert [(0, 0), (1, 1), (2, 1)] == db.execute("SELECT id, is_whole FROM block").fetchall()
    check_totals(db, monkeypatch)


def test_random_changes(db, monkeypatch):
    """Inserts, deletions, updates and additions in any order."""
    draw = random.Random(3)
    last = COUNT - 1
    for _ in range(4):
        ids = sorted(draw.sample(range(1, last), 2))
        db.execute("DELETE FROM item WHERE id BETWEEN ? AND ?", (ids[0], ids[0] + 40))
        db.execute("UPDATE item SET error = '500' WHERE id = ?", (ids[1],))
        rows = [make_row(draw, number) for number in range(last + 1, last + 1500)]
        db.executemany(INSERT, rows)
        last += len(rows)
        db.execute("UPDATE sequence SET last = ?", (last,))
        if draw.random() < 0.7:
            add_up_blocks(db)
        for by in (("model",), ("day",), ("user",)):
            sums_of_blocks = read_totals(db, by, make_filter(since=START + HOUR))
            with monkeypatch.context() as patch:
                patch.setattr(blocks, "has_blocks", lambda _: False)
                assert read_totals(db, by, make_filter(since=START + HOUR)) == sums_of_blocks


@pytest.mark.parametrize("values", FILTERS[:8])
def test_series_of_blocks_and_items_are_the_same(db, monkeypatch, values):
    """The steps are multiples of a quarter of an hour; the period begins and ends anywhere."""
    period, step = (START + HOUR // 7, START + 5 * HOUR + 1), HOUR // 2
    points = count_over_time(db, *period, step=step, call_filter=make_filter(**values))
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "has_blocks", lambda _: False)
        of_items = count_over_time(db, *period, step=step, call_filter=make_filter(**values))
    assert [point[:-1] for point in of_items] == [point[:-1] for point in points]
    assert [point.cost for point in of_items] == pytest.approx([point.cost for point in points])


def test_list_of_calls_that_do_not_exist_is_empty(db):
    """The sums show it, and items beside them are looked at too."""
    for values in ({"model": "other"}, {"user": "nobody"}, {"host": "h0", "status": 500}):
        assert [] == list_calls(db, make_filter(**values)).calls
    db.execute("UPDATE item SET model = 'other' WHERE id IN (5, ?)", (COUNT - 1,))
    calls = list_calls(db, make_filter(model="other")).calls
    assert {5, COUNT - 1} >= {call.id for call in calls} != set()


def test_damaged_sums_do_not_keep_a_report_from_its_answer(db):
    """A file may be damaged anywhere."""
    db.execute("UPDATE block_origin SET latencies = '1,x,' || latencies, cost = 'y'")
    db.execute("DELETE FROM block WHERE id = 1")
    db.execute("UPDATE block SET first_at = 'z' WHERE id = 2")
    groups, _ = add_up_calls(db, ("model",), make_filter(since=START))
    assert all(totals.latency[0] for totals in groups.values())
    add_up_blocks(db)
    assert 3 == count_blocks(db)
