"""Changes the environment variables of processes that the program starts."""

from __future__ import annotations

import os
from functools import wraps
from inspect import signature

from lupis_instrument._diagnostics import internal_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable, Mapping

    Change = Callable[[Mapping[str, str] | None], Mapping[str, str] | None]
    """Takes the environment that the program passes, None for its own; returns the changed one."""


def change_popen(subprocess: ModuleType, change: Change, action: str) -> None:
    """Change the argument `env` of `subprocess.Popen`.

    Args:
        subprocess: the module.
        change: makes the environment of the child.
        action: the words for this work in the report of an error.
    """
    start = subprocess.Popen.__init__
    names = list(signature(start).parameters)
    if "env" not in names:
        return  # another tool's wrapper, which does not show its parameters
    position = names.index("env")

    @wraps(start)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        with internal_errors(action):
            args, kwargs = _change_arguments(args, kwargs, position, change)
        start(*args, **kwargs)

    subprocess.Popen.__init__ = wrapped


def _change_arguments(
    args: tuple[Any, ...], kwargs: dict[str, Any], position: int, change: Change
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of `Popen` with a changed `env`.

    Args:
        args: the positional arguments.
        kwargs: the keyword arguments.
        position: the index of `env` among positional arguments.
        change: makes the environment of the child.
    """
    if len(args) > position:
        return (*args[:position], change(args[position]), *args[position + 1 :]), kwargs
    return args, {**kwargs, "env": change(kwargs.get("env"))}


def change_exec(change: Change, action: str) -> None:
    """Change the environment of the program that this process becomes by `os.exec*`.

    Args:
        change: makes the environment of that program.
        action: the words for this work in the report of an error.
    """
    # The other functions of `os` call these two.
    replace, replace_with = os.execv, os.execve

    @wraps(replace)
    def execv(path: Any, argv: Any) -> None:
        environ = None
        with internal_errors(action):
            environ = change(None)
        if environ is None:
            replace(path, argv)
        else:
            replace_with(path, argv, environ)

    @wraps(replace_with)
    def execve(path: Any, argv: Any, env: Any) -> None:
        environ = env
        with internal_errors(action):
            environ = change(env)
        replace_with(path, argv, environ)

    os.execv, os.execve = execv, execve  # type: ignore[assignment]
