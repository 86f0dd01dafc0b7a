"""Which interpreter a command would run, told without running it."""

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
_MOST_HEAD = 1024
_MOST_LEVELS = 4
"""Of scripts whose interpreters are scripts, as many as Linux runs."""
# What pip writes where the interpreter's path is too long for a #! line, or has a space.
_TRAMPOLINE = re.compile(rb"#!/bin/sh\n'''exec' (.+) \"\$0\" \"\$@\"\n")


class Target(NamedTuple):
    """What a command comes to.

    Attributes:
        path: the file that is executed.
        python: the interpreter; None where only a run would show whether it starts one.
        obstacle: what keeps the bootstrap from being run, if anything visible does.
        folder: where the program's modules are looked for first, if that is known.
    """

    path: str
    python: str | None
    obstacle: str | None
    folder: str | None = None


def find(command: Sequence[str], environ: Mapping[str, str], levels: int = _MOST_LEVELS) -> Target:
    """Return what `command` comes to.

    Args:
        command: the command and its arguments.
        environ: the variables.
        levels: how many scripts and env(1) to look through.

    Raises:
        LupisLaunchError: there is no such program, or it may not be executed.
    """
    path = lookup.find_command(command[0], environ)
    obstacle = lookup.find_obstacle(command)
    name = Path(path).name
    if _PYTHON.fullmatch(name):
        return Target(path, path, obstacle, _first_folder(command[1:]))
    behind = _behind_env(command[1:]) if name == "env" else _interpreter(path)
    if not behind or not levels:
        return Target(path, None, obstacle)
    inner = find(behind, environ, levels - 1)
    folder = inner.folder if name == "env" else str(Path(path).resolve().parent)
    return Target(path, inner.python, obstacle or inner.obstacle, folder)


def _first_folder(arguments: Sequence[str]) -> str | None:
    """What `sys.path` begins with in the program that Python's `arguments` name."""
    options, script = lookup.read_python_options(arguments)
    if "P" in options:
        return None
    path = Path(script).resolve() if script else Path.cwd()
    return str(path if path.is_dir() else path.parent)


def _behind_env(arguments: Sequence[str]) -> list[str]:
    """The command that env(1) runs."""
    for position, argument in enumerate(arguments):
        if not argument.startswith("-") and not _ASSIGNMENT.match(argument):
            return list(arguments[position:])
    return []


def _interpreter(path: str) -> list[str]:
    """What the first line of a script names."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(_MOST_HEAD)
    except OSError:
        return []  # to be executed it need not be readable
    trampoline = _TRAMPOLINE.match(head)
    line = trampoline.group(1) if trampoline else head[2:].split(b"\n")[0]
    if not head.startswith(b"#!"):
        return []
    words = shlex.split(os.fsdecode(line))
    return [word for word in words if word != "-S"] if words[:1] == ["/usr/bin/env"] else words
