"""`lupis tail`: shows items while programs store them."""

import os
import signal
import threading

import pytest

PATIENCE = 30

pytestmark = pytest.mark.skipif(os.name != "posix", reason="stopped by a signal")


@pytest.fixture
def start_tail(start_lupis):
    """Starts the command, and ends it after the test."""
    started = []

    def run(*arguments):
        process = start_lupis("tail", *arguments)
        alarm = threading.Timer(PATIENCE, process.kill)  # reading then ends, and the test fails
        alarm.start()
        started.append((process, alarm))
        return process

    yield run
    for process, alarm in started:
        alarm.cancel()
        process.kill()
        process.communicate()


def read_lines(process, count):
    """Return the next lines, without their time."""
    return [process.stdout.readline().decode().rstrip().partition("  ")[2] for _ in range(count)]


def test_new_items_are_shown(store, start_tail):
    """They come after the last items that were stored before."""
    for name in ("one", "two", "three"):
        store.span(name)
    process = start_tail("-n", "2")
    assert ["1.00 s  two", "1.00 s  three"] == read_lines(process, 2)
    store.call("gpt-4o", input_tokens=12, output_tokens=3, cost=0.5, chat="c", error="429")
    line = "1.00 s  chat gpt-4o  openai  12 -> 3 tokens  $0.5000  chat c  error 429"
    assert [line] == read_lines(process, 1)
    store.event("clicked", chat="c")
    assert ["event  clicked  chat c"] == read_lines(process, 1)


def test_chat_selects_items(store, start_tail):
    """The first items are filtered too."""
    store.call("a", chat="mine")
    store.call("b", chat="other")
    process = start_tail("-n", "1", "--chat", "mine")
    assert "chat a" in read_lines(process, 1)[0]
    store.call("c", chat="other")
    store.call("d", chat="mine")
    assert "chat d" in read_lines(process, 1)[0]


def test_missing_store_is_waited_for(store, start_tail):
    """A message says where, and every item in it is new."""
    process = start_tail("-n", "0")
    message = b"".join(process.stderr.readline() for _ in range(3))
    assert str(store.file).encode() in message
    assert b"Waiting" in message
    store.span("first")
    assert ["1.00 s  first"] == read_lines(process, 1)


def test_goes_on_after_all_items_are_deleted(store, start_tail, lupis):
    """No id is reused, so new items have higher ids."""
    store.span("before")
    process = start_tail()
    assert ["1.00 s  before"] == read_lines(process, 1)
    assert 0 == lupis("prune", "--all", "--yes").exit_code
    store.span("after")
    assert ["1.00 s  after"] == read_lines(process, 1)


def test_goes_on_in_another_file(store, start_tail):
    """A damaged store is moved aside, and a new one takes its path."""
    store.span("before")
    process = start_tail()
    assert ["1.00 s  before"] == read_lines(process, 1)
    store.store.database.close()
    for file in list(store.folder.iterdir()):
        file.rename(file.with_name(file.name + ".corrupt"))
    store.span("after")
    assert ["1.00 s  after"] == read_lines(process, 1)


def test_control_characters_are_escaped(store, start_tail):
    """Names could steer the terminal otherwise."""
    store.span("a\x1b[2Jb\nc")
    assert [r"1.00 s  a\x1b[2Jb\nc"] == read_lines(start_tail(), 1)


def test_ctrl_c_ends_the_command(store, start_tail):
    """The exit status is 130, as in a shell after SIGINT, and no message is shown."""
    store.span()
    process = start_tail()
    read_lines(process, 1)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate()
    assert (130, b"", b"") == (process.returncode, out, errors)


def test_store_stays_unlocked(store, start_tail):
    """Programs can store meanwhile, and SQLite can empty its log."""
    store.span("before")
    process = start_tail()
    read_lines(process, 1)
    store.span("after")
    assert [(0,)] == [row[:1] for row in store.sql("PRAGMA wal_checkpoint(TRUNCATE)")]
    assert ["1.00 s  after"] == read_lines(process, 1)
