"""The variables that instrument a program: variables in, variables out."""

from __future__ import annotations

import os

from lupis_instrument import _semconv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

_PYTHONPATH = "PYTHONPATH"
_COERCED_LOCALES = frozenset({"C.UTF-8", "C.utf8", "UTF-8"})


def add_bootstrap(environ: Mapping[str, str], folder: str, site: str) -> dict[str, str]:
    """`environ` with the bootstrap's `folder` first in PYTHONPATH, and the launcher's `site`.

    The rest of PYTHONPATH stays as it is, empty entries (the current folder) included; doing
    this twice gives what doing it once gives.
    """
    path = environ.get(_PYTHONPATH, "")
    rest = [entry for entry in path.split(os.pathsep) if entry != folder] if path else []
    return {
        **environ,
        _PYTHONPATH: os.pathsep.join([folder, *rest]),
        _semconv.ENV_LAUNCHER_SITE: site,
    }


def add_run_id(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with an id for this launch, unless it already belongs to one."""
    run_id = environ.get(_semconv.ENV_RUN_ID) or os.urandom(16).hex()
    return {**environ, _semconv.ENV_RUN_ID: run_id}


def is_locale_coerced(environ: Mapping[str, str]) -> bool:
    """Whether LC_CTYPE may be this interpreter's own doing in the C locale (PEP 538)."""
    locale = environ.get("LC_ALL") or environ.get("LANG") or "C"
    return environ.get("LC_CTYPE") in _COERCED_LOCALES and locale in {"C", "POSIX"}


def undo_coercion(environ: Mapping[str, str], at_start: bytes) -> dict[str, str]:
    """`environ` without the LC_CTYPE that was not among the variables this process began with.

    Args:
        environ: the variables now.
        at_start: those at the start, each ended by a zero byte, as /proc/self/environ has them.
    """
    restored = dict(environ)
    if not any(entry.startswith(b"LC_CTYPE=") for entry in at_start.split(b"\0")):
        restored.pop("LC_CTYPE", None)
    return restored
