"""Keeps Python instrumented below other programs that start Python: tox, pipx and the like.

They give it an environment of their own, without the variables of this package, or put a
`sitecustomize` of their own before the one of this package. The changes here are made in their
process, which is instrumented itself, and in no other.
"""

from __future__ import annotations

import os
import subprocess

from lupis_instrument._process.child_environment import change_exec, change_popen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

_ACTION = "instrumenting a process below another launcher"
_PREFIX = "LUPIS_"
_PYTHONPATH = "PYTHONPATH"


def mend_children(folder: str) -> None:
    """Instrument the processes that this process starts from now on, whatever it passes to them.

    Args:
        folder: the folder of the bootstrap.
    """

    def change(environ: Mapping[str, str] | None) -> Mapping[str, str] | None:
        return mend_environment(environ, folder)

    change_popen(subprocess, change, _ACTION)
    change_exec(change, _ACTION)


def mend_environment(environ: Mapping[str, str] | None, folder: str) -> Mapping[str, str] | None:
    """Return the environment of a child with the variables of this package.

    Args:
        environ: the environment that the program passes; None for the one of this process.
        folder: the folder of the bootstrap, which comes before any other `sitecustomize`.
    """
    passed = os.environ if environ is None else environ
    path = passed.get(_PYTHONPATH)
    entries = path.split(os.pathsep) if path else []
    dropped = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_PREFIX) and name not in passed
    }
    if folder in entries and not any(map(_has_sitecustomize, entries[: entries.index(folder)])):
        return {**passed, **dropped} if dropped else environ
    others = [entry for entry in entries if entry != folder]
    return {**passed, **dropped, _PYTHONPATH: os.pathsep.join([folder, *others])}


def _has_sitecustomize(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "sitecustomize.py"))  # noqa: PTH113, PTH118
