"""Waits until threads that have ended for a fork are gone: Python warns of those there are left.

From 3.12 on it asks the kernel, for which a thread is there for a moment after it has been joined.
"""

from __future__ import annotations

import os
import sys
from threading import active_count
from time import monotonic, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_TASKS = "/proc/self/task"
_WARNS = sys.version_info >= (3, 12) and os.path.isdir(_TASKS)  # noqa: PTH112 - pathlib is slow to import
_LONGEST = 0.01
_PAUSE = 0.0001


def count_threads() -> int:
    """Return how many threads the kernel knows, 0 where nobody asks it."""
    return len(os.listdir(_TASKS)) if _WARNS else 0  # noqa: PTH208


def wait_for_end(count: int) -> None:
    """Wait, but not for long, until there are no more than `count` threads."""
    due = monotonic() + _LONGEST
    while count_threads() > count and monotonic() < due:
        sleep(_PAUSE)


def rest(stop: Callable[[], None]) -> None:
    """Call `stop`, which ends threads, and wait until those are gone."""
    threads, left = count_threads(), active_count()
    stop()
    wait_for_end(threads - max(0, left - active_count()))
