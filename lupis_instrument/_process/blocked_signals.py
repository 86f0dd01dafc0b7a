"""Keeps the program's signals from threads of ours."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from functools import lru_cache
from typing import Iterator

_OF_THREADS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGABRT")
"""Signals that a thread brings on itself; faulthandler wants to see them."""


@contextmanager
def blocked() -> Iterator[None]:
    """Block signals inside the `with` block, and for good in threads that are started there.

    The kernel gives a signal for the process to any thread that has not blocked it. A program that
    has, to wait for the signal or to be spared, knows nothing of threads of ours; they would take
    it, and by its default end the process. A thread begins with those blocked that are where it is
    started.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _all())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@lru_cache(maxsize=None)
def _all() -> set[signal.Signals]:
    left = {getattr(signal, name) for name in _OF_THREADS if hasattr(signal, name)}
    return signal.valid_signals() - left
