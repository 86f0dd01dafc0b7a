"""Has what is pending delivered where a process ends without Python's exit handlers.

Signals whose default is to end the process, those that it sends to itself, another program that it
becomes, and the children of multiprocessing, which leave by `os._exit`. Imported with the first
HTTP client; nothing here loads anything.
"""

from __future__ import annotations

import os
import signal
import threading
from functools import update_wrapper, wraps

from lupis_instrument._diagnostics import guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Any, Callable

_SIGNALS = ("SIGTERM", "SIGHUP")
_OWN_SIGNALS = (*_SIGNALS, "SIGINT", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2")
"""Those by which a process may end itself. Sent by others, the rest of these end it at once: a
handler of ours would run no sooner than Python's own code does, and not where that has stopped."""
_LAST = -1_000_000
"""Priority of a finalizer that runs when all others have."""


def watch_signals(finish: Callable[[Callable[[], None]], None]) -> None:
    """Call `finish` before a signal that the program leaves to its default ends the process.

    That is to call what it is given, whatever happens, which ends it. A handler that the program
    sets, before or after, stays as it is. Only the main thread can set one; called on another, this
    does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    try:
        for name in _SIGNALS:
            number = _number(name)
            if number is not None and _get(number) is signal.SIG_DFL:
                _set(number, _Last(finish))
    except ValueError:
        return  # in a sub-interpreter
    _children.idle = False
    _show_default(finish)
    if _children.inside:
        _listen()


_get, _set = signal.getsignal, signal.signal


def _show_default(finish: Callable[[Callable[[], None]], None]) -> None:
    """Have a program find the default where a handler of ours stands for it.

    It may set one of its own only where nobody has, and put back what it found.
    """
    if signal.getsignal is not _get:
        return

    @wraps(_get)
    def getsignal(signalnum: int) -> Any:
        return _seen(_get(signalnum))

    @wraps(_set)
    def set_handler(signalnum: int, handler: Any) -> Any:
        before = _set(signalnum, handler)
        ours = signalnum in map(_number, _SIGNALS) and not _children.idle
        if handler is signal.SIG_DFL and ours:
            guarded("watching for the end", _set, signalnum, _Last(finish))
        return _seen(before)

    signal.getsignal, signal.signal = getsignal, set_handler


def _number(name: str) -> int | None:
    return getattr(signal, name, None)  # not all of them on Windows


def _seen(handler: Any) -> Any:
    return signal.SIG_DFL if isinstance(handler, _Last) else handler


class _Last:
    """A signal's handler that does one thing more before the default.

    Attributes:
        finishing: whether it is at that.
        sending: whether the signal is being sent once more, which is to end the process.
    """

    sending = False

    def __init__(self, finish: Callable[[Callable[[], None]], None]) -> None:
        self._finish = finish
        self.finishing = False

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Finish, and end the process as it would have ended."""
        if self.finishing:
            return  # whoever sends it twice need not wait longer than who sends it once
        self.finishing = True
        self._finish(lambda: self._end(number))

    def _end(self, number: int) -> None:
        try:
            _set(number, signal.SIG_DFL)
            _Last.sending = True
            os.kill(os.getpid(), number)
            # Still here: the kernel spares the first process of a container.
            _set(number, self)
        finally:
            self.finishing = _Last.sending = False


def watch_program(finish: Callable[[], None], leave: Callable[[], None]) -> None:
    """Deliver before the program ends the process in ways of its own.

    Args:
        finish: called before a signal ends the process that it sends to itself, as handlers do
            that put back the default and send the signal once more.
        leave: called before the process becomes another program, or tries to.
    """
    for name in ("execv", "execve"):  # the others in os call these
        precede(os, name, lambda *_, **__: leave())

    def kill(pid: int, number: int) -> None:
        if pid in (os.getpid(), 0, -os.getpgrp()) and _is_fatal(number):
            finish()

    def killpg(group: int, number: int) -> None:
        if group in (0, os.getpgrp()) and _is_fatal(number):
            finish()

    def raise_signal(number: int) -> None:
        if _is_fatal(number):
            finish()

    if os.name != "nt":  # where these mean something else
        precede(os, "kill", kill)
        precede(os, "killpg", killpg)
        precede(signal, "raise_signal", raise_signal)


def _is_fatal(number: int) -> bool:
    """Tell whether a signal, sent now, would end the process unprepared."""
    return (
        not _Last.sending
        and any(number == getattr(signal, name, None) for name in _OWN_SIGNALS)
        and _get(number) is signal.SIG_DFL
        and number not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    )


def precede(module: ModuleType, name: str, act: Callable[..., None]) -> None:
    """Have `act` called, with the same arguments, before a function of `module`."""
    original = getattr(module, name, None)
    if original is None:
        return

    preceded = _Preceded(original, act)
    if original in os.supports_fd:
        os.supports_fd.add(preceded)
    setattr(module, name, preceded)


class _Preceded:
    """A function before which another is called; no method where it stands in a class."""

    def __init__(self, original: Callable[..., Any], act: Callable[..., None]) -> None:
        update_wrapper(self, original)
        self._original = original
        self._act = act

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call both."""
        guarded("delivering before the end", self._act, *args, **kwargs)
        return self._original(*args, **kwargs)

    def __repr__(self) -> str:
        return repr(self._original)

    def __reduce__(self) -> tuple[Any, ...]:
        # What another process gets is the function that it has there.
        from copy import copy

        return copy, (self._original,)

    def __copy__(self) -> _Preceded:
        return self

    def __deepcopy__(self, _: object) -> _Preceded:
        return self


class _Children:
    """What multiprocessing keeps as the reason for calling us after a fork.

    Attributes:
        inside: whether this process is one.
        idle: whether it is one that has nothing to deliver yet, so that no signal is watched.
    """

    inside = idle = False


_children = _Children()


def follow_children(util: ModuleType, finish: Callable[[], None], idle: Callable[[], bool]) -> None:
    """Call `finish` when a child process of multiprocessing ends.

    Args:
        util: `multiprocessing.util`, or the same of a package that is made after it (billiard).
        finish: delivers.
        idle: tells whether there is no client yet; when one comes, `watch_signals` is called.
    """

    def begin(_: _Children) -> None:
        _children.inside = True
        _children.idle = idle()
        util.Finalize(None, finish, exitpriority=_LAST)
        if _children.idle:
            _leave_signals()
        else:
            _listen()

    util.register_after_fork(_children, begin)


def _leave_signals() -> None:
    """Leave to their default those that we watch; in a forked child, on its main thread."""
    for number in map(_number, _SIGNALS):
        if number is not None and isinstance(_get(number), _Last):
            _set(number, signal.SIG_DFL)


def _listen() -> None:
    """Have our handlers run whatever the main thread of a child waits for: the rest of its pool."""
    from lupis_instrument._process import signal_wakeup as _nudge

    if any(map(_waits, signal.Signals)):
        guarded("listening for signals", _nudge.begin, _waits)


def _waits(number: int) -> bool:
    handler = _get(number)
    return isinstance(handler, _Last) and not handler.finishing
