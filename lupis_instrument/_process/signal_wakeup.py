"""Has a signal's handler run where the main thread would sleep through the signal.

A handler of Python's runs when the main thread next comes by, or when the signal breaks off what it
waits for. Neither happens to one that came just before the wait began, or to another thread. Most
waits end by themselves, but a worker of a pool waits for a lock, and its parent, which has sent the
signal, waits for the worker. The interpreter tells of a signal at once through its wake-up file
descriptor: a thread reads there, and if the handler has not run, sends the signal once more.
"""

from __future__ import annotations

import _thread
import os
import signal
from time import sleep
from types import BuiltinFunctionType

from lupis_instrument._diagnostics import guarded
from lupis_instrument._process import shutdown_hooks as _ending
from lupis_instrument._process.fork import count_threads, on_fork, wait_until_gone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_GRACE = 0.05
"""Seconds that a handler has before the main thread is nudged, and between nudges."""
_MOST = 200
_REST = b"\0"
"""No signal's number: have the thread end."""
_LONGEST_REST = 0.2


class SignalWakeup:
    """The thread of one process that listens, and what it listens at."""

    def __init__(self, waits: Callable[[int], bool]) -> None:
        """Begin; on the main thread.

        Args:
            waits: tells of a signal that has come whether its handler is ours and has not run yet.
        """
        self._waits = waits
        self._main = _thread.get_ident()
        self._ended = _thread.allocate_lock()
        self._muted = self._rested = False
        self._reader, self._writer = os.pipe()
        self._pipe = os.fstat(self._reader)
        os.set_blocking(self._writer, False)
        self._wakeup = os.dup(self._writer)
        _set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        self._start()

    def _start(self) -> None:
        self._ended.acquire()
        _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        try:
            heard = b""
            while heard != _REST and not (heard and self._heed(heard[0])):
                heard = os.read(self._reader, 1) or _REST
        except OSError:
            pass  # the program has closed all files there are: we hear of no signal any more
        finally:
            self._ended.release()

    def _heed(self, number: int) -> bool:
        """Wake the main thread until it has run a handler of ours; returns whether it is one."""
        if not self._waits(number):
            return False
        for _ in range(_MOST):
            sleep(_GRACE)
            if not self._waits(number):
                break
            signal.pthread_kill(self._main, number)
        return True

    # Forks: the thread rests, lest the child be forked beside it, and a signal that comes to the
    # child before it has said where its own are told must not be told here.

    def before_fork(self) -> None:
        """Rest, and hear nothing."""
        self._muted = all(map(self._is_pipe, (self._reader, self._writer, self._wakeup)))
        if not self._muted:
            return  # the program has closed all files there were; these numbers may be others'
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._wakeup, inheritable=False)
        os.close(nowhere)
        threads = count_threads()
        running = self._ended.locked()
        os.write(self._writer, _REST)
        self._rested = self._ended.acquire(timeout=_LONGEST_REST)
        wait_until_gone(threads - (running and self._rested))

    def _is_pipe(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self._pipe)
        except OSError:
            return False

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if not self._muted:
            return
        os.dup2(self._writer, self._wakeup, inheritable=False)
        if self._rested:
            self._ended.release()
            self._start()

    def drop(self) -> None:
        """Leave all to the parent; in a forked child."""
        self._hear_nothing()
        if self._muted:
            self._close()

    def end(self) -> None:
        """Leave signals to the program."""
        self._hear_nothing()
        if all(map(self._is_pipe, (self._reader, self._writer, self._wakeup))):
            os.write(self._writer, _REST)
            if self._ended.acquire(timeout=_LONGEST_REST):
                self._close()

    def _hear_nothing(self) -> None:
        found = _set_wakeup_fd(-1)
        if found not in {-1, self._wakeup}:
            _set_wakeup_fd(found)

    def _close(self) -> None:
        for file in (self._reader, self._writer, self._wakeup):
            os.close(file)


_set_wakeup_fd = signal.set_wakeup_fd


def _wakeup_fd() -> int:
    found = _set_wakeup_fd(-1)
    if found != -1:
        _set_wakeup_fd(found)
    return found


def _give_way() -> None:
    """Leave the wake-up file descriptor to the program, which comes to set one of its own."""
    nudge, _State.nudge = _State.nudge, None
    if nudge is not None:
        nudge.end()


class _State:
    nudge: SignalWakeup | None = None


def begin(waits: Callable[[int], bool]) -> None:
    """Wake the main thread, which this is, from now on; `waits` as of `SignalWakeup`.

    Not where gevent has made threads greenlets: one of those that reads would stop all others.
    """
    if not hasattr(signal, "pthread_kill") or not _is_native(_thread.start_new_thread):
        return
    if _State.nudge is None and _wakeup_fd() == -1:
        _State.nudge = SignalWakeup(waits)
        _ending.precede(signal, "set_wakeup_fd", lambda *_, **__: _give_way())


def _is_native(function: object) -> bool:
    return isinstance(function, BuiltinFunctionType)


def _at_fork(name: str) -> None:
    if _State.nudge is not None:
        guarded("forking", getattr(_State.nudge, name))


def _drop() -> None:
    nudge, _State.nudge = _State.nudge, None
    if nudge is not None:
        guarded("forking", nudge.drop)


on_fork(
    before=lambda: _at_fork("before_fork"),
    after_in_parent=lambda: _at_fork("after_fork_in_parent"),
    after_in_child=_drop,
)
