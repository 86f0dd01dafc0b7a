"""Lends packages of the launcher's environment to a program whose environment lacks this one.

A finder at the end of `sys.meta_path` finds this package, and for the code of this package the
packages that it needs, with their metadata. `sys.path` stays as it is: no other package of the
launcher's environment can be imported or listed, and the program's own versions come first.
"""

from __future__ import annotations

import os
import sys

from lupis_instrument._diagnostics import internal_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import FrameType
    from typing import Any, Iterator, Sequence

    from lupis_instrument._process.lending_closure import Closure

UNNEEDED = frozenset({"click", "opentelemetry-distro", "opentelemetry-exporter-otlp-proto-http"})
"""Requirements of the commands and of `opentelemetry-instrument`: a program never loads them."""
_OWN_MODULES = ("lupis_instrument", "lupislabs")
_IMPORT_MACHINERY = (
    "importlib",  # also importlib_metadata, and the frozen modules
    "_frozen_importlib",
    "lupis_instrument._instrumentation.import_hook",
    "lupis_instrument._process.lending",
    "opentelemetry.util._importlib_metadata",
)
"""The beginnings of the names of modules that look up others on behalf of their callers."""
_FINDER_METHODS = frozenset({"find_spec", "find_distributions"})


def lend_packages(folders: Sequence[str]) -> None:
    """Make this package and the packages that it needs importable, after all others.

    Args:
        folders: the launcher's folders of packages; the first one has this package.
    """
    sys.meta_path.append(LentPackages(folders))


class LentPackages:
    """A meta path finder for the launcher's packages, and for their metadata.

    Requirements are found for lent code only. A program that tries whether `packaging` is installed
    gets the same answer as without the launcher.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = tuple(folders)
        self._prefixes = tuple(folder.rstrip(os.sep) + os.sep for folder in folders)
        self._closure: Closure | None = None

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        """Return the spec of a lent module; None for any other module."""
        spec = None
        with internal_errors("lending a module"):
            if name in _OWN_MODULES:
                from importlib.machinery import PathFinder

                spec = PathFinder.find_spec(name, [self._folders[0]])
            elif not name.startswith(_OWN_MODULES) and self._is_lent_code(sys._getframe(1)):
                spec = self._read_closure().find_spec(name)
        return spec

    def find_distributions(self, context: Any = None) -> Iterator[Any]:
        """Return the distributions of lent packages that the program's environment lacks.

        Args:
            context: the query, of `importlib.metadata` or of its backport.
        """
        distributions: Iterator[Any] = iter(())
        with internal_errors("lending metadata"):
            is_limited = "path" in getattr(context, "__dict__", {})
            if not is_limited and self._is_lent_code(sys._getframe(1)):
                distributions = self._read_closure().find_distributions(context)
        return distributions

    def _read_closure(self) -> Closure:
        if self._closure is None:
            from lupis_instrument._process.lending_closure import Closure

            self._closure = Closure(self._folders, UNNEEDED)
        return self._closure

    def _is_lent_code(self, frame: FrameType | None) -> bool:
        """Return whether the code that imports is lent itself."""
        while frame is not None:
            name = str(frame.f_globals.get("__name__"))
            is_finder = frame.f_code.co_name in _FINDER_METHODS
            if not is_finder and not name.startswith(_IMPORT_MACHINERY):
                file = str(frame.f_globals.get("__file__"))
                return file.startswith(self._prefixes) and self._is_lent_module(name)
            frame = frame.f_back
        return False

    def _is_lent_module(self, name: str) -> bool:
        # Before the metadata is read, this package's modules are the only lent ones that run. A
        # start does not read it: that takes 15 ms, and 80 ms with the imports that it needs.
        top = name.partition(".")[0]
        return top in _OWN_MODULES or (self._closure is not None and top in self._closure.modules)
