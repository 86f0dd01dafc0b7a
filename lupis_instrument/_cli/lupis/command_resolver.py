"""Resolves which Python interpreter a command would run, without running the command."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lupis_instrument._cli.run import lookup

if TYPE_CHECKING:
    from typing import Mapping, Sequence

_PYTHON = re.compile(r"(python|pypy)[0-9.]*[td]*(\.exe)?", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"\w+=")
_MAX_FIRST_LINE_BYTES = 1024
_MAX_SCRIPT_LEVELS = 4
"""Linux runs a script whose interpreter is a script, up to this many levels."""
# pip writes these two lines if the interpreter's path is too long for a #! line, or has a space.
_PIP_TRAMPOLINE = re.compile(rb"#!/bin/sh\n'''exec' (.+) \"\$0\" \"\$@\"\n")


class ResolvedCommand(NamedTuple):
    """The result for a command.

    Attributes:
        path: the path of the executed file.
        python: the path of the interpreter; None if it cannot be known without a run.
        obstacle: the reason why the bootstrap would not run; None if there is no visible one.
        folder: the first folder in `sys.path`, if it is known.
    """

    path: str
    python: str | None
    obstacle: str | None
    folder: str | None = None


def resolve_command(
    command: Sequence[str], environ: Mapping[str, str], levels: int = _MAX_SCRIPT_LEVELS
) -> ResolvedCommand:
    """Resolve a command through scripts and env(1) to its interpreter.

    Args:
        command: the command and its arguments.
        environ: the environment variables.
        levels: the number of scripts and env(1) to look through.

    Raises:
        LupisLaunchError: there is no such program, or it is not executable.
    """
    command = lookup.complete_command(command, environ)
    path = lookup.find_command(command[0], environ)
    obstacle = lookup.find_obstacle(command)
    name = Path(path).name
    if _PYTHON.fullmatch(name):
        return ResolvedCommand(path, path, obstacle, _find_first_folder(command[1:]))
    inner = _skip_env_options(command[1:]) if name == "env" else _read_interpreter(path)
    if not inner or not levels:
        return ResolvedCommand(path, None, obstacle)
    resolved = resolve_command(inner, environ, levels - 1)
    folder = resolved.folder if name == "env" else str(Path(path).resolve().parent)
    return ResolvedCommand(path, resolved.python, obstacle or resolved.obstacle, folder)


def _find_first_folder(arguments: Sequence[str]) -> str | None:
    """Return the first entry of `sys.path` under Python's `arguments`; None with -P."""
    options, script = lookup.read_python_options(arguments)
    if "P" in options:
        return None
    path = Path(script).resolve() if script else Path.cwd()
    return str(path if path.is_dir() else path.parent)


def _skip_env_options(arguments: Sequence[str]) -> list[str]:
    """Return the command that env(1) runs, without options and assignments before it."""
    for position, argument in enumerate(arguments):
        if not argument.startswith("-") and not _ASSIGNMENT.match(argument):
            return list(arguments[position:])
    return []


def _read_interpreter(path: str) -> list[str]:
    """Return the command in the first line of a script; empty for any other file."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(_MAX_FIRST_LINE_BYTES)
    except OSError:
        return []  # an executable need not be readable
    if not head.startswith(b"#!"):
        return []
    trampoline = _PIP_TRAMPOLINE.match(head)
    line = trampoline.group(1) if trampoline else head[2:].split(b"\n")[0]
    words = shlex.split(os.fsdecode(line))
    return [word for word in words if word != "-S"] if words[:1] == ["/usr/bin/env"] else words
