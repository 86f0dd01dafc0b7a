"""Threads that end for a fork are gone when it comes."""

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


def test_python_warns_of_none():
    """It does so from 3.12 on if a thread has ended, but has not gone."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, timeout=60, check=True
    )
    assert b"" == done.stderr


def test_one_that_stays_is_not_waited_for_long(monkeypatch):
    """It is the program's: it is asked for again and again, and is there still."""
    from lupis_instrument._process import fork

    asked = []
    monkeypatch.setattr(fork, "count_threads", lambda: asked.append(3) or 3)
    fork.wait_until_gone(2)
    assert len(asked) > 1


def test_one_that_has_gone_is_not_waited_for(monkeypatch):
    """It is asked for once."""
    from lupis_instrument._process import fork

    asked = []
    monkeypatch.setattr(fork, "count_threads", lambda: asked.append(2) or 2)
    fork.wait_until_gone(2)
    assert [2] == asked
