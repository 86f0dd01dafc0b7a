"""The environment variables that instrument a program."""

from __future__ import annotations

import os

from lupis_instrument import _semconv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

_PYTHONPATH = "PYTHONPATH"
_COERCED_LOCALES = frozenset({"C.UTF-8", "C.utf8", "UTF-8"})
"""The values of LC_CTYPE that Python itself sets in the C locale (PEP 538)."""


def add_bootstrap(environ: Mapping[str, str], folder: str, site: str) -> dict[str, str]:
    """Return `environ` with the bootstrap added; adding it twice changes nothing.

    Args:
        environ: the environment variables.
        folder: the folder of the bootstrap, which comes first in PYTHONPATH. The other entries
            stay the same, empty ones (the current folder) included.
        site: the launcher's packages, as `describe_site` returns them.
    """
    path = environ.get(_PYTHONPATH, "")
    entries = [entry for entry in path.split(os.pathsep) if entry != folder] if path else []
    return {
        **environ,
        _PYTHONPATH: os.pathsep.join([folder, *entries]),
        _semconv.ENV_LAUNCHER_SITE: site,
    }


def add_run_id(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` with an id for this launch, unless an outer launch has set one."""
    run_id = environ.get(_semconv.ENV_RUN_ID) or os.urandom(16).hex()
    return {**environ, _semconv.ENV_RUN_ID: run_id}


def add_run_pid(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` with the id of this process, if a used-up budget has to stop it.

    This process becomes the program, so its id is the id of the first process of the launch.
    """
    stops = environ.get("LUPIS_ON_LIMIT", "").strip().lower() == "stop"
    if not stops or environ.get(_semconv.ENV_RUN_PID):
        return dict(environ)
    return {**environ, _semconv.ENV_RUN_PID: f"{os.getpid()}"}


def is_locale_coerced(environ: Mapping[str, str]) -> bool:
    """Return whether this interpreter may have set LC_CTYPE itself in the C locale (PEP 538)."""
    locale = environ.get("LC_ALL") or environ.get("LANG") or "C"
    return environ.get("LC_CTYPE") in _COERCED_LOCALES and locale in {"C", "POSIX"}


def undo_coercion(environ: Mapping[str, str], at_start: bytes) -> dict[str, str]:
    """Return `environ` without an LC_CTYPE that this process did not start with.

    Args:
        environ: the environment variables now.
        at_start: the variables at the start of the process, each ended by a zero byte, as
            /proc/self/environ has them.
    """
    restored = dict(environ)
    if not any(entry.startswith(b"LC_CTYPE=") for entry in at_start.split(b"\0")):
        restored.pop("LC_CTYPE", None)
    return restored
