"""The threads of this package: they take no signals and never keep the program from ending.

`native_threads` says why they are no threads of the module `threading`.
"""

from __future__ import annotations

import signal
import sys
import threading
from abc import ABC, abstractmethod
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Callable, Generic, Iterator, TypeVar

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._process.fork import count_threads, on_fork, wait_until_gone
from lupis_instrument._process.native_threads import (
    RLock,
    allocate_lock,
    get_ident,
    start_new_thread,
)

if TYPE_CHECKING:
    from typing import Any, ContextManager

Item = TypeVar("Item")

_THREAD_SIGNALS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGABRT")
"""Signals that a thread raises by its own fault; faulthandler must be able to see them."""


class Event:
    """As `threading.Event`, of the operating system's locks; one thread sets it, once."""

    def __init__(self) -> None:
        """Make an event that is not set."""
        self._is_set = False
        self._unset = allocate_lock()
        self._unset.acquire()

    def is_set(self) -> bool:
        """Return whether the event is set."""
        return self._is_set

    def set(self) -> None:
        """Let all threads go on that wait."""
        if not self._is_set:
            self._is_set = True
            self._unset.release()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the event is set; returns whether it is.

        Args:
            seconds: the longest wait; None for no limit.
        """
        # A thread that has the lock passes it on. It may be interrupted by a signal handler that
        # waits as well, so the attribute decides first.
        if not self._is_set and acquire_within(self._unset, seconds):
            self._unset.release()
        return self._is_set


class Condition:
    """As `threading.Condition`, of the operating system's locks.

    Reentrant: a signal handler may use it on a thread that is using it.
    """

    def __init__(self) -> None:
        """Make a condition that no thread waits for."""
        self._lock = RLock()
        self._waiting: list[Any] = []

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def wait(self, seconds: float | None = None) -> None:
        """Let other threads change things until one of them calls `notify_all`.

        Args:
            seconds: the longest wait; None for no limit.
        """
        notified = allocate_lock()
        notified.acquire()
        self._waiting.append(notified)
        # These methods release a lock that is held several times over. They have no public name;
        # `threading.Condition` calls them too (Python 3.8 to 3.14).
        state = self._lock._release_save()
        try:
            acquire_within(notified, seconds)
        finally:
            self._lock._acquire_restore(state)
            if notified in self._waiting:
                self._waiting.remove(notified)

    def notify_all(self) -> None:
        """Let all threads go on that wait."""
        while self._waiting:
            self._waiting.pop().release()


def acquire_within(lock: Any, seconds: float | None) -> bool:
    """Acquire a lock; returns False if that takes longer than `seconds`, which None allows."""
    acquired: bool = lock.acquire(timeout=-1 if seconds is None else max(0.0, seconds))
    return acquired


class BackgroundThread:
    """A thread of the operating system that blocks all signals and never keeps the program waiting.

    No `threading.Thread`: patched, that is a greenlet, and one that started before the patch ends
    with a KeyError. The program does not see this thread in `threading.enumerate()` and cannot wait
    for it. The interpreter ends without it, as without a daemon thread.

    Attributes:
        name: the name of the work that the thread does.
        ident: the number of the thread; None before its start.
    """

    def __init__(self, run: Callable[[], None], name: str) -> None:
        """Make a thread that has not started yet.

        Args:
            run: the function that the thread runs.
            name: the name of the work.
        """
        self.name = name
        self.ident: int | None = None
        self._runs = [run]
        self._ended = Event()

    def start(self) -> None:
        """Start the thread with all signals blocked.

        Raises:
            RuntimeError: the interpreter is ending and starts no more threads.
        """
        _threads.add(self)
        try:
            with block_signals():
                self.ident = start_new_thread(self._run_all, ())
        except BaseException:
            _threads.discard(self)
            raise

    def _run_all(self) -> None:
        self.ident = get_ident()
        try:
            _use_trace_functions()
            while self._runs:
                self._runs.pop(0)()
        except Exception as fault:
            report_fault(f"the thread {self.name}", fault)
        finally:
            _threads.discard(self)
            self._ended.set()

    def run_afterwards(self, run: Callable[[], None]) -> None:
        """Run another function on this thread when its own has ended; called on this thread.

        For work that needs a thread of its own where the interpreter starts no more threads.

        Args:
            run: the function.
        """
        self._runs.append(run)

    def is_alive(self) -> bool:
        """Return whether the thread was started and has not ended."""
        return self.ident is not None and not self._ended.is_set()

    def wait(self, seconds: float | None) -> None:
        """Wait until a thread that was asked to end has ended; None waits without a limit.

        Returns at once for a thread that another thread is just starting.
        """
        if self.ident is not None:
            self._ended.wait(seconds)


_threads: set[BackgroundThread] = set()
"""The threads that were started and have not ended."""
on_fork(after_in_child=_threads.clear)


def find_current_thread() -> BackgroundThread | None:
    """Return the thread of this package that calls; None on a thread of the program."""
    ident = get_ident()
    return next((thread for thread in list(_threads) if thread.ident == ident), None)


def pause_threads(pause: Callable[[], None]) -> None:
    """Call `pause`, which ends threads of this package, and wait until they are gone.

    Args:
        pause: ends the threads.
    """
    listed, running = count_threads(), len(_threads)
    pause()
    wait_until_gone(listed - max(0, running - len(_threads)))


def _use_trace_functions() -> None:
    """Trace and profile this thread if all threads are traced, as `threading.Thread` does.

    Python 3.8 and 3.9 do not show the functions.
    """
    for name in ("trace", "profile"):
        function = getattr(threading, f"get{name}", lambda: None)()
        if function is not None:
            getattr(sys, f"set{name}")(function)


class BackgroundWorker(ABC):
    """Work that one background thread does, from the first item on until nothing is left.

    `start` and `stop` open and close the worker. `pause` and `resume` stand around a fork, and
    `reset` empties the copy of the worker in a forked child.
    """

    def __init__(self, name: str, thread_context: Callable[[], ContextManager[Any]]) -> None:
        """Make a worker; its thread starts with the first item.

        Args:
            name: the name of the thread.
            thread_context: returns the context manager that the work runs in; it keeps the
                requests of this package from being recorded.
        """
        self._name = name
        self._thread_context = thread_context
        self.reset()

    def reset(self) -> None:
        """Begin without thread and items; in a forked child both belong to the parent."""
        self._thread: BackgroundThread | None = None

    @abstractmethod
    def start(self) -> bool:
        """Undo `stop`, and start the thread if it has work.

        Returns:
            False if work is there, but the interpreter starts no more threads.
        """

    @abstractmethod
    def pause(self, seconds: float) -> None:
        """End the thread until `resume`; wait for its end for at most `seconds`."""

    @abstractmethod
    def resume(self) -> None:
        """Undo `pause`: start the thread again if it has work."""

    @abstractmethod
    def stop(self, seconds: float) -> bool:
        """Finish the current work within `seconds`; returns whether nothing was left undone."""

    @abstractmethod
    def _work_once(self) -> bool:
        """Do the next piece of work on the thread; returns False to end the thread."""

    @abstractmethod
    def _forget_thread(self) -> None:
        """Note that the thread has died of an error, so that the next item starts another."""

    def _prepare_thread(self) -> None:  # noqa: B027 - most workers need nothing
        """Import the modules that the work takes, on the thread and before its context."""

    def _make_thread(self) -> BackgroundThread:
        return BackgroundThread(self._run, self._name)

    def _run(self) -> None:
        try:
            self._prepare_thread()
            with self._thread_context():
                while self._work_once():
                    pass
        except Exception as fault:
            self._forget_thread()
            report_fault(f"the thread {self._name}", fault)


class Turns(Generic[Item]):
    """Lets one thread at a time prepare an item, whichever thread prepares it.

    A turn can be given up. A signal handler may interrupt the frame that prepares an item, and wait
    for the background thread, which waits for its turn. So the handler gives up the turn of the
    frame below it. The frame goes on later, and its result does not count.

    Attributes:
        current: the item that is being prepared, in a list; empty if there is none.
    """

    def __init__(self) -> None:
        """Begin without a thread that prepares."""
        self._lock = allocate_lock()
        self._holder = 0
        """The thread whose turn it is; 0 if there is none."""
        self.current: list[Item] = []

    def take(self, seconds: float) -> threading.Lock | None:
        """Wait for a turn.

        Args:
            seconds: the longest wait; negative for no limit.

        Returns:
            The turn; None if it did not come in time, or if this very thread has it already.
        """
        while self._holder != get_ident():
            turn: threading.Lock = self._lock
            if not turn.acquire(timeout=seconds):
                return None
            if self.is_valid(turn):
                self._holder = get_ident()
                return turn
            turn.release()  # it was given up meanwhile
        return None

    def is_valid(self, turn: threading.Lock) -> bool:
        """Return whether a turn has not been given up."""
        return turn is self._lock

    def end(self, turn: threading.Lock) -> None:
        """End a turn, unless it was given up."""
        if self.is_valid(turn):
            self.current.clear()
            self._holder = 0
            turn.release()

    def give_up(self) -> list[Item]:
        """Give up the turn of a frame of this very thread; returns the item that it prepares."""
        if self._holder != get_ident():
            return []
        turn, self._lock = self._lock, allocate_lock()
        items, self.current = self.current, []
        self._holder = 0
        turn.release()
        return items


@contextmanager
def block_signals() -> Iterator[None]:
    """Block signals inside the `with` block, and for good in threads that are started there.

    The kernel delivers a signal for the process to any thread that has not blocked it. A program
    may block a signal in its own threads, to wait for it or to be spared, and does not know of the
    threads of this package. They would take the signal, and its default action may end the
    process. A new thread inherits the blocked signals of the thread that starts it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _blockable_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@lru_cache(maxsize=None)
def _blockable_signals() -> set[signal.Signals]:
    kept = {getattr(signal, name) for name in _THREAD_SIGNALS if hasattr(signal, name)}
    return signal.valid_signals() - kept


def is_last_thread() -> bool:
    """Return whether this process is a child that was forked by a thread which has ended.

    Such a child ends with its last thread. Python's own main thread has a class to itself, seen as
    `_MainThread` in 3.8 to 3.14; where it has ended, other threads of the program go on.
    """
    main = threading.main_thread()
    return type(main).__name__ != "_MainThread" and not main.is_alive()
