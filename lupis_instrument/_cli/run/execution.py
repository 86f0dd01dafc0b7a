"""Runs the command: the launcher's process becomes it, or, on Windows, waits for it."""

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
"""The signals that the interpreter ignores from its start on."""


def execute_command(path: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the program at `path` as a shell would run `command`.

    Args:
        path: the program's file.
        command: the command and its arguments.
        environ: the environment variables of the program.

    Returns:
        The program's exit status on Windows; on other systems the program replaces this process.

    Raises:
        LupisLaunchError: the system refuses to start the program.
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
    """Become the program, which keeps this process's PID, terminal, streams and signals."""
    _restore_signals()
    variables = _restore_locale(environ)
    try:
        os.execvpe(path, list(command), variables)  # noqa: S606 - the launcher's purpose
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    # A script without a #! line: execvp(3) and every shell run it with sh.
    os.execvpe(_SHELL, [_SHELL, path, *command[1:]], variables)  # noqa: S606


def _restore_signals() -> None:
    """Reset the signals that the interpreter ignores: an exec would hand this to the program."""
    signals: Any = sys.modules.get("_signal")  # importing `signal` loads enum, which takes 5 ms
    if signals is None:
        import signal

        signals = signal
    for name in _IGNORED_BY_PYTHON:
        if hasattr(signals, name):
            signals.signal(getattr(signals, name), signals.SIG_DFL)


def _restore_locale(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return `environ` without an LC_CTYPE that the interpreter has set for itself."""
    if not environment.is_locale_coerced(environ):
        return environ
    try:
        with open("/proc/self/environ", "rb") as variables:
            return environment.undo_coercion(environ, variables.read())
    except OSError:  # not Linux: the program gets the C.UTF-8 that any Python would hand to it
        return environ


def await_child(path: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the program as a child process and wait for it.

    For Windows, where an exec starts a new process and the caller would go on at once. The child
    receives Ctrl+C and Ctrl+Break from the console it shares with the launcher; the launcher
    ignores them so that it does not end first.

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
