"""Items go into the store and come out again, in this process or another."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress

import pytest

from lupis_instrument._export.accounting import Account
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.store import store as store_module
from lupis_instrument._export.store.database import StoreUnavailable
from lupis_instrument._export.store.schema import DELIVERED, REFUSED
from lupis_instrument._export.store.store import Process, Store

URL = "http://127.0.0.1:4318/v1/traces"


@pytest.fixture
def target(target_of):
    """The endpoint that items wait for."""
    return target_of(URL)


@pytest.fixture
def open_store(tmp_path):
    """Opens the store's file as another process does, or another file; it is closed at the end."""
    opened = []

    def make(folder="data", *, max_bytes=64 << 20, pid=1, leader="leader"):
        process = Process("shop", "run", pid, leader)
        opened.append(Store(str(tmp_path / folder), max_bytes, process))
        return opened[-1]

    yield make
    for store in opened:
        store.database.close()


def names_of(items):
    """Return the names of spans, from their encoding."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    return [Span.FromString(item.body).name for item in items]


def read_waiting(store, target, max_items=100, max_bytes=1 << 20):
    """Return items that wait for an endpoint."""
    return store.read_waiting(target, max_items=max_items, max_bytes=max_bytes)


def count_items(store):
    """Return the number of items in the file, whatever their state."""
    return store.database.run(lambda db: db.execute("SELECT count(*) FROM item").fetchone()[0])


# items


def test_waiting_items_come_out_oldest_first(store, items, target):
    """Origin and body are the same bytes as before."""
    added = items(3)
    store.add_items(added, target)
    waiting = read_waiting(store, target)
    assert ["0", "1", "2"] == names_of(waiting)
    assert [(item.origin, item.body) for item in added] == [
        (item.origin, item.body) for item in waiting
    ]


def test_items_without_a_target_do_not_wait(store, items, target):
    """They stay in the store."""
    store.add_items(items(2))
    assert ([], 2) == (read_waiting(store, target), count_items(store))


def test_targets_differ_by_address_wire_format_and_project(store, items, target):
    """Items are never sent to the endpoint of another one."""
    store.add_items(items(1), target)
    others = [
        target._replace(url=URL + "2", display_url=URL + "2"),
        target._replace(wire_format="events"),
        target._replace(project="x"),
    ]
    assert [[], [], []] == [read_waiting(store, other) for other in others]


@pytest.mark.parametrize(("max_items", "max_bytes"), [(2, 1 << 20), (100, 2500)])
def test_reading_is_limited_in_items_and_bytes(max_items, max_bytes, store, items, target):
    """One request holds no more."""
    store.add_items(items(5, size=1000), target)
    assert ["0", "1"] == names_of(read_waiting(store, target, max_items, max_bytes))


def test_a_big_item_is_read_alone(store, items, target):
    """It would otherwise wait without end."""
    store.add_items(items(2, size=1000), target)
    assert ["0"] == names_of(read_waiting(store, target, max_bytes=10))


@pytest.mark.parametrize("state", [DELIVERED, REFUSED])
def test_items_with_an_outcome_do_not_wait(state, store, items, target):
    """They stay in the store for reports."""
    ids = store.add_items(items(2), target)
    store.set_state(ids[:1], state)
    assert (["1"], 2) == (names_of(read_waiting(store, target)), count_items(store))


def test_refused_items_can_be_sent_again(store, items, target):
    """The user may have corrected the key."""
    store.set_state(store.add_items(items(2), target), REFUSED)
    store.reopen_refused(target)
    assert ["0", "1"] == names_of(read_waiting(store, target))


def test_items_can_be_added_as_refused(store, items, target):
    """Their state is stored in the same transaction."""
    store.add_items(items(2), target, refused=True)
    assert 0 == store.count_waiting(target)
    store.reopen_refused(target)
    assert 2 == store.count_waiting(target)


def test_the_columns_of_a_call_are_stored(store, llm_call):
    """Reports need not decode the span."""
    span = llm_call("gpt-4o", 10, 5, chat="c", cached=4, error="429")
    store.add_items(ItemEncoder(span.resource).encode_spans([span]))
    row = store.database.run(
        lambda db: db.execute(
            "SELECT provider, operation, model, input_tokens, output_tokens, cached_tokens, chat,"
            " error, duration, trace, span FROM item"
        ).fetchone()
    )
    ids = (span.context.trace_id.to_bytes(16, "big"), span.context.span_id.to_bytes(8, "big"))
    assert ("openai", "chat", "gpt-4o", 10, 5, 4, "c", "429", 10**9, *ids) == row


def test_spans_with_impossible_times_are_stored(store, finished):
    """A program may have set its clock to any time, as tests do."""
    spans = [finished(str(year), start=(year - 1970) * 31_557_600) for year in (1901, 2026, 2600)]
    store.add_items(ItemEncoder(spans[0].resource).encode_spans(spans))
    assert len(spans) == count_items(store)


def test_items_of_many_threads_are_all_stored(store, items, target):
    """The threads wait for each other."""
    batches = [items(20, first=number * 20) for number in range(8)]
    threads = [threading.Thread(target=store.add_items, args=(batch, target)) for batch in batches]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(map(str, range(160))) == sorted(names_of(read_waiting(store, target, 1000)))


def test_items_of_other_processes_are_marked(store, items, target, open_store):
    """They are not on the account of this process."""
    store.add_items(items(1), target)
    assert [False] == [item.own for item in read_waiting(open_store(), target)]
    assert [True] == [item.own for item in read_waiting(store, target)]


def test_an_interrupted_addition_leaves_nothing_behind(store, items, target, monkeypatch):
    """The rows of its origin and target are gone as well."""
    get_origin_id = store._get_origin_id

    def interrupt(*args):
        get_origin_id(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_get_origin_id", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.add_items(items(1), target)
    monkeypatch.undo()
    store.add_items(items(1, first=1), target)
    assert ["1"] == names_of(read_waiting(store, target))


# targets


def test_an_address_with_a_secret_is_not_stored(store, items, target, tmp_path):
    """The endpoint is recognised by its hash."""
    hidden = target._replace(
        url="http://u:hunter2hunter2@h/v1/traces", display_url="http://u:***@h/v1/traces"
    )
    store.add_items(items(1), hidden)
    assert ["0"] == names_of(read_waiting(store, hidden))
    ((listed, waiting, refused),) = store.list_targets()
    assert (None, hidden.display_url, 1, 0) == (listed.url, listed.display_url, waiting, refused)
    store.database.close()
    assert not any(b"hunter2" in path.read_bytes() for path in (tmp_path / "data").iterdir())


def test_an_address_without_secrets_is_known(store, items, target):
    """`lupis flush` can send to it."""
    store.add_items(items(1), target)
    assert [(target, 1, 0)] == store.list_targets()


# the lease


def test_only_one_process_has_the_lease(store, items, target):
    """It can renew the lease, and only it can give the lease back."""
    store.add_items(items(1), target)
    results = [
        store.acquire_lease(target, "first"),
        store.acquire_lease(target, "second"),
        store.acquire_lease(target, "first"),
    ]
    store.release_lease(target, "second")
    results.append(store.acquire_lease(target, "second"))
    store.release_lease(target, "first")
    results.append(store.acquire_lease(target, "second"))
    assert [True, False, True, False, True] == results


def test_a_lease_ends_by_itself(store, target):
    """Its holder may have been killed."""
    store.acquire_lease(target, "killed")
    store.database.run(lambda db: db.execute("UPDATE target SET held_until = held_until - 3600"))
    assert store.acquire_lease(target, "next")


# accounts


def test_the_accounts_of_the_process_tree_are_read(store, open_store):
    """Processes of other trees are left out, and so is this one."""
    account = Account()
    account.add_created(3)
    account.add_dropped(1, "queue full")
    for pid, leader in ((1, "leader"), (2, "another")):
        open_store(pid=pid, leader=leader).write_account(account, {"spans": pid})
    store.write_account(account, {"spans": 0})
    assert [((3, 0, 0, {"queue full": 1}), {"spans": 1})] == list(store.read_other_accounts())


def test_all_accounts_are_read(store, open_store):
    """`lupis doctor` adds them up."""
    account = Account()
    account.add_created(3)
    account.add_stored(3)
    open_store(pid=2, leader="another").write_account(account, {})
    store.write_account(account, {})
    assert [(3, 0, 3, {})] * 2 == store.read_accounts()


def test_a_process_leaves_one_account_for_each_of_its_programs(store):
    """The account of the last one stands beside them."""
    account = Account()
    account.add_created(1)
    for spans in (1, 2):
        store.write_account(account, {"spans": spans}, former=True)
    store.write_account(account, {"spans": 3})
    assert [1, 2] == sorted(totals["spans"] for _, totals in store.read_other_accounts())


# the size limit


def measure_files(store):
    """Return the size of the database, its log and the index of the log."""
    size = 0
    for path in store.database.path().parent.glob("store.db*"):
        with suppress(FileNotFoundError):  # the last writer removes the log
            size += path.stat().st_size
    return size


def test_a_full_file_deletes_delivered_items_first(open_store, items, target, capsys):
    """Waiting items stay as long as there is anything else to delete."""
    store = open_store("small", max_bytes=1 << 20)
    store.add_items(items(200, size=700), target)
    for first in range(200, 2000, 100):
        store.set_state(store.add_items(items(100, first=first, size=700), target), DELIVERED)
    store.add_items(items(100, first=2000, size=700), target)
    waiting = names_of(read_waiting(store, target, 1000))
    assert [*map(str, range(200)), *map(str, range(2000, 2100))] == waiting
    assert "" == capsys.readouterr().err
    assert store.database.path().stat().st_size < 1.6 * (1 << 20)


def test_deleted_waiting_items_are_counted_and_reported(open_store, items, target, capsys):
    """The oldest go first, and the line names the setting."""
    store = open_store("small", max_bytes=1 << 20)
    for first in range(0, 2000, 100):
        store.add_items(items(100, first=first, size=700), target)
    waiting = names_of(read_waiting(store, target, 2000, 1 << 30))
    lost = store.database.run(lambda db: db.execute("SELECT sum(items) FROM loss").fetchone()[0])
    assert 2000 == len(waiting) + lost
    assert "1999" == waiting[-1]
    assert "LUPIS_STORE_MAX_MB=1" in capsys.readouterr().err


@pytest.mark.slow
def test_the_log_counts_towards_the_limit(open_store, items, target):
    """The database, its write-ahead log and the index of the log stay near the limit together."""
    store = open_store("small", max_bytes=8 << 20)
    sizes = []
    for first in range(0, 8000, 100):
        store.add_items(items(100, first=first, size=2000), target)
        sizes.append(measure_files(store))
    assert max(sizes) < 1.2 * (8 << 20)


WRITER = """
import os, sys
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.store.store import Process, Store
resource = Resource({"pid": os.getpid()})
tracer = TracerProvider(resource=resource, shutdown_on_exit=False).get_tracer("tests")
spans = [tracer.start_span("call", attributes={"filler": "x" * 2000}) for _ in range(100)]
for span in spans:
    span.end()
store = Store(sys.argv[1], 8 << 20, Process("shop", "run", os.getpid()))
for _ in range(40):
    store.add_items(ItemEncoder(resource).encode_spans(spans))
"""


@pytest.mark.slow
def test_the_limit_holds_while_several_processes_write(open_store, tmp_path):
    """SQLite alone lets the log grow for as long as one of them writes."""
    store = open_store("data", max_bytes=8 << 20)
    command = [sys.executable, "-c", WRITER, str(tmp_path / "data")]
    writers = [subprocess.Popen(command) for _ in range(3)]
    largest = 0
    while any(writer.poll() is None for writer in writers):
        largest = max(largest, measure_files(store))
        time.sleep(0.01)
    assert [0, 0, 0] == [writer.returncode for writer in writers]
    assert 4 << 20 < largest < 2 * (8 << 20)


def test_a_reader_that_stays_does_not_stop_writers(open_store, items, target):
    """It keeps the log from being emptied, so the log grows."""
    store = open_store("small", max_bytes=4 << 20)
    store.database.busy_seconds = 0.1
    store.add_items(items(1), target)
    with closing(sqlite3.connect(store.database.path(), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM item").fetchall()
        store.add_items(items(400, size=2000), target)
        assert 401 == store.count_waiting(target)
        reader.execute("COMMIT")
    for _ in range(4):
        store.add_items(items(200, size=2000), target)
    assert measure_files(store) < 5 << 20


def test_items_are_stored_though_no_room_can_be_made(open_store, items, target, monkeypatch):
    """Another process may be writing just then; the next addition makes room."""
    store = open_store("small", max_bytes=1 << 18)
    store.database.busy_seconds = 0.1
    store.add_items(items(200, size=2000))
    before, make_room = count_items(store), store_module.make_room
    with closing(sqlite3.connect(store.database.path(), isolation_level=None)) as other:

        def make_room_while_locked(*args):
            other.execute("BEGIN IMMEDIATE")
            make_room(*args)

        monkeypatch.setattr(store_module, "make_room", make_room_while_locked)
        store.add_items(items(150, first=1000, size=2000), target)
        other.execute("ROLLBACK")
    assert (150, before + 150) == (store.count_waiting(target), count_items(store))
    monkeypatch.undo()
    store.add_items(items(1))
    assert count_items(store) < before + 150


def test_a_full_disk_is_reported(store, items):
    """The items from before stay."""
    store.add_items(items(1))
    store.database.run(lambda db: db.execute("PRAGMA max_page_count = 30"))
    with pytest.raises(StoreUnavailable, match="full"):
        store.add_items(items(100, size=5000))
    assert 1 == count_items(store)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_parent_and_child_both_store_items(store, items):
    """Each opens the file for itself."""
    store.add_items(items(1))
    store.database.before_fork()
    child = os.fork()
    if not child:
        store.database.after_fork_in_child()
        store.add_items(items(1))
        store.database.close()
        os._exit(0)
    store.database.after_fork_in_parent()
    assert 0 == os.waitpid(child, 0)[1]
    store.add_items(items(1))
    assert 3 == count_items(store)


# Endpoints that refuse


@pytest.mark.parametrize(
    ("url", "form", "project", "adopted"),
    [
        ("http://127.0.0.1:4318/other", "traces", "shop", 1),
        ("http://127.0.0.1:4319/v1/traces", "traces", "shop", 0),
        ("http://127.0.0.1:4318/v1/logs", "logs", "shop", 0),
        ("http://127.0.0.1:4318/other", "traces", "lab", 0),
    ],
)
def test_items_that_another_path_of_the_server_has_refused_are_adopted(
    url, form, project, adopted, open_store, target, items
):
    """They are of the same kind and project; waiting items stay with their path."""
    store = open_store()
    store.add_items(items(1), target, refused=True)
    store.add_items(items(1), target)
    mended = target._replace(url=url, display_url=url, wire_format=form, project=project)
    store.adopt_refused(mended)
    assert (adopted, 1) == (store.count_waiting(mended), store.count_waiting(target))


def test_all_items_of_an_endpoint_can_be_moved(open_store, target, items):
    """Waiting and refused ones; delivered ones stay."""
    store = open_store()
    store.add_items(items(1), target, refused=True)
    (delivered, _) = store.add_items(items(2), target)
    store.set_state([delivered], DELIVERED)
    new_target = target._replace(url="http://b/x", display_url="http://b/x")
    store.move_items(target, new_target)
    assert (2, 0) == (store.count_waiting(new_target), store.count_waiting(target))


def test_an_endpoint_that_takes_no_events_is_remembered_for_a_day(open_store, target, monkeypatch):
    """Other processes learn it, and only the first is told that it is new."""
    now = [1000.0]
    monkeypatch.setattr(store_module, "time", lambda: now[0])
    first, second = open_store(), open_store(pid=2)
    assert not first.has_refused_events(target)
    assert [True, False] == [store.note_refused_events(target) for store in (first, second)]
    assert second.has_refused_events(target)
    now[0] += 86_401
    assert not second.has_refused_events(target)
    assert not second.note_refused_events(target)
