"""Threads and locks of the operating system are at hand whatever the program has patched."""

import _thread
import subprocess
import sys
import threading
import time

import pytest

from lupis_instrument._process import native_threads
from lupis_instrument._process.greenlets import call_beside_greenlets

copies = pytest.mark.skipif(sys.version_info < (3, 10), reason="a copy of `_thread` needs 3.10")


def patched(*_, **__):
    """Stands in for a function of Python's."""
    raise AssertionError("the patched function was called")


@pytest.fixture
def greenlets(monkeypatch):
    """The program has replaced its threads."""
    monkeypatch.setattr(_thread, "start_new_thread", patched)


def test_threads_start_beside_a_patch(greenlets):
    """A patch changes the program's functions only."""
    done = native_threads.allocate_lock()
    done.acquire()
    native_threads.start_new_thread(done.release, ())
    assert done.acquire(timeout=60)


def test_a_patch_is_noticed(monkeypatch):
    """A program may patch late."""
    before = native_threads.is_patched()
    monkeypatch.setattr(_thread, "start_new_thread", patched)
    assert [False, True] == [before, native_threads.is_patched()]


@copies
def test_locks_are_of_another_class_than_the_programs():
    """Eventlet replaces the program's reentrant locks, and reports the ones that it cannot reach."""
    assert not isinstance(native_threads.RLock(), type(threading.RLock()))


PATCHED_BEFORE = """
import _thread, time
def patched(*_):
    raise AssertionError
_thread.start_new_thread = time.sleep = patched
from lupis_instrument._process import native_threads
done = native_threads.allocate_lock()
done.acquire()
native_threads.start_new_thread(done.release, ())
native_threads.sleep(0)
print(done.acquire(timeout=60), _thread.start_new_thread is patched)
"""


@copies
def test_originals_are_available_after_a_patch():
    """A program may import the SDK late, without `lupis-run`; its patch stays."""
    command = [sys.executable, "-c", PATCHED_BEFORE]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "True True\n" == output


def test_a_thread_of_the_program_works_itself():
    """Only greenlets are kept waiting by work on the same thread."""
    assert threading.get_ident() == call_beside_greenlets(threading.get_ident)


def test_work_beside_greenlets_has_a_thread_of_its_own(greenlets):
    """Its result is the result of the call."""
    assert threading.get_ident() != call_beside_greenlets(native_threads.get_ident)


def test_greenlets_run_while_the_work_goes_on(greenlets, monkeypatch):
    """The caller waits by the function that switches between greenlets."""
    switched = threading.Event()
    monkeypatch.setattr(time, "sleep", lambda _: switched.set())
    assert call_beside_greenlets(lambda: switched.wait(60))


def test_the_event_loop_itself_can_wait(greenlets, monkeypatch):
    """Its own greenlet cannot switch to itself: gevent raises an error."""

    def refuse(_):
        raise AssertionError("cannot switch to the hub from the hub")

    monkeypatch.setattr(time, "sleep", refuse)
    assert 5 == call_beside_greenlets(lambda: threading.Event().wait(0.05) or 5)


def test_work_that_fails_has_no_result(greenlets, capsys):
    """The error is reported."""
    assert None is call_beside_greenlets(lambda: 1 / 0)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_without_new_threads_the_caller_works_itself(greenlets, monkeypatch):
    """From Python 3.12 on, none starts at the end of the process."""

    def refuse(*_):
        raise RuntimeError

    monkeypatch.setattr("lupis_instrument._process.background_thread.start_new_thread", refuse)
    assert native_threads.get_ident() == call_beside_greenlets(native_threads.get_ident)
