"""Pending telemetry is delivered where a process ends without exit handlers."""

import multiprocessing.util
import os
import signal
import subprocess
import sys
import threading
from textwrap import dedent

import pytest
from servers.program import remove_coverage

from lupis_instrument._process import shutdown_hooks

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")

WATCHED = """
import os, signal, sys, threading
from lupis_instrument._process import shutdown_hooks
def finish(then=lambda: None):
    print("finished", flush=True)
    then()
"""


def play(text):
    """Returns status and output of a program."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED + dedent(text)],
        env=remove_coverage(),
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )
    assert "" == done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_ends_the_process_after_delivery(name):
    """The parent sees the signal in the exit status."""
    number = getattr(signal, name)
    result = play(
        f"shutdown_hooks.watch_signals(finish); os.kill(os.getpid(), signal.{name}); print('on')"
    )
    assert (-number, "finished\n") == result


def test_a_handler_of_the_program_stays():
    """It is called, and nothing is delivered before."""
    text = """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
        shutdown_hooks.watch_signals(finish)
        os.kill(os.getpid(), signal.SIGTERM)
    """
    assert (3, "") == play(text)


def test_a_program_may_restore_the_default():
    """It finds SIG_DFL; after it restores that, a signal delivers and ends the process."""
    text = """
        shutdown_hooks.watch_signals(finish)
        before = signal.getsignal(signal.SIGTERM)
        def mine(number, frame):
            print("mine", flush=True)
            print(signal.signal(number, before) is mine, flush=True)
            os.kill(os.getpid(), number)
        assert before is signal.SIG_DFL is signal.signal(signal.SIGTERM, mine)
        os.kill(os.getpid(), signal.SIGTERM)
    """
    assert (-signal.SIGTERM, "mine\nTrue\nfinished\n") == play(text)


def test_an_ignored_signal_stays_ignored():
    """`nohup` ignores SIGHUP."""
    text = """
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        shutdown_hooks.watch_signals(finish)
        os.kill(os.getpid(), signal.SIGHUP)
        print("on")
    """
    assert (0, "on\n") == play(text)


def test_a_second_signal_does_not_deliver_again():
    """A user who presses twice does not wait twice."""
    text = """
        def finish(then):
            print("begun", flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
            print("ended", flush=True)
            then()
        shutdown_hooks.watch_signals(finish)
        os.kill(os.getpid(), signal.SIGTERM)
    """
    assert (-signal.SIGTERM, "begun\nended\n") == play(text)


def test_a_process_that_the_kernel_spares_goes_on():
    """The first process of a container survives its own SIGTERM."""
    text = """
        real, os.kill = os.kill, lambda *_: print("spared", flush=True)
        shutdown_hooks.watch_signals(finish)
        real(os.getpid(), signal.SIGTERM)
        print("on", flush=True)
        real(os.getpid(), signal.SIGTERM)
    """
    assert (0, "finished\nspared\non\nfinished\nspared\n") == play(text)


def test_other_threads_set_no_handler():
    """Python allows it on the main thread only."""
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=shutdown_hooks.watch_signals, args=(print,))
    thread.start()
    thread.join()
    assert before == signal.getsignal(signal.SIGTERM)


def test_multiprocessing_still_has_its_hooks():
    """It documents these two functions in its source only (3.8 to 3.14)."""
    assert {"register_after_fork", "Finalize"} <= set(multiprocessing.util.__all__)


def test_a_signal_during_delivery_waits_for_its_end():
    """The items that the thread holds would be lost."""
    text = """
        from lupis_instrument._runtime import launch
        class Delivery:
            def finish(self):
                print("begun", flush=True)
                os.kill(os.getpid(), signal.{name})
                print("ended", flush=True)
        launch.launch.runtimes.append(Delivery())
        shutdown_hooks.watch_signals(launch.finish)
        {end}
    """
    results = [
        play(text.format(name=name, end=end))
        for name, end in (
            ("SIGHUP", "os.kill(os.getpid(), signal.SIGTERM)"),
            ("SIGTERM", "import atexit; atexit.register(launch.finish)"),
        )
    ]
    assert ["begun\nended\n"] * 2 == [output for _, output in results]
    assert all(status in (-signal.SIGHUP, -signal.SIGTERM) for status, _ in results)


def test_a_program_that_ends_itself_during_delivery_delivers_first():
    """Its signal handler may interrupt the exit handler that delivers."""
    text = """
        from lupis_instrument._runtime import launch
        class Delivery:
            def finish(self, times=[]):
                times.append("")
                print("begun", len(times), flush=True)
                if len(times) == 1:
                    os.kill(os.getpid(), signal.SIGUSR1)
        launch.launch.runtimes.append(Delivery())
        shutdown_hooks.watch_self_termination(launch.finish, lambda: None)
        def end(number, frame):
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, end)
        launch.finish()
    """
    assert (-signal.SIGUSR1, "begun 1\nbegun 2\n") == play(text)


def test_an_interrupted_delivery_still_ends_the_process():
    """The user may press Ctrl-C while it waits for a collector."""
    text = """
        from lupis_instrument._runtime import launch
        class Delivery:
            def finish(self):
                print("begun", flush=True)
                signal.raise_signal(signal.SIGINT)
        launch.launch.runtimes.append(Delivery())
        shutdown_hooks.watch_signals(launch.finish)
        os.kill(os.getpid(), signal.SIGTERM)
        print("on")
    """
    assert (-signal.SIGTERM, "begun\n") == play(text)
