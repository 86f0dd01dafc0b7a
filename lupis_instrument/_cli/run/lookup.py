"""Finds the file of a command, and options of Python that keep the bootstrap from running."""

# ruff: noqa: PTH110, PTH112, PTH113, PTH118, PTH119, PTH120, PTH123 - pathlib is slow to import

from __future__ import annotations

import os
import sys

from lupis_instrument.exceptions import LupisLaunchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Sequence

NOT_EXECUTABLE = 126
NOT_FOUND = 127
"""The exit statuses of shells (POSIX, Shell Command Language, 2.8.2)."""

_PYTHONS = frozenset({"python", "pythonw", "pypy"})
_ISOLATING_OPTIONS = {
    "I": "python -I ignores PYTHONPATH",
    "E": "python -E ignores PYTHONPATH",
    "S": "python -S runs no sitecustomize",
}
_USER_SWITCHES = frozenset({"sudo", "doas"})
"""Programs that remove PYTHONPATH, `sudo -E` too: it is in sudoers' list `env_delete`."""
_LAST_OPTIONS = "cm"
"""Python's options that end the list of options: `-c code` and `-m module`."""
_OPTIONS_WITH_VALUE = "WX"
_LONG_OPTION_WITH_VALUE = "--check-hash-based-pycs"
_CLEARING_OPTIONS = frozenset({"-", "-i", "--ignore-environment"})
"""The options of env(1) that remove all variables."""


def complete_command(command: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Return the command, with `python` before a Python file that the system does not run itself.

    The system runs a file that is executable and names its interpreter in its first line. `python`
    is the one in PATH, else the one that runs this.

    Args:
        command: the command and its arguments.
        environ: the environment variables.
    """
    if not command[0].endswith(".py"):
        return list(command)
    executable = next(filter(_is_executable, _list_candidates(command[0], environ)), None)
    file = executable or command[0]
    if not os.path.isfile(file) or (executable and _names_interpreter(executable)):
        return list(command)
    in_path = any(map(_is_executable, _list_candidates("python", environ)))
    return ["python" if in_path else sys.executable, file, *command[1:]]


def _is_executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _names_interpreter(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return True  # an executable need not be readable


def find_command(command: str, environ: Mapping[str, str]) -> str:
    """Return the path of the program that `command` starts.

    Args:
        command: a path, or a name to search for in PATH.
        environ: the environment variables.

    Raises:
        LupisLaunchError: there is no such program, or it is not executable.
    """
    candidates = _list_candidates(command, environ)
    for path in candidates:
        if _is_executable(path):
            return path
    existing = [path for path in candidates if os.path.exists(path)]
    if not os.path.dirname(command):  # a folder of that name in PATH is not the command
        existing = [path for path in existing if not os.path.isdir(path)]
    if existing:
        reason = "is a directory" if os.path.isdir(existing[0]) else "is not executable"
        raise LupisLaunchError(f"{command}: {reason}", NOT_EXECUTABLE)
    missing = "no such file" if command.endswith(".py") else "command not found"
    raise LupisLaunchError(f"{command}: {missing}", NOT_FOUND)


def _list_candidates(command: str, environ: Mapping[str, str]) -> list[str]:
    if not command:
        return []
    if os.name == "nt":
        import shutil

        path = shutil.which(command, path=environ.get("PATH"))
        return [path] if path else []
    if os.path.dirname(command):
        return [command]
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    return [os.path.join(folder, command) for folder in folders]


def find_obstacle(command: Sequence[str]) -> str | None:
    """Return the option in a command that keeps the bootstrap from running, as a sentence.

    Returns:
        None if the command shows none; a script may still start an isolated interpreter.
    """
    program, arguments = _name_program(command[0]), command[1:]
    if program == "env":
        return "env -i clears the environment" if _clears_environment(arguments) else None
    if program in _USER_SWITCHES and not any("PYTHONPATH" in word for word in arguments):
        return f"{program} removes PYTHONPATH, so put {program} before lupis-run"
    return _find_isolating_option(arguments) if program in _PYTHONS else None


def _name_program(command: str) -> str:
    """Return a program's name without folder and version: `python` for /usr/bin/python3.13t."""
    name = os.path.basename(command).lower()
    if name.endswith(".exe"):
        name = name[: -len(".exe")]
    return name.rstrip("td").rstrip("0123456789.") or name


def _clears_environment(arguments: Sequence[str]) -> bool:
    for argument in arguments:
        if not argument.startswith("-"):
            return False
        if argument in _CLEARING_OPTIONS:
            return True
    return False


def _find_isolating_option(arguments: Sequence[str]) -> str | None:
    letters, _ = read_python_options(arguments)
    reasons = (_ISOLATING_OPTIONS[letter] for letter in letters if letter in _ISOLATING_OPTIONS)
    return next(reasons, None)


def read_python_options(arguments: Sequence[str]) -> tuple[str, str | None]:
    """Return the letters of Python's options, and the script file after them, if there is one.

    Follows the interpreter's own rules: letters can be joined (`-Es`), `-W` and `-X` take a value
    that may be joined too, and `-c`, `-m`, `-` and `--` end the options.

    Args:
        arguments: the arguments after `python`.
    """
    letters = ""
    remaining = iter(arguments)
    for argument in remaining:
        if argument == _LONG_OPTION_WITH_VALUE:
            next(remaining, None)
        elif argument in {"-", "--"}:
            break
        elif not argument.startswith("-"):
            return letters, argument
        elif not argument.startswith("--"):
            flags, option_with_value = _split_options(argument[1:])
            letters += flags
            if option_with_value in _LAST_OPTIONS:
                break
            if argument.endswith(option_with_value):
                next(remaining, None)  # the value is the next argument
    return letters, None


def _split_options(letters: str) -> tuple[str, str]:
    """Return the letters before an option that takes a value, and that option, else a space."""
    for position, letter in enumerate(letters):
        if letter in _LAST_OPTIONS + _OPTIONS_WITH_VALUE:
            return letters[:position], letter
    return letters, " "
