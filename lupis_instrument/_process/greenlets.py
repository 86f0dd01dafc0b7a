"""Waits for work of this package without stopping the greenlets of gevent and eventlet."""

from __future__ import annotations

import time
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from lupis_instrument._process.background_thread import BackgroundThread
from lupis_instrument._process.import_lock import import_alone
from lupis_instrument._process.native_threads import is_patched

if TYPE_CHECKING:
    from typing import Callable, Sequence, TypeVar

    Result = TypeVar("Result")

_POLL_SECONDS = 0.01
_TURN_SECONDS = 0.001
"""gevent's `sleep(0)` lets no greenlet run that sleeps and is due."""


def call_beside_greenlets(work: Callable[[], Result]) -> Result | None:
    """Return the result of `work`, which may wait for long; other greenlets run meanwhile.

    Not for the end of the process: there, greenlets stop anyway.

    Args:
        work: runs on a thread of its own if the program has greenlets in place of threads.

    Returns:
        None if an error has ended `work`.
    """
    results: list[Result] = []
    thread = BackgroundThread(lambda: results.append(work()), "lupis-flush")
    if not is_patched() or not _start_thread(thread):
        return work()
    try:
        while thread.is_alive():
            time.sleep(_POLL_SECONDS)  # the program's function, which lets other greenlets run
    except Exception:
        thread.wait(None)  # in the greenlet of the event loop, which cannot wait for itself
    return results[0] if results else None


def _start_thread(thread: BackgroundThread) -> bool:
    try:
        thread.start()
    except RuntimeError:
        return False  # the interpreter is ending
    return True


def import_beside_greenlets(names: Sequence[str]) -> None:
    """Import modules one after the other; other greenlets run after each import.

    Stops in the greenlet of the event loop, which cannot let others run.

    Args:
        names: the names of the modules, a module after the modules that it imports. A module that
            cannot be imported is left out: the later import that needs it reports it.
    """
    for name in names:
        with suppress(Exception):
            import_alone(lambda name=name: import_module(name))  # type: ignore[misc]
        try:
            time.sleep(_TURN_SECONDS)  # it may raise: another greenlet may end this one
        except AssertionError:
            return  # in the greenlet of the event loop, which cannot wait
