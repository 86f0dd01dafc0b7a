"""Makes our signal handlers run in a process whose main thread is blocked.

Python runs a signal handler on the main thread, between two bytecodes; a signal also interrupts the
system call in which the main thread waits. A signal that arrives just before the call, or on
another thread, interrupts nothing, and the handler waits until the call returns. Most calls return
by themselves. A worker of a multiprocessing pool does not: it waits for a lock, while its parent,
which sent the signal, waits for the worker.

The interpreter writes the number of each signal to its wake-up file descriptor at once
(https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd). A thread reads the other end
of that pipe and sends the signal to the main thread again until the handler has run.
"""

from __future__ import annotations

import os
import signal

from lupis_instrument._process.fork import count_threads, on_fork, wait_until_gone
from lupis_instrument._process.native_threads import (
    allocate_lock,
    get_ident,
    is_patched,
    sleep,
    start_new_thread,
)
from lupis_instrument._process.preceding import call_before

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_RESEND_SECONDS = 0.05
"""The time that a handler has before the signal is sent again."""
_MAX_RESENDS = 200
_STOP = b"\0"
"""Written to the pipe to end the thread; no signal has this number."""
_MAX_STOP_SECONDS = 0.2


class SignalWakeup:
    """The listening thread of one process, and its pipe."""

    def __init__(self, is_pending: Callable[[int], bool]) -> None:
        """Start listening; called on the main thread.

        Args:
            is_pending: returns whether a signal that has arrived has one of our handlers that has
                not run yet.
        """
        self._is_pending = is_pending
        self._main = get_ident()
        self._ended = allocate_lock()
        self._muted = self._paused = False
        self._reader, self._writer = os.pipe()
        self._pipe = os.fstat(self._reader)
        os.set_blocking(self._writer, False)
        self._wakeup = os.dup(self._writer)
        _set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        self._start_thread()

    def _start_thread(self) -> None:
        self._ended.acquire()
        start_new_thread(self._listen, ())

    def _listen(self) -> None:
        try:
            received = b""
            while received != _STOP and not (received and self._resend(received[0])):
                received = os.read(self._reader, 1) or _STOP
        except OSError:
            pass  # the program has closed all files, this pipe included: no signal comes any more
        finally:
            self._ended.release()

    def _resend(self, number: int) -> bool:
        """Send a signal to the main thread until its handler has run.

        Returns:
            Whether the signal had one of our handlers.
        """
        if not self._is_pending(number):
            return False
        for _ in range(_MAX_RESENDS):
            sleep(_RESEND_SECONDS)
            if not self._is_pending(number):
                break
            signal.pthread_kill(self._main, number)
        return True

    # The thread pauses for a fork, so that the child is not forked beside it. The wake-up file is
    # muted meanwhile: a signal that reaches the child before it has a pipe of its own must not be
    # reported in the parent's.

    def before_fork(self) -> None:
        """Mute the wake-up file and end the thread."""
        self._muted = self._owns_files()
        if not self._muted:
            return  # the program has closed all files; these numbers may belong to others now
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, self._wakeup, inheritable=False)
        os.close(devnull)
        threads = count_threads()
        running = self._ended.locked()
        os.write(self._writer, _STOP)
        self._paused = self._ended.acquire(timeout=_MAX_STOP_SECONDS)
        wait_until_gone(threads - (running and self._paused))

    def _owns_files(self) -> bool:
        return all(map(self._is_pipe, (self._reader, self._writer, self._wakeup)))

    def _is_pipe(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self._pipe)
        except OSError:
            return False

    def after_fork_in_parent(self) -> None:
        """Connect the wake-up file again and restart the thread."""
        if not self._muted:
            return
        os.dup2(self._writer, self._wakeup, inheritable=False)
        if self._paused:
            self._ended.release()
            self._start_thread()

    def after_fork_in_child(self) -> None:
        """Close the child's copies of the files; the thread exists in the parent only."""
        self._clear_wakeup_fd()
        if self._muted:
            self._close_files()

    def stop(self) -> None:
        """Leave signals to the program: end the thread and close the files."""
        self._clear_wakeup_fd()
        if self._owns_files():
            os.write(self._writer, _STOP)
            if self._ended.acquire(timeout=_MAX_STOP_SECONDS):
                self._close_files()

    def _clear_wakeup_fd(self) -> None:
        current = _set_wakeup_fd(-1)
        if current not in {-1, self._wakeup}:
            _set_wakeup_fd(current)  # the program's

    def _close_files(self) -> None:
        for file in (self._reader, self._writer, self._wakeup):
            os.close(file)


_set_wakeup_fd = signal.set_wakeup_fd


def _get_wakeup_fd() -> int:
    current = _set_wakeup_fd(-1)  # the only way to read it is to replace it
    if current != -1:
        _set_wakeup_fd(current)
    return current


class _State:
    """The one listener of this process."""

    def __init__(self) -> None:
        self.wakeup: SignalWakeup | None = None

    def take(self) -> SignalWakeup | None:
        """Return the listener and forget it."""
        wakeup, self.wakeup = self.wakeup, None
        return wakeup


_state = _State()


def start(is_pending: Callable[[int], bool]) -> None:
    """Resend signals to the main thread, which this is, from now on.

    Does nothing where gevent has replaced threads by greenlets (it listens for signals itself), and
    where the program uses the wake-up file descriptor itself.

    Args:
        is_pending: see `SignalWakeup`.
    """
    if not hasattr(signal, "pthread_kill") or is_patched():
        return
    if _state.wakeup is None and _get_wakeup_fd() == -1:
        _state.wakeup = SignalWakeup(is_pending)
        call_before(signal, "set_wakeup_fd", lambda *_, **__: _make_room())


def _make_room() -> None:
    """Give up the wake-up file descriptor to the program, which is about to set its own."""
    wakeup = _state.take()
    if wakeup is not None:
        wakeup.stop()


def _before_fork() -> None:
    if _state.wakeup is not None:
        _state.wakeup.before_fork()


def _after_fork_in_parent() -> None:
    if _state.wakeup is not None:
        _state.wakeup.after_fork_in_parent()


def _after_fork_in_child() -> None:
    wakeup = _state.take()
    if wakeup is not None:
        wakeup.after_fork_in_child()


on_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
