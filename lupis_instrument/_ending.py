"""Has what is pending delivered where a process ends without Python's exit handlers.

Signals whose default is to end the process, and the children of multiprocessing, which leave by
`os._exit`. Imported with the first HTTP client; nothing here loads anything.
"""

from __future__ import annotations

import os
import signal
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Callable

_SIGNALS = ("SIGTERM", "SIGHUP")
_LAST = -1_000_000
"""Priority of a finalizer that runs when all others have."""


def watch_signals(finish: Callable[[], None]) -> None:
    """Call `finish` before a signal that the program leaves to its default ends the process.

    A handler that the program sets, before or after, stays as it is. Only the main thread can
    set one; called on another, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for name in _SIGNALS:
        number = getattr(signal, name, None)  # not all of them on Windows
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _Last(finish))


class _Last:
    """A signal's handler that does one thing more before the default."""

    def __init__(self, finish: Callable[[], None]) -> None:
        self._finish = finish
        self._finishing = False

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Finish, and end the process as it would have ended."""
        if self._finishing:
            return  # whoever sends it twice need not wait longer than who sends it once
        self._finishing = True
        try:
            self._finish()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            # Still here: the kernel spares the first process of a container.
            signal.signal(number, self)
        finally:
            self._finishing = False


class _Children:
    """What multiprocessing keeps as the reason for calling us after a fork."""


_children = _Children()


def follow_children(util: ModuleType, finish: Callable[[], None]) -> None:
    """Call `finish` when a child process of multiprocessing ends.

    Args:
        util: `multiprocessing.util`, or the same of a package that is made after it (billiard).
        finish: delivers.
    """

    def begin(_: _Children) -> None:
        util.Finalize(None, finish, exitpriority=_LAST)

    util.register_after_fork(_children, begin)
