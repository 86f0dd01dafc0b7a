"""The threads of this package: they take no signals and never keep the program from ending."""

from __future__ import annotations

import signal
import threading
from abc import ABC, abstractmethod
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Callable, Generic, Iterator, TypeVar

from lupis_instrument._diagnostics import internal_errors, report_fault

if TYPE_CHECKING:
    from threading import Thread
    from typing import Any, ContextManager
else:  # the class itself: a test may have put another in its place while this is loaded
    Thread = threading.Timer.__base__

Item = TypeVar("Item")

_THREAD_SIGNALS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGABRT")
"""Signals that a thread raises by its own fault; faulthandler must be able to see them."""


class BackgroundThread(Thread):
    """A daemon thread that blocks all signals and ends when the program joins it."""

    def __init__(self, run: Callable[[], None], name: str, end: Callable[[], object]) -> None:
        """Make a thread that has not started yet.

        Args:
            run: the function that the thread runs.
            name: the thread's name, as debuggers list it.
            end: asks the thread to end.
        """
        super().__init__(target=run, name=name, daemon=True)
        self._ends = [end]
        self._later_runs: list[Callable[[], None]] = []

    def start(self) -> None:
        """Start the thread with all signals blocked.

        Raises:
            RuntimeError: the interpreter is ending and starts no more threads.
        """
        with block_signals():
            super().start()

    def run(self) -> None:
        """Run the function of this thread, then the functions added to it."""
        super().run()
        while self._later_runs:
            self._later_runs.pop(0)()

    def run_afterwards(self, run: Callable[[], None], end: Callable[[], object]) -> None:
        """Run another function on this thread when its own has ended; called on this thread.

        For work that needs a thread of its own where the interpreter starts no more threads.

        Args:
            run: the function.
            end: asks the function to end.
        """
        self._later_runs.append(run)
        self._ends.append(end)

    def join(self, timeout: float | None = None) -> None:
        """Ask the thread to end and wait until it has.

        A program that joins all threads would otherwise wait for this one without end.
        """
        for request_end in list(self._ends):
            with internal_errors("ending a thread"):
                request_end()
        self.wait(timeout)

    def wait(self, seconds: float | None) -> None:
        """Wait until a thread that was asked to end has ended; None waits without a limit.

        Returns at once for a thread that another thread is just starting.
        """
        if self.ident is not None:
            super().join(seconds)


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
    def _request_end(self) -> object:
        """Ask the thread to end when it has done its work."""

    @abstractmethod
    def _forget_thread(self) -> None:
        """Note that the thread has died of an error, so that the next item starts another."""

    def _prepare_thread(self) -> None:  # noqa: B027 - most workers need nothing
        """Import the modules that the work takes, on the thread and before its context."""

    def _make_thread(self) -> BackgroundThread:
        return BackgroundThread(self._run, self._name, self._request_end)

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
        self._lock = threading.Lock()
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
        while self._holder != threading.get_ident():
            turn = self._lock
            if not turn.acquire(timeout=seconds):
                return None
            if self.is_valid(turn):
                self._holder = threading.get_ident()
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
        if self._holder != threading.get_ident():
            return []
        turn, self._lock = self._lock, threading.Lock()
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
