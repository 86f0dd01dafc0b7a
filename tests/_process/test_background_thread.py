"""Threads of this package take no signals, and the program does not see them."""

import signal
import threading
from contextlib import contextmanager, nullcontext

import pytest

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._process import background_thread
from lupis_instrument._process.background_thread import (
    BackgroundThread,
    BackgroundWorker,
    Condition,
    Event,
    block_signals,
    find_current_thread,
    is_last_thread,
)
from lupis_instrument._process.native_threads import get_ident

posix = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="POSIX signals")


@pytest.fixture(autouse=True)
def _all_lines_are_new():
    """Warnings of earlier tests may be written again."""
    diagnostics.reset()


def blocked_signals():
    """Return the signals that the calling thread has blocked."""
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.fixture
def start_thread():
    """Starts background threads, and waits for all of them in the end."""
    threads = []

    def start(run):
        threads.append(BackgroundThread(run, "test"))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.wait(60)
        assert not thread.is_alive()


def test_the_program_does_not_see_a_background_thread(start_thread):
    """A program may wait for all threads that `threading` lists."""
    before = threading.enumerate()
    end = Event()
    thread = start_thread(lambda: end.wait(60))
    assert before == threading.enumerate()
    assert thread.is_alive()
    end.set()


def test_a_function_can_be_added_to_a_thread(start_thread):
    """It runs on the same thread, after the function of the thread."""
    runs = []

    def run():
        find_current_thread().run_afterwards(lambda: runs.append(("second", get_ident())))
        runs.append(("first", get_ident()))

    thread = start_thread(run)
    thread.wait(60)
    assert [("first", thread.ident), ("second", thread.ident)] == runs


def test_a_thread_of_the_program_is_no_background_thread():
    """It may not be given more work to do."""
    assert None is find_current_thread()


def test_an_error_in_a_thread_is_reported(start_thread, capsys):
    """It is one line, not the traceback that the interpreter prints."""
    start_thread(lambda: 1 / 0).wait(60)
    assert "the thread test failed (ZeroDivisionError" in capsys.readouterr().err


def test_waiting_for_a_thread_that_has_not_started_returns_at_once():
    """Another thread may be just about to start it."""
    assert None is BackgroundThread(lambda: None, "test").wait(60)


def test_a_thread_that_cannot_start_does_not_count(monkeypatch):
    """A fork does not wait for it."""

    def refuse(*_):
        raise RuntimeError

    monkeypatch.setattr(background_thread, "start_new_thread", refuse)
    before = len(background_thread._threads)
    with pytest.raises(RuntimeError):
        BackgroundThread(lambda: None, "test").start()
    assert before == len(background_thread._threads)


@pytest.mark.skipif(not hasattr(threading, "gettrace"), reason="Python 3.10 shows the functions")
def test_a_function_that_profiles_all_threads_profiles_background_threads(start_thread):
    """Coverage tools and debuggers see the work of the package."""
    names = []
    threading.setprofile(lambda frame, *_: names.append(frame.f_code.co_name))
    try:

        def named_function():
            pass

        start_thread(named_function).wait(60)
    finally:
        threading.setprofile(None)
    assert "named_function" in names


def test_all_threads_that_wait_for_an_event_go_on(start_thread):
    """Two callers may wait for the same lookup."""
    event = Event()
    results = []
    threads = [start_thread(lambda: results.append(event.wait(60))) for _ in range(3)]
    event.set()
    for thread in threads:
        thread.wait(60)
    assert [True] * 3 == results


def test_waiting_for_an_event_has_a_limit():
    """A limit that has passed already counts as none left."""
    event = Event()
    assert [False, False] == [event.wait(0.01), event.wait(-1)]


def test_a_condition_lets_all_waiting_threads_go_on(start_thread):
    """They wait without the lock."""
    condition, ready, results = Condition(), [], []

    def wait():
        with condition:
            ready.append(1)
            condition.wait(60)
            results.append(1)

    threads = [start_thread(wait) for _ in range(3)]
    while True:
        with condition:
            if len(ready) == len(threads):
                condition.notify_all()
                break
    for thread in threads:
        thread.wait(60)
    assert [1] * 3 == results


def test_waiting_for_a_condition_releases_every_hold(start_thread):
    """A signal handler may wait on a thread that holds the lock already."""
    condition = Condition()

    def notify():
        with condition:
            condition.notify_all()

    with condition, condition:
        thread = start_thread(notify)
        condition.wait(60)
        thread.wait(60)
        assert not thread.is_alive()


def test_waiting_for_a_condition_has_a_limit():
    """The lock is held again afterwards, and nothing waits."""
    condition = Condition()
    with condition:
        condition.wait(0.01)
        assert not condition._waiting
        condition.notify_all()


@posix
def test_a_background_thread_has_blocked_signals(start_thread):
    """Signals that other processes send reach the threads of the program only."""
    masks = []
    start_thread(lambda: masks.append(blocked_signals())).wait(60)
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
        self._thread = self.last_thread = self._make_thread()
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
    worker.last_thread.wait(60)
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
