"""Keeps imports of ours apart: from each other, and from the program's forks.

Two threads that come to parts of the runtime from different ends would block each other, and the
import system then lets one of them see a module half made. And a module that one thread is
importing while another forks stays locked in the child for ever. Imported at every start.
"""

from __future__ import annotations

import _thread
import sys

from lupis_instrument._process.fork import on_fork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    Result = TypeVar("Result")

_LONGEST_WAIT = 5.0
"""Seconds. Not for ever: whoever loads may wait for a module that the waiting thread imports."""


class _State:
    lock = _thread.RLock()
    forking: dict[int, bool] = {}  # noqa: RUF012 - not a class to make instances of
    """By thread that forks: whether it has the lock."""


def alone(load: Callable[[], Result]) -> Result:
    """Return what `load` does, which imports something, while no other thread loads or forks."""
    lock = _State.lock
    mine = lock.acquire(timeout=_LONGEST_WAIT)
    try:
        return _unwatched(load) if "blockbuster" in sys.modules else load()
    finally:
        if mine:
            lock.release()


def _unwatched(load: Callable[[], Result]) -> Result:
    """Load past blockbuster, which forbids an event loop's thread to read files.

    It asks asyncio for the loop that runs. Hiding it takes two low-level functions, which asyncio
    offers to makers of event loops without documenting them; seen in 3.8 to 3.14. Where they are
    missing, loading is forbidden like all else, and that is reported.
    """
    try:
        from asyncio import _get_running_loop, _set_running_loop
    except ImportError:
        return load()
    loop = _get_running_loop()
    _set_running_loop(None)
    try:
        return load()
    finally:
        _set_running_loop(loop)


class Later:
    """What is made, with the imports that this takes, only when it is first asked for.

    Attributes:
        made: it, or nothing yet.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self.made: tuple[Any, ...] = ()

    def get(self) -> Any:
        """Return it, made now if it is not there yet."""
        return self.made[0] if self.made else alone(self._get)

    def _get(self) -> Any:
        if not self.made:
            self.made = (self._make(),)
        return self.made[0]


def watch_forks() -> None:
    """Have forks wait until whoever is loading has done so; once a process."""
    on_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_renew)


def _before_fork() -> None:
    _State.forking[_thread.get_ident()] = _State.lock.acquire(timeout=_LONGEST_WAIT)


def _after_fork() -> None:
    if _State.forking.pop(_thread.get_ident(), False):
        _State.lock.release()


def _renew() -> None:
    _State.lock = _thread.RLock()
    _State.forking.clear()
