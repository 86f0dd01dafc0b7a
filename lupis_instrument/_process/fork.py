"""The handlers that this package runs around `os.fork`, and the wait for threads to be gone.

Python 3.12 and later warn of a fork in a process with several threads. They ask the kernel, which
still lists a thread for a moment after it was joined.
"""

from __future__ import annotations

import os
import sys

from lupis_instrument._diagnostics import internal_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_TASKS = "/proc/self/task"
_WARNS = sys.version_info >= (3, 12) and os.path.isdir(_TASKS)  # noqa: PTH112 - pathlib is slow to import
_MAX_WAIT_SECONDS = 0.01
_POLL_SECONDS = 0.0001


def on_fork(
    *,
    before: Callable[[], object] | None = None,
    after_in_parent: Callable[[], object] | None = None,
    after_in_child: Callable[[], object] | None = None,
) -> None:
    """Run these functions around each fork from now on; does nothing on Windows.

    The only caller of `os.register_at_fork`. As there, functions to run before a fork run in the
    reverse order of their registration. An error in one of them is reported and goes no further.
    """
    handlers = {
        "before": before,
        "after_in_parent": after_in_parent,
        "after_in_child": after_in_child,
    }
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            **{when: _guard_handler(run) for when, run in handlers.items() if run is not None}
        )


def _guard_handler(run: Callable[[], object]) -> Callable[[], None]:
    def run_guarded() -> None:
        with internal_errors("preparing for a fork"):
            run()

    return run_guarded


def count_threads() -> int:
    """Return the number of threads that the kernel lists; 0 where Python does not ask it."""
    return len(os.listdir(_TASKS)) if _WARNS else 0  # noqa: PTH208


def wait_until_gone(max_threads: int) -> None:
    """Wait up to 10 ms until the kernel lists no more than `max_threads` threads."""
    from time import monotonic

    from lupis_instrument._process.native_threads import sleep

    due = monotonic() + _MAX_WAIT_SECONDS
    while count_threads() > max_threads and monotonic() < due:
        sleep(_POLL_SECONDS)
