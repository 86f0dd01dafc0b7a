"""Tells why this program's own modules and packages leave no room for what we would load.

A module in the program's folder may be called as one that a library of ours imports: were
`requests` imported where the program is `requests.py`, the program would run a second time. And
what the launcher lends to another environment may not work with the packages that are there.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

_PACKAGE = "lupis-instrument"
_UNNEEDED = frozenset({"click"})  # by the commands only
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
"""What we load, and what that loads if there: a part by which each is known, if it has one."""
_STANDARD = (
    "ast asyncio bisect bz2 calendar concurrent configparser contextlib contextvars copy csv"
    " dataclasses datetime decimal dis email encodings enum fcntl fnmatch functools glob grp gzip"
    " hashlib heapq hmac html http importlib inspect ipaddress json linecache locale logging lzma"
    " mimetypes netrc ntpath numbers opcode pathlib pickle platform pwd queue random re resource"
    " secrets select selectors shlex shutil signal socket sqlite3 ssl string stringprep struct"
    " subprocess sysconfig tempfile textwrap threading token tokenize traceback typing urllib uuid"
    " warnings weakref zipfile zlib"
)
"""Modules of Python's own that we may be the first to load."""
NAMES = frozenset([*_LIBRARIES, *_STANDARD.split()])


def find_hidden() -> str | None:
    """Say which module of the program's would be loaded in the place of one that we need."""
    return _search(tuple(_own_folders()))


@lru_cache(maxsize=1)  # it is asked again for each client
def _search(folders: tuple[str, ...]) -> str | None:
    for folder in folders:
        for name in sorted(_list_names(folder) & NAMES):
            path = _find(name, folder)
            if path is not None:
                return f"{path} hides the module {name!r} from instrumentation"
    return None


def _own_folders() -> list[str]:
    """The folders that are searched before Python's own: the script's, and those of PYTHONPATH."""
    library = os.path.dirname(os.__file__)  # noqa: PTH120 - pathlib is slow to import
    path = sys.path[: sys.path.index(library)] if library in sys.path else []
    ours = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120
    return [folder for folder in path if isinstance(folder, str) and folder != ours]


def _list_names(folder: str) -> frozenset[str]:
    """What may be imported from a folder; an archive may hold anything."""
    try:
        return frozenset(entry.partition(".")[0] for entry in os.listdir(folder or "."))  # noqa: PTH208
    except NotADirectoryError:
        return NAMES
    except OSError:
        return frozenset()


def _find(name: str, folder: str) -> str | None:
    """The file of a module that is not the one that we know by this name."""
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec(name, [folder])
    if spec is None or spec.origin is None:  # nothing, or a folder that hides nothing
        return None
    loaded: ModuleSpec | None = getattr(sys.modules.get(name), "__spec__", None)
    if loaded is not None and loaded.origin != spec.origin:
        return None
    if name in _LIBRARIES and _is_library(spec, folder):
        return None
    return spec.origin


def _is_library(spec: ModuleSpec, folder: str) -> bool:
    """Whether it is the library of this name, be it the program's own copy."""
    part = _LIBRARIES[spec.name]
    if part:
        from importlib.machinery import PathFinder

        inside = spec.submodule_search_locations
        return inside is not None and bool(PathFinder.find_spec(f"{spec.name}.{part}", inside))
    from importlib.metadata import distributions

    return any(distributions(name=spec.name, path=[folder or "."]))


@lru_cache(maxsize=1)
def find_misfit() -> str | None:
    """Say which package, of what this environment has and of what was lent to it, fits not.

    The first of a name on `sys.path` is the one that is imported, here as by us.
    """
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return None  # it comes along with what we need: there is nothing to load either
    needing, seen = [_PACKAGE], {*_UNNEEDED}
    while needing:
        name = needing.pop()
        version, requirements = _look_up(name)
        for needed in map(Requirement, requirements):
            if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
                continue
            found = _look_up(needed.name)[0]
            if needed.name in _UNNEEDED or not found:
                continue
            if not needed.specifier.contains(found, prereleases=True):
                return (
                    f"{needed.name} {found} of this environment does not fit:"
                    f" {name} {version} needs {needed.name}{needed.specifier}"
                )
            if needed.name not in seen:
                seen.add(needed.name)
                needing.append(needed.name)
    return None


def _look_up(distribution: str) -> tuple[str, list[str]]:
    """Version and requirements, both empty if it is not there."""
    from importlib import metadata

    try:
        found = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return "", []
    return found.version, found.requires or []
