"""Threads that end for a fork are gone when the process forks."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")

PROGRAM = """
import os, sys, threading, time, warnings
from lupis_instrument._process import fork

warnings.simplefilter("always", DeprecationWarning)
for _ in range(200):
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    threads = fork.count_threads()
    release.set()
    thread.join()
    fork.wait_until_gone(threads - 1)
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_python_warns_of_no_thread():
    """Python 3.12 warns if the kernel still lists a thread that has ended."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, timeout=60, check=True
    )
    assert b"" == done.stderr


def test_the_wait_for_a_thread_is_short(monkeypatch):
    """A thread of the program stays, however often the kernel is counts."""
    from lupis_instrument._process import fork

    counts = []
    monkeypatch.setattr(fork, "count_threads", lambda: counts.append(3) or 3)
    fork.wait_until_gone(2)
    assert len(counts) > 1


def test_a_thread_that_has_gone_is_not_waited_for(monkeypatch):
    """The kernel is counts once."""
    from lupis_instrument._process import fork

    counts = []
    monkeypatch.setattr(fork, "count_threads", lambda: counts.append(2) or 2)
    fork.wait_until_gone(2)
    assert [2] == counts
