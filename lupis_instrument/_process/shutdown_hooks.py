"""Delivers pending telemetry where a process ends without Python's exit handlers.

Python calls `atexit` handlers at the end of the main module only. This module covers four other
ends: a signal whose default action ends the process, a signal that the process sends to itself,
`os.exec*`, and a child of multiprocessing, which leaves by `os._exit`. It is imported with the
first HTTP client and loads nothing more by itself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from functools import wraps

from lupis_instrument._diagnostics import internal_errors
from lupis_instrument._process.preceding import call_before

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Any, Callable

    Finish = Callable[[Callable[[], None]], None]
    """Delivers pending telemetry, then calls its argument, which ends the process."""

_HANDLED_SIGNALS = ("SIGTERM", "SIGHUP")
_FATAL_SIGNALS = (*_HANDLED_SIGNALS, "SIGINT", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2")
"""Signals that end the process by default and that a process may send to itself.

Only the first two get a handler. The others, when another process sends them, end this one at
once: a Python handler would run no sooner than the next bytecode, and never where the program is
stuck in a C function.
"""
_AFTER_ALL_OTHERS = -1_000_000
"""The priority of a finalizer that multiprocessing runs after all others."""


def watch_signals(finish: Finish) -> None:
    """Call `finish` before a signal that the program leaves to its default ends the process.

    A handler that the program sets, before or after, stays as it is. Only the main thread can set
    handlers; on another thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    try:
        for name in _HANDLED_SIGNALS:
            number = _signal_number(name)
            if number is not None and _getsignal(number) is signal.SIG_DFL:
                _set_handler(number, _FinalHandler(finish))
    except ValueError:
        return  # a sub-interpreter
    _child.idle = False
    _show_default(finish)
    if _child.is_child:
        _start_wakeup()


_getsignal, _set_handler = signal.getsignal, signal.signal


def _show_default(finish: Finish) -> None:
    """Show `SIG_DFL` to a program that asks for a signal that has our handler.

    Programs set a handler only where nobody else has, and restore the handler that they found.
    """
    if signal.getsignal is not _getsignal:
        return

    @wraps(_getsignal)
    def getsignal(signalnum: int) -> Any:
        return _visible_handler(_getsignal(signalnum))

    @wraps(_set_handler)
    def set_handler(signalnum: int, handler: Any) -> Any:
        previous = _set_handler(signalnum, handler)
        handled = signalnum in map(_signal_number, _HANDLED_SIGNALS) and not _child.idle
        if handler is signal.SIG_DFL and handled:
            with internal_errors("watching for signals"):
                _set_handler(signalnum, _FinalHandler(finish))
        return _visible_handler(previous)

    signal.getsignal, signal.signal = getsignal, set_handler


def _signal_number(name: str) -> int | None:
    return getattr(signal, name, None)  # Windows lacks some


def _visible_handler(handler: Any) -> Any:
    return signal.SIG_DFL if isinstance(handler, _FinalHandler) else handler


class _FinalHandler:
    """A signal handler that delivers pending telemetry, then lets the default action happen.

    Attributes:
        finishing: whether the handler is running.
        sending: whether any handler is sending its signal again to end the process.
    """

    sending = False

    def __init__(self, finish: Finish) -> None:
        self._finish = finish
        self.finishing = False

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Deliver, and end the process as the signal would have ended it."""
        if self.finishing:
            return  # a second signal must not start the wait anew
        self.finishing = True
        self._finish(lambda: self._end_process(number))

    def _end_process(self, number: int) -> None:
        try:
            _set_handler(number, signal.SIG_DFL)
            _FinalHandler.sending = True
            os.kill(os.getpid(), number)
            # Still alive: the kernel spares the first process of a container.
            _set_handler(number, self)
        finally:
            self.finishing = _FinalHandler.sending = False


def watch_self_termination(finish: Callable[[], None], hand_off: Callable[[], None]) -> None:
    """Deliver before the program ends its own process by a signal or by `os.exec*`.

    Args:
        finish: called before a signal that the process sends to itself and that ends it. Programs
            do so in signal handlers that restore the default and send the signal again.
        hand_off: called before the process becomes another program, or tries to.
    """
    for name in ("execv", "execve"):  # the other functions of `os` call these
        call_before(os, name, lambda *_, **__: hand_off())

    def before_kill(pid: int, number: int) -> None:
        if pid in (os.getpid(), 0, -os.getpgrp()) and _is_fatal(number):
            finish()

    def before_killpg(group: int, number: int) -> None:
        if group in (0, os.getpgrp()) and _is_fatal(number):
            finish()

    def before_raise_signal(number: int) -> None:
        if _is_fatal(number):
            finish()

    if os.name != "nt":  # on Windows these functions mean something else
        call_before(os, "kill", before_kill)
        call_before(os, "killpg", before_killpg)
        call_before(signal, "raise_signal", before_raise_signal)


def _is_fatal(number: int) -> bool:
    """Return whether the signal, sent now, would end the process without any handler."""
    return (
        not _FinalHandler.sending
        and any(number == getattr(signal, name, None) for name in _FATAL_SIGNALS)
        and _getsignal(number) is signal.SIG_DFL
        and number not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    )


class _ChildState:
    """The state of a child of multiprocessing, and the key of its after-fork function.

    Attributes:
        is_child: whether this process is such a child.
        idle: whether the child has nothing to deliver yet, so that no signal is watched.
    """

    is_child = idle = False


_child = _ChildState()


def watch_children(
    util: ModuleType, finish: Callable[[], None], is_idle: Callable[[], bool]
) -> None:
    """Call `finish` when a child process of multiprocessing ends.

    Args:
        util: `multiprocessing.util`, or the module of a package modelled on it (billiard).
        finish: delivers pending telemetry.
        is_idle: returns whether the process has no HTTP client yet; `watch_signals` is called
            when it gets one.
    """

    def start_in_child(_: _ChildState) -> None:
        _child.is_child = True
        _child.idle = is_idle()
        util.Finalize(None, finish, exitpriority=_AFTER_ALL_OTHERS)
        if _child.idle:
            _restore_defaults()
        else:
            _start_wakeup()

    util.register_after_fork(_child, start_in_child)
    _call_in_spawned(util, lambda: start_in_child(_child))


def _call_in_spawned(util: ModuleType, start: Callable[[], None]) -> None:
    """Call `start` in spawned children too.

    Python 3.10 and later call no functions of `register_after_fork` there (seen up to 3.14).
    """
    context = sys.modules.get(f"{util.__name__.rpartition('.')[0]}.context")
    process: Any = getattr(context, "SpawnProcess", object)
    if "_after_fork" in vars(process):
        call_before(process, "_after_fork", start)


def _restore_defaults() -> None:
    """Remove our handlers in a forked child; runs on its main thread."""
    for number in map(_signal_number, _HANDLED_SIGNALS):
        if number is not None and isinstance(_getsignal(number), _FinalHandler):
            _set_handler(number, signal.SIG_DFL)


def _start_wakeup() -> None:
    """Make our handlers run in a child even while its main thread is blocked."""
    from lupis_instrument._process import signal_wakeup

    if any(map(_is_pending, signal.Signals)):
        with internal_errors("listening for signals"):
            signal_wakeup.start(_is_pending)


def _is_pending(number: int) -> bool:
    """Return whether the signal has one of our handlers and it is not running."""
    handler = _getsignal(number)
    return isinstance(handler, _FinalHandler) and not handler.finishing
