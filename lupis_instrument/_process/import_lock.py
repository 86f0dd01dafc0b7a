"""Serializes this package's lazy imports: one thread at a time, and none while the program forks.

Two threads that import parts of the runtime in different orders can deadlock; the import system
then breaks the deadlock by showing one of them a half-initialized module. And a module that one
thread is importing while another forks stays locked in the child for ever.
"""

from __future__ import annotations

import sys

from lupis_instrument._process.fork import on_fork
from lupis_instrument._process.kept_modules import use_kept_modules
from lupis_instrument._process.native_threads import RLock, get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    Result = TypeVar("Result")

_MAX_TRIES = 3
_MAX_WAIT_SECONDS = 5.0
"""A limit, because the thread that imports may itself wait for a module of the waiting thread."""


class _State:
    """The lock.

    Attributes:
        lock: held while a module is imported; reentrant.
        forking: for each thread that is forking, whether it holds the lock.
    """

    def __init__(self) -> None:
        self.lock = RLock()
        self.forking: dict[int, bool] = {}


_state = _State()


def import_alone(load: Callable[[], Result]) -> Result:
    """Return the result of `load`, which imports modules, while no other thread loads or forks."""
    lock = _state.lock
    acquired = lock.acquire(timeout=_MAX_WAIT_SECONDS)
    try:
        with use_kept_modules():
            return _load_past_blockbuster(load) if "blockbuster" in sys.modules else load()
    finally:
        if acquired:
            lock.release()


def _load_past_blockbuster(load: Callable[[], Result]) -> Result:
    """Load while blockbuster finds no event loop: it forbids the loop's thread to read files.

    blockbuster asks asyncio for the running loop. Hiding the loop takes two low-level functions
    that asyncio offers to authors of event loops without documenting them (seen in 3.8 to 3.14).
    Where they are missing, blockbuster forbids the import, and that is reported.
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


def load_again(load: Callable[[], Result]) -> Result:
    """Return the result of `load`, which is called again where an import in it fails.

    The import system fails where another thread of the program restores `sys.modules` meanwhile.
    """
    for _ in range(_MAX_TRIES - 1):
        try:
            return load()
        except (ImportError, KeyError):
            pass  # the last call, below, raises an error that stays
    return load()


class Lazy:
    """A value that is made, under the import lock, when it is first asked for.

    On the path of a call, `(lazy.made or lazy.make())[0]` asks without a function call.

    Attributes:
        made: a tuple of the value; empty until it is made.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self.made: tuple[Any, ...] = ()

    def get(self) -> Any:
        """Return the value, made now if nobody has asked for it before."""
        return (self.made or self.make())[0]

    def make(self) -> tuple[Any, ...]:
        """Make the value unless another thread has, and return `made`."""
        return import_alone(self._make_once)

    def _make_once(self) -> tuple[Any, ...]:
        if not self.made:
            self.made = (load_again(self._make),)
        return self.made


def _before_fork() -> None:
    _state.forking[get_ident()] = _state.lock.acquire(timeout=_MAX_WAIT_SECONDS)


def _after_fork_in_parent() -> None:
    if _state.forking.pop(get_ident(), False):
        _state.lock.release()


def _after_fork_in_child() -> None:
    _state.lock = RLock()
    _state.forking.clear()


on_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
