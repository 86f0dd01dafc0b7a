"""At the end of the process, calls of other threads are admitted until the account is closed."""

import threading
from time import monotonic

import pytest

from lupis_instrument._process.background_thread import BackgroundThread
from lupis_instrument._runtime import admission as module
from lupis_instrument._runtime.admission import Admission


@pytest.fixture
def admissions():
    """The admissions that a wait opens again."""
    return []


@pytest.fixture
def waits(monkeypatch, admissions):
    """Replaces the waits of late threads: each one ends by opening the admission again."""
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        for admission in admissions:
            admission._due = 0.0

    monkeypatch.setattr(module, "sleep", sleep)
    return waits


@pytest.fixture
def admission(admissions):
    """An admission that the fixture `waits` opens again."""
    admissions.append(Admission())
    return admissions[0]


def enter(admission):
    """Enters a call as the runtime does, and returns it."""
    call = object()
    admission.inside[call] = threading.get_ident()
    if admission.closer:
        admission.wait_for_end(call)
    return call


def close(admission):
    """Closes the admission without a wait for the calls inside."""
    admission.close(0, monotonic() + 60)


def run_in_thread(function):
    """Calls a function on another thread, to its end."""
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_calls_enter_without_a_wait(admission, waits):
    """Before the end of the process."""
    run_in_thread(lambda: admission.inside.pop(enter(admission)))
    assert [] == waits


def test_a_call_that_ends_after_the_close_waits(admission, waits):
    """Its thread goes on if the process does not end."""
    close(admission)
    run_in_thread(lambda: admission.inside.pop(enter(admission)))
    assert 1 == len(waits)


def test_the_closing_thread_does_not_wait_for_itself(admission, waits):
    """It runs the program's exit handlers."""
    close(admission)
    admission.inside.pop(enter(admission))
    assert [] == waits


def test_a_thread_of_this_package_does_not_wait(admission, waits):
    """The garbage collector may end a call on it, and the end waits for it."""
    close(admission)
    thread = BackgroundThread(lambda: admission.inside.pop(enter(admission)), "test")
    thread.start()
    thread.wait(None)
    assert [] == waits


def test_a_call_that_ends_inside_another_one_does_not_wait(admission, waits):
    """The end waits for the other one."""

    def end_calls():
        outer = enter(admission)
        close_elsewhere = threading.Thread(target=close, args=(admission,))
        close_elsewhere.start()
        close_elsewhere.join()
        admission.inside.pop(enter(admission))
        admission.inside.pop(outer)

    run_in_thread(end_calls)
    assert [] == waits


def test_the_close_waits_for_admitted_calls(admission, monkeypatch):
    """So that they are in the totals."""
    calls = []
    run_in_thread(lambda: calls.append(enter(admission)))
    monkeypatch.setattr(module, "sleep", lambda _: admission.inside.pop(calls.pop()))
    admission.close(60, monotonic() + 60)
    assert [] == calls


def test_the_close_does_not_wait_for_a_call_of_its_own_thread(admission, waits):
    """A signal handler closes, and has interrupted the call."""
    enter(admission)
    admission.close(60, monotonic() + 60)
    assert [] == waits


def test_late_calls_go_on_if_the_process_does_not_end(admission, monkeypatch):
    """The kernel spares the first process of a container from signals."""
    monkeypatch.setattr(module, "_END_SECONDS", 0.0)
    close(admission)
    admission.reopen_soon()
    run_in_thread(lambda: admission.inside.pop(enter(admission)))
    assert not admission.inside
