"""What is pending leaves where a process ends without exit handlers."""

import multiprocessing.util
import os
import signal
import subprocess
import sys
import threading
from textwrap import dedent

import pytest

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
    """Status and output of a program."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED + dedent(text)],
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )
    assert "" == done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_the_process_ends_by_the_signal_all_the_same(name):
    """What is pending has left before."""
    number = getattr(signal, name)
    found = play(
        f"shutdown_hooks.watch_signals(finish); os.kill(os.getpid(), signal.{name}); print('on')"
    )
    assert (-number, "finished\n") == found


def test_a_handler_of_the_programs_own_stays():
    """Whatever it does, it is its business."""
    text = """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
        shutdown_hooks.watch_signals(finish)
        os.kill(os.getpid(), signal.SIGTERM)
    """
    assert (3, "") == play(text)


def test_a_handler_that_comes_later_may_put_back_what_was_before():
    """As programs do that add to what a signal does; it is the default again, ours with it."""
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
    """As `nohup` has it."""
    text = """
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        shutdown_hooks.watch_signals(finish)
        os.kill(os.getpid(), signal.SIGHUP)
        print("on")
    """
    assert (0, "on\n") == play(text)


def test_a_second_signal_does_not_begin_anew():
    """Whoever is impatient need not wait twice."""
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


def test_where_the_kernel_spares_the_process_it_goes_on():
    """As it does with the first one of a container."""
    text = """
        real, os.kill = os.kill, lambda *_: print("spared", flush=True)
        shutdown_hooks.watch_signals(finish)
        real(os.getpid(), signal.SIGTERM)
        print("on", flush=True)
        real(os.getpid(), signal.SIGTERM)
    """
    assert (0, "finished\nspared\non\nfinished\nspared\n") == play(text)


def test_other_threads_set_no_handler():
    """Python does not let them."""
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=shutdown_hooks.watch_signals, args=(print,))
    thread.start()
    thread.join()
    assert before == signal.getsignal(signal.SIGTERM)


def test_what_multiprocessing_offers_is_still_there():
    """Two functions of its own that it documents in its source only (3.8 to 3.14)."""
    assert {"register_after_fork", "Finalize"} <= set(multiprocessing.util.__all__)


def test_a_signal_that_comes_in_while_another_finishes_waits_for_that():
    """What the first has in hand would be lost."""
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
    found = [
        play(text.format(name=name, end=end))
        for name, end in (
            ("SIGHUP", "os.kill(os.getpid(), signal.SIGTERM)"),
            ("SIGTERM", "import atexit; atexit.register(launch.finish)"),
        )
    ]
    assert ["begun\nended\n"] * 2 == [output for _, output in found]
    assert all(status in (-signal.SIGHUP, -signal.SIGTERM) for status, _ in found)


def test_who_ends_the_process_himself_has_all_delivered_that_can_be():
    """A handler of the program's own may do so while an exit handler of ours delivers."""
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


def test_an_end_that_is_interrupted_is_one_all_the_same():
    """By Ctrl-C, say, while it waits for a collector."""
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
