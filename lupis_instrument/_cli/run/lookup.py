"""Which file a command is, and whether its command line shuts the bootstrap out."""

# ruff: noqa: PTH110, PTH112, PTH113, PTH118, PTH119, PTH120 - pathlib is slow to import

from __future__ import annotations

import os

from lupis_instrument.exceptions import LupisLaunchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, Sequence

NOT_EXECUTABLE = 126
NOT_FOUND = 127
"""Exit statuses as shells use them (POSIX, Shell Command Language, 2.8.2)."""

_PYTHONS = frozenset({"python", "pythonw", "pypy"})
_ISOLATING = {
    "I": "python -I ignores PYTHONPATH",
    "E": "python -E ignores PYTHONPATH",
    "S": "python -S runs no sitecustomize",
}
_LAST_OPTIONS = "cm"
_OPTIONS_WITH_VALUE = "WX"
_LONG_OPTION_WITH_VALUE = "--check-hash-based-pycs"
_CLEARING = frozenset({"-", "-i", "--ignore-environment"})


def find_command(command: str, environ: Mapping[str, str]) -> str:
    """The path of the program that `command` starts.

    Raises:
        LupisLaunchError: there is none, or it may not be executed.
    """
    candidates = _list_candidates(command, environ)
    for path in candidates:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    named = [path for path in candidates if os.path.exists(path)]
    if os.path.dirname(command):
        here = named
    else:
        here = [path for path in named if not os.path.isdir(path)]
    if here:
        reason = "is a directory" if os.path.isdir(here[0]) else "is not executable"
        raise LupisLaunchError(f"{command}: {reason}{_suggest(command)}", NOT_EXECUTABLE)
    raise LupisLaunchError(f"{command}: command not found{_suggest(command)}", NOT_FOUND)


def _list_candidates(command: str, environ: Mapping[str, str]) -> list[str]:
    if not command:
        return []
    if os.name == "nt":
        import shutil

        found = shutil.which(command, path=environ.get("PATH"))
        return [found] if found else []
    if os.path.dirname(command):
        return [command]
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    return [os.path.join(folder, command) for folder in folders]


def _suggest(command: str) -> str:
    if not command.endswith(".py"):
        return ""
    import shlex

    return f"; did you mean: lupis-run python {shlex.quote(command)}"


def find_obstacle(command: Sequence[str]) -> str | None:
    """What in the command line keeps the bootstrap from being run, if anything visible does."""
    program, options = _name_program(command[0]), command[1:]
    if program == "env":
        return "env -i clears the environment" if _is_clearing(options) else None
    return _find_isolation(options) if program in _PYTHONS else None


def _name_program(command: str) -> str:
    """`python` for /usr/bin/python3.13t."""
    name = os.path.basename(command).lower()
    if name.endswith(".exe"):
        name = name[: -len(".exe")]
    return name.rstrip("td").rstrip("0123456789.") or name


def _is_clearing(options: Sequence[str]) -> bool:
    for option in options:
        if not option.startswith("-"):
            return False
        if option in _CLEARING:
            return True
    return False


def _find_isolation(options: Sequence[str]) -> str | None:
    letters, _ = read_options(options)
    return next((_ISOLATING[letter] for letter in letters if letter in _ISOLATING), None)


def read_options(arguments: Sequence[str]) -> tuple[str, str | None]:
    """The letters of Python's options, and the script that they stand before, if it is a file."""
    found = ""
    remaining = iter(arguments)
    for option in remaining:
        if option == _LONG_OPTION_WITH_VALUE:
            next(remaining, None)
        elif option in {"-", "--"}:
            break
        elif not option.startswith("-"):
            return found, option
        elif not option.startswith("--"):
            letters, last = _split_options(option[1:])
            found += letters
            if last in _LAST_OPTIONS:
                break
            if option.endswith(last):
                next(remaining, None)
    return found, None


def _split_options(letters: str) -> tuple[str, str]:
    """The letters that are options, and the one of them that takes the rest as its value."""
    for position, letter in enumerate(letters):
        if letter in _LAST_OPTIONS + _OPTIONS_WITH_VALUE:
            return letters[:position], letter
    return letters, " "
