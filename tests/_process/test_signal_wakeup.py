"""Signal handlers run in children of multiprocessing while their main thread is blocked."""

import os
import subprocess
import sys
from textwrap import dedent

import pytest
from servers.program import remove_coverage

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")

PRELUDE = """
import multiprocessing, multiprocessing.util, os, signal, sys, threading, time
before_ours = []
os.register_at_fork(after_in_child=lambda: [act() for act in before_ours])
from lupis_instrument._process import shutdown_hooks; from lupis_instrument._process import signal_wakeup

def finish(then=lambda: None):
    print("finished", flush=True)
    then()

shutdown_hooks.watch_children(multiprocessing.util, finish, is_idle=lambda: False)
shutdown_hooks.watch_signals(finish)

def elsewhere():
    "Sends the signal to a thread that is not the main one."
    time.sleep(0.1)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

def wait_for_ever():
    multiprocessing.get_context("fork").Semaphore(0).acquire()

def run(child, method="fork"):
    process = multiprocessing.get_context(method).Process(target=child)
    process.start()
    process.join(60)
    print(process.exitcode)
    process.kill()
"""


@pytest.fixture
def play(tmp_path):
    """Runs a program and returns the words of its output."""

    def play(text):
        file = tmp_path / "program.py"
        file.write_text(PRELUDE + dedent(text))
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(file)],
            env=remove_coverage(),
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert "" == done.stderr
        return done.stdout.split()

    return play


FORK = "if not os.fork():\n        os._exit(0)\n    os.wait()"


@pytest.mark.parametrize("before", ["pass", FORK], ids=["at once", "after a fork of its own"])
def test_a_blocked_main_thread_gets_the_signal_again(before, play):
    """A worker of a pool blocks while it waits for its next task."""
    text = f"""
def child():
    {before}
    threading.Thread(target=elsewhere, daemon=True).start()
    wait_for_ever()
run(child)
"""
    assert ["finished", "-15"] == play(text)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_that_is_not_forked_from_the_program_gets_the_signal_again(method, play):
    """Python calls no after-fork functions in a spawned child from 3.10 on."""
    text = f"""
        def child():
            threading.Thread(target=elsewhere, daemon=True).start()
            wait_for_ever()
        if __name__ == "__main__":
            run(child, {method!r})
    """
    assert ["finished", "-15"] == play(text)


def test_a_child_of_a_child_gets_the_signal_again(play):
    """It has a listening thread of its own."""
    text = """
        def grandchild():
            threading.Thread(target=elsewhere, daemon=True).start()
            wait_for_ever()
        run(lambda: run(grandchild))
    """
    assert ["finished", "-15", "finished", "0"] == play(text)


def test_a_signal_of_a_child_is_not_reported_to_the_parent(play):
    """Even one that arrives right after the fork."""
    text = """
        def child():
            before_ours.append(lambda: os.kill(os.getpid(), signal.SIGTERM))
            if not os.fork():
                os._exit(0)
            print(os.wait()[1], flush=True)
            time.sleep(0.3)
        run(child)
    """
    assert ["finished", "15", "finished", "0"] == play(text)


def test_a_handler_of_the_program_is_called_once(play):
    """Its signal is not sent again."""
    text = """
        def child():
            handled = []
            signal.signal(
                signal.SIGTERM, lambda *_: handled.append(print("theirs", flush=True))
            )
            threading.Thread(target=elsewhere, daemon=True).start()
            while not handled:
                time.sleep(0.01)
        run(child)
    """
    assert ["theirs", "finished", "0"] == play(text)


def test_a_wakeup_file_of_the_program_stays(play):
    """It may belong to an event loop."""
    text = """
        import socket
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        signal.set_wakeup_fd(theirs.fileno())
        def child():
            print(signal_wakeup._state.wakeup, signal.set_wakeup_fd(-1) == theirs.fileno(), flush=True)
        run(child)
    """
    assert ["None", "True", "finished", "0"] == play(text)


def test_a_program_that_sets_a_wakeup_file_finds_none(play):
    """Event loops warn if they replace a file."""
    text = """
        import socket
        def child():
            ours, theirs = socket.socketpair()
            theirs.setblocking(False)
            print(signal_wakeup._state.wakeup is None, signal.set_wakeup_fd(theirs.fileno()))
            print(signal.set_wakeup_fd(-1) == theirs.fileno(), signal_wakeup._state.wakeup, flush=True)
        run(child)
    """
    assert ["False", "-1", "True", "None", "finished", "0"] == play(text)


def test_a_child_may_close_all_files(play):
    """Daemons do so."""
    text = """
        def child():
            os.closerange(3, 100)
            if not os.fork():
                os._exit(0)
            os.wait()
        run(child)
    """
    assert ["finished", "0"] == play(text)
