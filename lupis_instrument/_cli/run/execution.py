"""The one place where the launcher becomes the command, or, on Windows, starts and awaits it."""

# ruff: noqa: PTH123 - pathlib is slow to import

from __future__ import annotations

import errno
import os
import sys

from lupis_instrument._cli.run import environment
from lupis_instrument._cli.run.lookup import NOT_EXECUTABLE, NOT_FOUND
from lupis_instrument.exceptions import LupisLaunchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, NoReturn, Sequence

_SHELL = "/bin/sh"
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ")


def execute(path: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the program at `path` as `command` would be run without us.

    Returns:
        Its exit status, on Windows; elsewhere it takes this process's place.

    Raises:
        LupisLaunchError: the system refuses to start it.
    """
    try:
        if os.name == "nt":
            return await_child(path, command, environ)
        replace_process(path, command, environ)
    except OSError as error:
        if error.errno == errno.ENOENT:
            reason = "the interpreter that its first line names is missing"
            raise LupisLaunchError(f"{command[0]}: {reason}", NOT_FOUND) from None
        raise LupisLaunchError(f"{command[0]}: {error.strerror}", NOT_EXECUTABLE) from None


def replace_process(path: str, command: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Become the program: same PID, terminal, streams and signals."""
    _restore_signals()
    variables = _restore_locale(environ)
    try:
        os.execvpe(path, list(command), variables)  # noqa: S606 - starting it is what we are for
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    # A script without a #! line, which execvp(3) and every shell hand to sh.
    os.execvpe(_SHELL, [_SHELL, path, *command[1:]], variables)  # noqa: S606


def _restore_signals() -> None:
    """Undo what the interpreter did at its start: signals that are ignored stay so over an exec."""
    signals: Any = sys.modules.get("_signal")  # importing `signal` loads enum, 5 ms
    if signals is None:
        import signal

        signals = signal
    for name in _IGNORED_BY_PYTHON:
        if hasattr(signals, name):
            signals.signal(getattr(signals, name), signals.SIG_DFL)


def _restore_locale(environ: Mapping[str, str]) -> Mapping[str, str]:
    if not environment.is_locale_coerced(environ):
        return environ
    try:
        with open("/proc/self/environ", "rb") as variables:
            return environment.undo_coercion(environ, variables.read())
    except OSError:  # not Linux: the program sees a C.UTF-8 it would see under any Python
        return environ


def await_child(path: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the program as a child; for Windows, where `exec` would make the caller go on too early.

    Ctrl+C and Ctrl+Break reach the child by the console they share; here they only must not end
    the launcher first.

    Returns:
        The child's exit status.
    """
    import signal
    import subprocess

    child = subprocess.Popen([path, *command[1:]], env=dict(environ))  # noqa: S603
    for name in ("SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: None)
    return child.wait()
