"""`lupis prune`: deletes old items, but none that still has to be delivered."""

import os
import re
import sqlite3
import threading

import pytest

from lupis_instrument._export.store.schema import DELIVERED, REFUSED, has_indexes

DAY = 86_400


def list_names(store):
    """Return the names of the remaining items; each has its body."""
    assert store.sql("SELECT id FROM item ORDER BY id") == store.sql(
        "SELECT id FROM body ORDER BY id"
    )
    return [name for (name,) in store.sql("SELECT name FROM item ORDER BY id")]


def test_deletes_items_older_than_a_month(store, lupis):
    """This is the age by default."""
    store.span("old", ago=31 * DAY)
    store.span("young", ago=29 * DAY)
    done = lupis("prune", "--yes")
    assert (0, "1 span or event deleted") == (done.exit_code, done.stdout.splitlines()[0])
    assert ["young"] == list_names(store)


def test_adds_the_indexes_that_a_large_old_store_lacks(store, lupis):
    """Also where there is nothing to delete."""
    store.span("young")
    store.store.database.run(lambda db: db.execute("DROP INDEX item_trace"))
    done = lupis("prune", "--yes")
    assert (0, True) == (done.exit_code, store.store.database.run(has_indexes))
    assert "indexes added" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["--older-than", "1h"], ["new"]),
        (["--older-than", "1w"], ["old", "new"]),
        (["--all"], []),
    ],
)
def test_age_is_an_option(arguments, left, store, lupis):
    """The option --all deletes items of any age."""
    store.span("old", ago=2 * DAY)
    store.span("new", ago=60)
    assert 0 == lupis("prune", "--yes", *arguments).exit_code
    assert left == list_names(store)


def test_items_of_one_user_are_deleted(store, lupis):
    """With --user, the items of other users and without a user stay."""
    store.event("by ann", user="ann")
    store.event("by ben", user="ben")
    store.call(**{"user.id": "ann"})
    store.span("of ann", **{"user.id": "ann"})
    store.span("of ben", **{"user.id": "ben"})
    store.span("of nobody")
    assert 0 == lupis("prune", "--user", "ann", "--all", "--yes").exit_code
    assert ["by ben", "of ben", "of nobody"] == list_names(store)


def test_undelivered_items_stay(store, lupis):
    """Waiting and refused items stay, and a message says so."""
    for name in ("waits", "refused", "delivered"):
        store.span(name, target=store.target)
    store.span("kept")
    store.store.set_state([2], REFUSED)
    store.store.set_state([3], DELIVERED)
    done = lupis("prune", "--all", "--yes")
    assert ["waits", "refused"] == list_names(store)
    assert "2 spans and events stay, because no endpoint has accepted them yet" in done.stderr
    assert 0 == lupis("prune", "--all", "--undelivered", "--yes").exit_code
    assert [] == list_names(store)


def test_nothing_to_delete_is_reported(store, lupis):
    """The exit status is 0."""
    store.span()
    done = lupis("prune", "--yes")
    assert (0, "") == (done.exit_code, done.stdout)
    assert "No spans or events to delete" in done.stderr


def test_file_shrinks(store, lupis):
    """The disk gets the space back, not only later items."""
    for _ in range(200):
        store.span(text="x" * 5000)
    store.store.database.close()
    file = store.file
    before = file.stat().st_size
    assert "0.0 MiB" not in lupis("prune", "--all", "--yes").stdout
    assert file.stat().st_size < before / 10


def test_ids_are_not_reused(store, lupis):
    """A process that still sends a deleted item would take the new one for it."""
    store.span()
    store.span()
    lupis("prune", "--all", "--yes")
    store.span()
    assert [(3,)] == store.sql("SELECT id FROM item")


def test_many_items_are_deleted(store, lupis):
    """They are deleted in batches."""
    spans = [store.tracer.start_span("s", start_time=1) for _ in range(2500)]
    for span in spans:
        span.end(2)
    store.store.add_items(store.encoder.encode_spans(spans))
    store.span("new")
    assert "2,500 spans and events deleted" in lupis("prune", "--yes").stdout
    assert ["new"] == list_names(store)


def test_programs_go_on_storing_afterwards(store, lupis):
    """A process with the store open notices nothing."""
    store.span("before", ago=90 * DAY)
    lupis("prune", "--yes")
    store.span("after")
    assert ["after"] == list_names(store)


@pytest.mark.slow
def test_locked_store_is_reported(store, lupis):
    """It is left as it is, and the exit status is 1."""
    store.span(ago=90 * DAY)
    writer = sqlite3.connect(str(store.file), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    done = lupis("prune", "--yes")
    writer.execute("ROLLBACK")
    writer.close()
    assert 1 == done.exit_code
    assert "locked; try again when no program writes" in done.stderr
    assert ["work"] == list_names(store)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights are of POSIX")
def test_folder_that_others_can_change_stays_as_it_is(store, lupis):
    """The message is the same as for programs."""
    store.span(ago=90 * DAY)
    store.store.database.close()
    store.folder.chmod(0o777)
    done = lupis("prune", "--yes")
    store.folder.chmod(0o700)
    assert 1 == done.exit_code
    assert f"{store.folder} can be changed by every user; set LUPIS_DATA_DIR to " in done.stderr
    assert ["work"] == list_names(store)


def test_all_and_an_age_exclude_each_other(store, lupis):
    """The exit status is 2."""
    assert 2 == lupis("prune", "--all", "--older-than", "1h").exit_code


@pytest.fixture
def keyboard():
    """The two ends of a terminal: the second reads the text written to the first."""
    pty = pytest.importorskip("pty", reason="a terminal needs Unix")
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize(("answer", "left"), [(b"n\n", ["old"]), (b"y\n", [])])
def test_terminal_asks_for_confirmation(answer, left, keyboard, store, start_lupis):
    """Only a yes deletes."""
    store.span("old", ago=90 * DAY)
    process = start_lupis("prune", stdin=keyboard[1])
    os.write(keyboard[0], answer)
    assert b"Delete 1 span or event from " in process.communicate()[1]
    assert left == list_names(store)


@pytest.mark.parametrize("arguments", [[], ["--all"], ["--all", "--undelivered"]])
def test_without_a_terminal_nothing_is_deleted(arguments, store, start_lupis):
    """Nobody can answer the question; the message names the option that answers it."""
    store.span("old", ago=90 * DAY)
    process = start_lupis("prune", *arguments)
    output, errors = process.communicate()
    assert (1, b"") == (process.returncode, output)
    assert b"not deleted: 1 span or event from " in errors
    assert b"; add --yes to " in errors
    assert ["old"] == list_names(store)


def test_yes_replaces_the_terminal(store, start_lupis):
    """A job that runs every night has none."""
    store.span("old", ago=90 * DAY)
    assert b"" == start_lupis("prune", "--yes").communicate()[1]
    assert [] == list_names(store)


def test_yes_answers_in_advance(keyboard, store, start_lupis):
    """No question is asked on a terminal."""
    store.span("old", ago=90 * DAY)
    assert b"" == start_lupis("prune", "--yes", stdin=keyboard[1]).communicate()[1]
    assert [] == list_names(store)


def test_programs_store_during_a_prune(store, lupis):
    """Every span is deleted once, or still in the store."""
    spans = [store.tracer.start_span("s") for _ in range(300)]
    for span in spans:
        span.end()

    def write():
        for span in spans:
            store.store.add_items(store.encoder.encode_spans([span]))

    writer = threading.Thread(target=write)
    writer.start()
    deleted = 0
    while writer.is_alive():
        done = lupis("prune", "--all", "--yes")
        deleted += sum(
            int(count) for count in re.findall(r"^(\d+) span", done.stdout, re.MULTILINE)
        )
        assert 0 == lupis("report").exit_code
    writer.join()
    assert len(spans) == deleted + len(list_names(store))
    assert [("ok",)] == store.sql("PRAGMA integrity_check")


def test_store_without_its_last_id_is_pruned(store, lupis):
    """The highest id of an item takes its place."""
    store.span()
    store.sql("DELETE FROM sequence")
    done = lupis("prune", "--all", "--yes")
    assert (0, 0) == (done.exit_code, store.sql("SELECT count(*) FROM item")[0][0])
