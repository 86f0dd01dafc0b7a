"""Has what is pending delivered where a process ends without Python's exit handlers.

Signals whose default is to end the process, and the children of multiprocessing, which leave by
`os._exit`. Imported with the first HTTP client; nothing here loads anything.
"""

from __future__ import annotations

import os
import signal
import threading

from lupis_instrument._diagnostics import guarded

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
    if _children.inside:
        _nudge()


class _Last:
    """A signal's handler that does one thing more before the default.

    Attributes:
        finishing: whether it is at that.
    """

    def __init__(self, finish: Callable[[], None]) -> None:
        self._finish = finish
        self.finishing = False

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Finish, and end the process as it would have ended."""
        if self.finishing:
            return  # whoever sends it twice need not wait longer than who sends it once
        self.finishing = True
        try:
            self._finish()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            # Still here: the kernel spares the first process of a container.
            signal.signal(number, self)
        finally:
            self.finishing = False


class _Children:
    """What multiprocessing keeps as the reason for calling us after a fork.

    Attributes:
        inside: whether this process is one.
    """

    inside = False


_children = _Children()


def follow_children(util: ModuleType, finish: Callable[[], None]) -> None:
    """Call `finish` when a child process of multiprocessing ends.

    Args:
        util: `multiprocessing.util`, or the same of a package that is made after it (billiard).
        finish: delivers.
    """

    def begin(_: _Children) -> None:
        _children.inside = True
        util.Finalize(None, finish, exitpriority=_LAST)
        _nudge()

    util.register_after_fork(_children, begin)


def _nudge() -> None:
    """Have our handlers run whatever the main thread of a child waits for: the rest of its pool."""
    from lupis_instrument import _nudge

    if any(map(_waits, signal.Signals)):
        guarded("listening for signals", _nudge.begin, _waits)


def _waits(number: int) -> bool:
    handler = signal.getsignal(number)
    return isinstance(handler, _Last) and not handler.finishing
