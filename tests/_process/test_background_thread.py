"""Threads of this package take no signals, and end when the program joins them."""

import signal
import threading
from contextlib import contextmanager, nullcontext

import pytest

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._process.background_thread import (
    BackgroundThread,
    BackgroundWorker,
    block_signals,
    is_last_thread,
)

posix = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="POSIX signals")


@pytest.fixture(autouse=True)
def _all_lines_are_new():
    """Warnings of earlier tests may be written again."""
    diagnostics.reset()


def blocked_signals():
    """Return the signals that the calling thread has blocked."""
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_background_thread_is_a_daemon():
    """It does not keep the interpreter from ending."""
    thread = BackgroundThread(lambda: None, "test", lambda: None)
    assert ("test", True) == (thread.name, thread.daemon)


def test_joining_a_thread_asks_it_to_end():
    """A program that joins all threads does not wait without end."""
    ended = threading.Event()
    thread = BackgroundThread(lambda: ended.wait(10), "test", ended.set)
    thread.start()
    thread.join()
    assert not thread.is_alive()


def test_a_function_can_be_added_to_a_thread():
    """It runs on the same thread, after the function of the thread."""
    runs = []

    def run():
        thread.run_afterwards(lambda: runs.append(("second", threading.current_thread())), int)
        runs.append(("first", threading.current_thread()))

    thread = BackgroundThread(run, "test", lambda: None)
    thread.start()
    thread.join()
    assert [("first", thread), ("second", thread)] == runs


def test_joining_a_thread_asks_an_added_function_to_end():
    """A program that joins all threads does not wait without end."""
    added, ended = threading.Event(), threading.Event()

    def run():
        thread.run_afterwards(lambda: ended.wait(10), ended.set)
        added.set()

    thread = BackgroundThread(run, "test", lambda: None)
    thread.start()
    added.wait(10)
    thread.join()
    assert not thread.is_alive()


def test_an_error_in_the_request_to_end_does_not_reach_the_program(capsys):
    """`join` reports it and waits as usual."""
    thread = BackgroundThread(lambda: None, "test", lambda: 1 / 0)
    thread.start()
    thread.join()
    assert not thread.is_alive()
    assert "ending a thread failed (ZeroDivisionError" in capsys.readouterr().err


def test_waiting_for_a_thread_that_has_not_started_returns_at_once():
    """Another thread may be just about to start it."""
    thread = BackgroundThread(lambda: None, "test", lambda: None)
    assert None is thread.wait(10)


@posix
def test_a_background_thread_has_blocked_signals():
    """Signals that other processes send reach the threads of the program only."""
    masks = []
    thread = BackgroundThread(lambda: masks.append(blocked_signals()), "test", lambda: None)
    thread.start()
    thread.wait(10)
    (mask,) = masks
    assert {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGALRM} <= mask


@posix
def test_signals_of_faults_are_not_blocked():
    """Python's faulthandler needs the signals that a thread raises by its own fault."""
    with block_signals():
        assert not blocked_signals() & {signal.SIGSEGV, signal.SIGFPE}


@posix
def test_the_mask_of_the_starting_thread_is_restored_after_an_error():
    """The program's own choice of blocked signals does not change."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        before = blocked_signals()
        with pytest.raises(RuntimeError), block_signals():
            raise RuntimeError
        assert before == blocked_signals()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})


class Countdown(BackgroundWorker):
    """A worker that calls `work` a number of times."""

    def __init__(self, times, work=lambda: None, thread_context=nullcontext):
        super().__init__("test", thread_context)
        self.times = times
        self.work = work
        self.prepared = False

    def start(self):
        """Starts the thread."""
        self._thread = self._make_thread()
        self._thread.start()
        return True

    def pause(self, seconds):
        """Waits for the thread."""
        self._thread.wait(seconds)

    def resume(self):
        """Does nothing."""

    def stop(self, seconds):
        """Waits for the thread."""
        self.pause(seconds)
        return self.times == 0

    def _prepare_thread(self):
        self.prepared = True

    def _work_once(self):
        self.work()
        self.times -= 1
        return self.times > 0

    def _request_end(self):
        self.times = 0

    def _forget_thread(self):
        self._thread = None


def test_the_thread_works_until_nothing_is_left():
    """It imports its modules first."""
    worker = Countdown(3)
    worker.start()
    assert worker.stop(10)
    assert worker.prepared


def test_the_work_runs_inside_the_context():
    """There, the requests of this package are not recorded."""
    inside = threading.local()
    seen = []

    @contextmanager
    def context():
        inside.value = True
        yield
        inside.value = False

    worker = Countdown(
        1, lambda: seen.append(getattr(inside, "value", False)), thread_context=context
    )
    worker.start()
    worker.pause(10)
    assert [True] == seen


def test_a_thread_that_dies_of_an_error_is_forgotten(capsys):
    """The next item starts another thread."""
    worker = Countdown(1, lambda: 1 / 0)
    worker.start()
    thread = next((t for t in threading.enumerate() if t.name == "test"), None)
    if thread is not None:
        thread.wait(10)
    assert None is worker._thread
    assert "the thread test failed (ZeroDivisionError" in capsys.readouterr().err


def test_the_main_thread_of_a_program_is_not_the_last_one():
    """Only a child that a thread has forked ends with its last thread."""
    assert not is_last_thread()


class EndedMainThread:
    """Python's own main thread after its end."""

    def is_alive(self):
        """Returns False."""
        return False


@pytest.mark.parametrize(("class_name", "last"), [("_MainThread", False), ("Thread", True)])
def test_the_class_of_the_main_thread_decides(class_name, last, monkeypatch):
    """In a child that a thread has forked, the main thread is an ordinary one."""
    main = type(class_name, (EndedMainThread,), {})()
    monkeypatch.setattr(threading, "main_thread", lambda: main)
    assert last is is_last_thread()
