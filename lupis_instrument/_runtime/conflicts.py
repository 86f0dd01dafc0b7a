"""Finds modules and packages of the program that conflict with the ones instrumentation needs.

A file in the program's folder may have the name of a library that instrumentation imports: if the
program is `requests.py`, importing `requests` would run the program a second time. And packages
that the launcher lends to another environment may not work with the packages installed there.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache

from lupis_instrument._diagnostics import internal_errors, warn
from lupis_instrument._process.lending import UNNEEDED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Iterator

    from packaging.requirements import Requirement

_PACKAGE = "lupis-instrument"
_LIBRARIES = {
    "brotli": "",
    "brotlicffi": "",
    "certifi": "core",
    "chardet": "universaldetector",
    "charset_normalizer": "api",
    "deprecated": "classic",
    "google": "protobuf",
    "h2": "connection",
    "idna": "core",
    "importlib_metadata": "_meta",
    "opentelemetry": "sdk",
    "packaging": "version",
    "platformdirs": "api",
    "psutil": "_common",
    "requests": "adapters",
    "simplejson": "decoder",
    "typing_extensions": "",
    "urllib3": "connectionpool",
    "wrapt": "wrappers",
    "zipp": "",
    "zstandard": "backend_cffi",
}
"""Libraries that instrumentation loads, directly or not: a submodule that identifies each."""
_STANDARD = (
    "ast asyncio bisect bz2 calendar concurrent configparser contextlib contextvars copy csv"
    " dataclasses datetime decimal dis email encodings enum fcntl fnmatch functools glob grp gzip"
    " hashlib heapq hmac html http importlib inspect ipaddress json linecache locale logging lzma"
    " mimetypes netrc ntpath numbers opcode pathlib pickle platform pwd queue random re resource"
    " secrets select selectors shlex shutil signal socket sqlite3 ssl string stringprep struct"
    " subprocess sysconfig tempfile textwrap threading token tokenize traceback typing urllib uuid"
    " warnings weakref zipfile zlib"
)
"""Modules of the standard library that instrumentation may be the first to load."""
NEEDED_MODULES = frozenset([*_LIBRARIES, *_STANDARD.split()])


def is_obstructed(*, lent: bool) -> bool:
    """Return whether a conflict forbids to load anything; warn of it once.

    Args:
        lent: whether the launcher lends its packages, which may not fit the environment.
    """
    return _warn_of_hidden_module() or (lent and _warn_of_misfit())


def _warn_of_hidden_module() -> bool:
    reason = None
    with internal_errors("looking at the program's modules"):
        reason = find_hidden_module()
    if reason:
        warn(f"{reason}; rename it to have this program instrumented")
    return bool(reason)


def _warn_of_misfit() -> bool:
    reason = None
    with internal_errors("looking at the program's packages"):
        reason = find_misfit()
    if reason:
        install = f"{sys.executable} -m pip install lupis-instrument"
        warn(f"{reason}; to have this program instrumented: {install}")
    return bool(reason)


def find_hidden_module() -> str | None:
    """Return a sentence about a file of the program that hides a needed module; None without."""
    return _search_folders(tuple(_program_folders()))


@lru_cache(maxsize=1)  # called for each client
def _search_folders(folders: tuple[str, ...]) -> str | None:
    for folder in folders:
        for name in sorted(_list_names(folder) & NEEDED_MODULES):
            path = _find_file(name, folder)
            if path is not None:
                return f"{path} hides the module {name!r} from instrumentation"
    return None


def _program_folders() -> list[str]:
    """Return the folders before Python's own on the path: the script's, and PYTHONPATH."""
    library = os.path.dirname(os.__file__)  # noqa: PTH120 - pathlib is slow to import
    path = sys.path[: sys.path.index(library)] if library in sys.path else []
    package_folder = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120
    return [folder for folder in path if isinstance(folder, str) and folder != package_folder]


def _list_names(folder: str) -> frozenset[str]:
    """Return the names that may be importable from a folder; an archive may hold any name."""
    try:
        return frozenset(entry.partition(".")[0] for entry in os.listdir(folder or "."))  # noqa: PTH208
    except NotADirectoryError:
        return NEEDED_MODULES
    except OSError:
        return frozenset()


def _find_file(name: str, folder: str) -> str | None:
    """Return the file that `name` would be imported from, if it is not the needed module."""
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec(name, [folder])
    if spec is None or spec.origin is None:  # no module, or a plain folder, which hides nothing
        return None
    loaded: ModuleSpec | None = getattr(sys.modules.get(name), "__spec__", None)
    if loaded is not None and loaded.origin != spec.origin:
        return None
    if name in _LIBRARIES and _is_library(spec, folder):
        return None
    return spec.origin


def _is_library(spec: ModuleSpec, folder: str) -> bool:
    """Return whether the file is the library of this name: the program may bring its own copy."""
    submodule = _LIBRARIES[spec.name]
    if submodule:
        from importlib.machinery import PathFinder

        folders = spec.submodule_search_locations
        return folders is not None and bool(
            PathFinder.find_spec(f"{spec.name}.{submodule}", folders)
        )
    from importlib.metadata import distributions

    return any(distributions(name=spec.name, path=[folder or "."]))


@lru_cache(maxsize=1)
def find_misfit() -> str | None:
    """Return a sentence about a package, of the environment or lent, that does not fit.

    None where all fit.
    """
    to_check, seen = [_PACKAGE], {*UNNEEDED}
    while to_check:
        name = to_check.pop()
        for needed, installed in list_requirements(name):
            if needed.name in UNNEEDED or not installed:
                continue
            if not needed.specifier.contains(installed, prereleases=True):
                return (
                    f"{needed.name} {installed} of this environment does not fit:"
                    f" {name} {_look_up(name)[0]} needs {needed.name}{needed.specifier}"
                )
            if needed.name not in seen:
                seen.add(needed.name)
                to_check.append(needed.name)
    return None


def list_requirements(name: str = _PACKAGE) -> Iterator[tuple[Requirement, str]]:
    """Yield the requirements of a distribution in this interpreter, with the installed versions.

    A version is empty where the requirement is not installed. Looks at the first distribution of
    each name on `sys.path`, which is the one that an import takes.
    """
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return  # a dependency of OpenTelemetry: without it there is nothing to load
    for needed in map(Requirement, _look_up(name)[1]):
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            yield needed, _look_up(needed.name)[0]


def _look_up(name: str) -> tuple[str, list[str]]:
    """Return version and requirements of a distribution; both empty if it is not installed."""
    from importlib import metadata

    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return "", []
    return distribution.version, distribution.requires or []
