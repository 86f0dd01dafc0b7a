"""`lupis tail`: what is stored, as it is stored."""

import os
import signal
import threading

import pytest

PATIENCE = 30

pytestmark = pytest.mark.skipif(os.name != "posix", reason="stopped by a signal")


@pytest.fixture
def tail(start_lupis):
    """Starts it; ends it after the test."""
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


def read(process, count):
    """The next lines, without their time."""
    return [process.stdout.readline().decode().rstrip().partition("  ")[2] for _ in range(count)]


def test_shows_what_comes(store, tail):
    """After the last lines that were there."""
    for name in ("one", "two", "three"):
        store.span(name)
    process = tail("-n", "2")
    assert ["1.00 s  two", "1.00 s  three"] == read(process, 2)
    store.call("gpt-4o", input_tokens=12, output_tokens=3, cost=0.5, chat="c", error="429")
    line = "1.00 s  chat gpt-4o  openai  12 -> 3 tokens  $0.5000  chat c  error 429"
    assert [line] == read(process, 1)
    store.event("clicked", chat="c")
    assert ["event  clicked  chat c"] == read(process, 1)


def test_shows_only_one_chat(store, tail):
    """If asked to."""
    store.call("a", chat="mine")
    store.call("b", chat="other")
    process = tail("-n", "1", "--chat", "mine")
    assert "chat a" in read(process, 1)[0]
    store.call("c", chat="other")
    store.call("d", chat="mine")
    assert "chat d" in read(process, 1)[0]


def test_waits_for_the_store(store, tail):
    """And says where; then all in it is new."""
    process = tail("-n", "0")
    said = b"".join(process.stderr.readline() for _ in range(3))
    assert str(store.file).encode() in said
    assert b"Waiting" in said
    store.span("first")
    assert ["1.00 s  first"] == read(process, 1)


def test_goes_on_after_everything_was_deleted(store, tail, lupis):
    """No id is given twice, so that what comes is later than what was."""
    store.span("before")
    process = tail()
    assert ["1.00 s  before"] == read(process, 1)
    assert 0 == lupis("prune", "--all", "--yes").exit_code
    store.span("after")
    assert ["1.00 s  after"] == read(process, 1)


def test_goes_on_in_another_file(store, tail):
    """A damaged one is set aside, and another takes its place."""
    store.span("before")
    process = tail()
    assert ["1.00 s  before"] == read(process, 1)
    store.store.database.close()
    for file in list(store.folder.iterdir()):
        file.rename(file.with_name(file.name + ".corrupt"))
    store.span("after")
    assert ["1.00 s  after"] == read(process, 1)


def test_control_characters_are_spelled_out(store, tail):
    """Here, too."""
    store.span("a\x1b[2Jb\nc")
    assert [r"1.00 s  a\x1b[2Jb\nc"] == read(tail(), 1)


def test_ctrl_c_ends_it(store, tail):
    """With the status that a shell gives to what a signal ended, and without a word."""
    store.span()
    process = tail()
    read(process, 1)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate()
    assert (130, b"", b"") == (process.returncode, out, said)


def test_leaves_no_lock(store, tail):
    """Programs store while it looks, and the log can be brought into the file."""
    store.span("before")
    process = tail()
    read(process, 1)
    store.span("after")
    assert [(0,)] == [row[:1] for row in store.sql("PRAGMA wal_checkpoint(TRUNCATE)")]
    assert ["1.00 s  after"] == read(process, 1)
