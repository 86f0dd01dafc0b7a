"""The file of spans and events: what goes in comes out, whoever uses it and whatever befalls it."""

import os
import sqlite3
import stat
import threading
from contextlib import closing

import pytest

from lupis_instrument._export.accounting import Account
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.store.database import FILE_NAME, StoreUnavailable
from lupis_instrument._export.store.schema import DELIVERED, MIGRATIONS, REFUSED
from lupis_instrument._export.store.store import Process, Store

URL = "http://127.0.0.1:4318/v1/traces"


def names(items):
    """The spans' names, from their encoding."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    return [Span.FromString(item.body).name for item in items]


def take(store, target, most=100, most_bytes=1 << 20):
    """What waits."""
    return store.read_waiting(target, max_items=most, max_bytes=most_bytes)


def count(store, table="item"):
    """How many rows a table has."""
    return store.database.run(lambda db: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


# what goes in comes out


def test_what_waits_comes_out_oldest_first(store, items, target_of):
    """With its origin, byte for byte."""
    made = items(3)
    store.add_items(made, target_of(URL))
    items = take(store, target_of(URL))
    assert ["0", "1", "2"] == names(items)
    assert [(each.origin, each.body) for each in made] == [
        (each.origin, each.body) for each in items
    ]


def test_what_is_to_stay_does_not_wait(store, items, target_of):
    """No target, no outbox."""
    store.add_items(items(2))
    assert ([], 2) == (take(store, target_of(URL)), count(store))


def test_targets_are_kept_apart(store, items, target_of):
    """By address, form and project."""
    store.add_items(items(1), target_of(URL))
    others = [target_of(URL + "2"), target_of(URL, "events"), target_of(URL)._replace(project="x")]
    assert [[], [], []] == [take(store, other) for other in others]


@pytest.mark.parametrize(("most", "most_bytes"), [(2, 1 << 20), (100, 2500)])
def test_no_more_than_asked_for_is_taken(most, most_bytes, store, items, target_of):
    """In number and in bytes."""
    store.add_items(items(5, size=1000), target_of(URL))
    assert ["0", "1"] == names(take(store, target_of(URL), most, most_bytes))


def test_a_big_item_is_taken_alone(store, items, target_of):
    """However big it is, or it would wait for ever."""
    store.add_items(items(2, size=1000), target_of(URL))
    assert ["0"] == names(take(store, target_of(URL), most_bytes=10))


@pytest.mark.parametrize("state", [DELIVERED, REFUSED])
def test_what_is_settled_waits_no_more(state, store, items, target_of):
    """But it stays for reports."""
    ids = store.add_items(items(2), target_of(URL))
    store.set_state(ids[:1], state)
    assert (["1"], 2) == (names(take(store, target_of(URL))), count(store))


def test_what_was_refused_can_be_tried_again(store, items, target_of):
    """When somebody has mended the reason."""
    store.set_state(store.add_items(items(2), target_of(URL)), REFUSED)
    store.reopen_refused(target_of(URL))
    assert ["0", "1"] == names(take(store, target_of(URL)))


def test_an_address_that_holds_a_secret_is_not_written_down(store, items, target_of, tmp_path):
    """It is known again by its hash."""
    hidden = target_of("http://u:hunter2hunter2@h/v1/traces")._replace(
        display_url="http://u:***@h/v1/traces"
    )
    store.add_items(items(1), hidden)
    assert ["0"] == names(take(store, hidden))
    ((found, waiting, refused),) = store.list_targets()
    assert (None, hidden.display_url, 1, 0) == (found.url, found.display_url, waiting, refused)
    store.database.close()
    assert not any(b"hunter2" in path.read_bytes() for path in (tmp_path / "data").iterdir())


def test_an_address_without_secrets_can_be_sent_to(store, items, target_of):
    """By whoever flushes."""
    store.add_items(items(1), target_of(URL))
    assert [URL] == [target.url for target, _, _ in store.list_targets()]


def test_facts_have_columns(store, llm_call):
    """So that reports need not decode."""
    from lupis_instrument._export.otlp.encoded_items import ItemEncoder

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


def test_figures_that_another_span_has_too_are_found(store, finished):
    """By the name under which ours repeats them."""
    from lupis_instrument._export.otlp.encoded_items import ItemEncoder

    span = finished(
        "chat m",
        {
            "gen_ai.response.model": "m",
            "lupis.repeated.input_tokens": 3,
            "lupis.repeated.output_tokens": 4,
        },
    )
    (item,) = ItemEncoder(span.resource).encode_spans([span])
    facts = item.facts
    assert ("m", 3, 4) == (facts.model, facts.input_tokens, facts.output_tokens)


# whoever uses it


def test_one_sends_at_a_time(store, items, target_of):
    """Until it lets go."""
    target = target_of(URL)
    store.add_items(items(1), target)
    steps = [
        store.acquire_lease(target, "me"),
        store.acquire_lease(target, "you"),
        store.acquire_lease(target, "me"),
    ]
    store.release_lease(target, "you")
    steps.append(store.acquire_lease(target, "you"))
    store.release_lease(target, "me")
    steps.append(store.acquire_lease(target, "you"))
    assert [True, False, True, False, True] == steps


def test_a_lease_runs_out(store, target_of):
    """Its holder may have been killed."""
    target = target_of(URL)
    store.acquire_lease(target, "dead")
    store.database.run(lambda db: db.execute("UPDATE target SET held_until = held_until - 3600"))
    assert store.acquire_lease(target, "next")


def test_what_others_stored_is_told_apart(store, items, target_of, tmp_path):
    """It is not on this process's account."""
    other = Store(str(tmp_path / "data"), 64 << 20, Process("shop", "run", 1, "leader"))
    store.add_items(items(1), target_of(URL))
    assert [False] == [item.own for item in take(other, target_of(URL))]
    assert [True] == [item.own for item in take(store, target_of(URL))]
    other.database.close()


def test_threads_lose_nothing(store, items, target_of):
    """All at once."""
    made = [items(20, first=n * 20) for n in range(8)]
    threads = [
        threading.Thread(target=store.add_items, args=(each, target_of(URL))) for each in made
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(map(str, range(160))) == sorted(names(take(store, target_of(URL), 1000)))


def test_accounts_of_the_tree_are_found(store, tmp_path):
    """Of the other processes under the same leader."""
    account = Account()
    account.add_created(3)
    account.add_dropped(1, "queue full")
    for pid, leader in ((1, "leader"), (2, "another")):
        other = Store(str(tmp_path / "data"), 64 << 20, Process("shop", "run", pid, leader))
        other.write_account(account, {"spans": pid})
        other.database.close()
    store.write_account(account, {"spans": 0})
    assert [((3, 0, 0, {"queue full": 1}), {"spans": 1})] == list(store.read_other_accounts())


def test_a_process_leaves_an_account_for_each_program_that_it_was(store):
    """Beside that of the last one."""
    account = Account()
    account.add_created(1)
    for spans in (1, 2):
        store.write_account(account, {"spans": spans}, former=True)
    store.write_account(account, {"spans": 3})
    assert [1, 2] == sorted(totals["spans"] for _, totals in store.read_other_accounts())


# bounds


def test_the_oldest_delivered_goes_first(tmp_path, items, target_of, capsys):
    """What waits is kept as long as anything else is there."""
    store = Store(str(tmp_path), 1 << 20, Process("shop", None, 1))
    target = target_of(URL)
    store.add_items(items(200, size=700), target)
    for first in range(200, 2000, 100):
        store.set_state(store.add_items(items(100, first=first, size=700), target), DELIVERED)
    store.add_items(items(100, first=2000, size=700), target)
    kept = names(take(store, target, 1000))
    assert [*map(str, range(200)), *map(str, range(2000, 2100))] == kept
    assert "" == capsys.readouterr().err
    assert store.database.path().stat().st_size < 1.6 * (1 << 20)
    store.database.close()


def test_what_had_to_go_is_counted_and_said(tmp_path, items, target_of, capsys):
    """When nothing else is left."""
    store = Store(str(tmp_path), 1 << 20, Process("shop", None, 1))
    for first in range(0, 2000, 100):
        store.add_items(items(100, first=first, size=700), target_of(URL))
    kept = names(take(store, target_of(URL), 2000, 1 << 30))
    lost = store.database.run(lambda db: db.execute("SELECT sum(items) FROM loss").fetchone()[0])
    assert 2000 == len(kept) + lost
    assert "1999" == kept[-1]
    assert "LUPIS_STORE_MAX_MB=1" in capsys.readouterr().err
    store.database.close()


# whatever befalls it


def test_only_its_owner_may_read_it(store, items, tmp_path):
    """Folder 0700, files 0600, whatever the umask."""
    before = os.umask(0)
    try:
        store.add_items(items(1))
    finally:
        os.umask(before)
    folder = tmp_path / "data"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert (0o700, {0o600}) == (stat.S_IMODE(folder.stat().st_mode), modes)


@pytest.mark.parametrize(
    "garbage",
    [b"not a database at all, but long enough" * 9, b"SQLite format 3\0" + b"\xff" * 5000],
)
def test_a_damaged_file_is_set_aside(garbage, store, items, tmp_path, capsys):
    """Kept under another name, and a new one begun."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE_NAME).write_bytes(garbage)
    store.add_items(items(1))
    assert 1 == count(store)
    (aside,) = (tmp_path / "data").glob(f"{FILE_NAME}.corrupt-*")
    assert garbage == aside.read_bytes()
    assert "is damaged" in capsys.readouterr().err


def test_a_file_damaged_while_open_is_set_aside(store, items, tmp_path, capsys):
    """What follows goes into the new one."""
    store.add_items(items(200, size=2000))
    store.database.close()
    path = tmp_path / "data" / FILE_NAME
    data = bytearray(path.read_bytes())
    data[200:] = os.urandom(len(data) - 200)
    path.write_bytes(data)
    store.add_items(items(1))
    assert 1 == count(store)
    assert "is damaged" in capsys.readouterr().err


def test_a_file_of_a_newer_version_is_left_alone(store, items, tmp_path):
    """An older program must not break what it does not know."""
    store.add_items(items(1))
    newer = len(MIGRATIONS) + 1
    store.database.run(lambda db: db.execute(f"PRAGMA user_version = {newer}"))
    store.database.close()
    with pytest.raises(StoreUnavailable, match="newer version"):
        store.add_items(items(1))
    with closing(sqlite3.connect(tmp_path / "data" / FILE_NAME)) as file:
        assert (1,) == file.execute("SELECT count(*) FROM item").fetchone()


def test_a_locked_file_is_unavailable(store, items, tmp_path):
    """For as long as somebody else writes."""
    store.add_items(items(1))
    store.database.close()
    store.database.busy_seconds = 0.05
    other = sqlite3.connect(tmp_path / "data" / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        store.add_items(items(1))
    other.execute("ROLLBACK")
    other.close()
    store.add_items(items(1))
    assert 2 == count(store)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX only")
def test_many_that_make_the_file_at_once_wait_for_each_other(tmp_path):
    """As the children of a pool do that end together."""
    process = Process("shop", "run", os.getpid(), "leader")
    for number in range(20):
        stores = [Store(str(tmp_path / f"{number}"), 64 << 20, process) for _ in range(6)]
        start, failed = threading.Barrier(len(stores)), []

        def write(store, start=start, failed=failed):
            start.wait()
            try:
                store.write_account(Account(), {})
            except StoreUnavailable as error:
                failed.append(str(error))

        threads = [threading.Thread(target=write, args=(store,)) for store in stores]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        [store.database.close() for store in stores]
        assert [] == failed


def test_a_folder_that_cannot_be_made_is_unavailable(items, tmp_path):
    """A file stands in its way."""
    (tmp_path / "taken").write_text("")
    store = Store(str(tmp_path / "taken" / "data"), 1 << 20, Process("shop", None, 1))
    with pytest.raises(StoreUnavailable, match="no store: "):
        store.add_items(items(1))


def test_a_full_disk_is_unavailable(store, items):
    """SQLite says so, and what was there stays."""
    store.add_items(items(1))
    store.database.run(lambda db: db.execute("PRAGMA max_page_count = 30"))
    with pytest.raises(StoreUnavailable, match="full"):
        store.add_items(items(100, size=5000))
    assert 1 == count(store)


def test_a_store_is_not_entered_twice_by_one_thread(store, items):
    """The garbage collector, or a signal, may come in between."""

    def again(db):
        with pytest.raises(StoreUnavailable, match="in use"):
            store.add_items(items(1))
        return "out"

    assert "out" == store.database.run(again)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_no_connection_outlives_a_fork(store, items):
    """Parent and child each open the file anew, and both go on."""
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
    assert 3 == count(store)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_a_child_forked_in_the_middle_has_a_lock_of_its_own(store, items):
    """What its parent's other thread holds is never given back there."""
    store.add_items(items(1))
    store.database._lock.acquire()
    store.database.after_fork_in_child()
    store.add_items(items(1))
    assert 2 == count(store)


def test_spans_of_impossible_times_are_stored_beside_the_others(store, finished):
    """A program may have set its clock to any, as tests do."""
    spans = [finished(str(year), start=(year - 1970) * 31_557_600) for year in (1901, 2026, 2600)]
    store.add_items(ItemEncoder(spans[0].resource).encode_spans(spans))
    assert len(spans) == count(store)


def test_what_is_refused_at_once_does_not_wait(store, items, target_of):
    """It is stored in one piece with what became of it."""
    store.add_items(items(2), target_of(URL), refused=True)
    assert 0 == store.count_waiting(target_of(URL))
    store.reopen_refused(target_of(URL))
    assert 2 == store.count_waiting(target_of(URL))


def test_what_is_stored_is_so_though_no_room_can_be_made(tmp_path, items, target_of, monkeypatch):
    """Another process may be writing just then; the next addition makes room."""
    store = Store(str(tmp_path), 1 << 18, Process("shop", "run", 1))
    store.database.busy_seconds = 0.1
    store.add_items(items(200, size=2000))
    before, make_room = count(store), store._make_room
    with closing(sqlite3.connect(store.database.path(), isolation_level=None)) as other:

        def busy(db):
            other.execute("BEGIN IMMEDIATE")
            make_room(db)

        monkeypatch.setattr(store, "_make_room", busy)
        store.add_items(items(150, first=1000, size=2000), target_of(URL))
        other.execute("ROLLBACK")
    assert (150, before + 150) == (store.count_waiting(target_of(URL)), count(store))
    monkeypatch.undo()
    store.add_items(items(1))
    assert count(store) < before + 150
    store.database.close()


def test_an_interrupted_addition_leaves_nothing_behind(store, items, target_of, monkeypatch):
    """Rows that it made for others to refer to are gone with it."""
    find = store._get_origin_id

    def interrupted(*args):
        find(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_get_origin_id", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.add_items(items(1), target_of(URL))
    monkeypatch.undo()
    store.add_items(items(1, first=1), target_of(URL))
    assert ["1"] == names(take(store, target_of(URL)))
