"""The packages that this package needs, as their installed metadata in some folders tells."""

from __future__ import annotations

import os
import re
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import DistributionFinder, MetadataPathFinder, PathDistribution
from pathlib import Path
from typing import TYPE_CHECKING, AbstractSet, Any, Iterator, Sequence

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_DISTRIBUTION = "lupis-instrument"
_COPIED_NEEDS = ("opentelemetry-", "platformdirs")
"""The beginnings of the names of this package's requirements, where no metadata lists them."""
_MODULE_SUFFIXES = (".py", ".so", ".pyd")
_METADATA_SUFFIXES = frozenset({".dist-info", ".egg-info"})


class Closure:
    """This package's distribution and the distributions that it needs, directly or not.

    Attributes:
        modules: the folder of packages that has a module, by the module's name; None for a
            namespace package. A module inside a package with an `__init__.py` is left out.
        distributions: the folder with the metadata of each distribution, by its name.
    """

    def __init__(self, folders: Sequence[str], unneeded: AbstractSet[str]) -> None:
        """Read the metadata.

        Args:
            folders: the folders of packages; an earlier one has precedence.
            unneeded: the names of distributions that are left out.
        """
        self.modules: dict[str, str | None] = {}
        self.distributions: dict[str, Path] = {}
        installed = dict(_list_metadata(folders))
        waiting = [_DISTRIBUTION]
        if _DISTRIBUTION not in installed:  # the package was copied there, and not installed
            waiting = [name for name in installed if name.startswith(_COPIED_NEEDS)]
        while waiting:
            name = waiting.pop()
            if name in self.distributions or name in unneeded or name not in installed:
                continue
            self.distributions[name] = installed[name]
            distribution = PathDistribution(installed[name])
            self._add_modules(distribution, str(installed[name].parent), name)
            waiting += map(_read_name, filter(_is_required, distribution.requires or ()))

    def find_spec(self, name: str) -> ModuleSpec | None:
        """Return the spec of one of the modules; None for any other module."""
        if name not in self.modules:
            return None
        folder = self.modules[name]
        if folder is not None:
            return PathFinder.find_spec(name, [str(Path(folder, *name.split(".")[:-1]))])
        # Without a folder, for a namespace package has packages of other distributions too.
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = []
        return spec

    def find_distributions(self, context: Any) -> Iterator[Distribution]:
        """Yield the distributions that a query asks for and that `sys.path` lacks.

        Args:
            context: the query, of `importlib.metadata` or of its backport `importlib_metadata`,
                which expects objects of its own class.
        """
        wanted = getattr(context, "name", None)
        module = sys.modules.get(type(context).__module__)
        make = getattr(module, "PathDistribution", PathDistribution)
        for name, path in self.distributions.items():
            if (wanted is None or name == _normalize(wanted)) and not _has_distribution(path):
                yield make(path)

    def _add_modules(self, distribution: Distribution, folder: str, name: str) -> None:
        record = distribution.read_text("RECORD")
        if record is None:  # Linux distributions leave it out
            names = (distribution.read_text("top_level.txt") or name.replace("-", "_")).split()
            self.modules.update(dict.fromkeys(names, folder))
            return
        files = [line.partition(",")[0] for line in record.splitlines()]
        packages = {file[: -len("/__init__.py")] for file in files if file.endswith("/__init__.py")}
        for file in files:
            if file.endswith(_MODULE_SUFFIXES) and not file.startswith(("/", ".")):
                self._add_module(file.split("/"), packages, folder)

    def _add_module(self, parts: list[str], packages: set[str], folder: str) -> None:
        """Add the outermost package with an `__init__.py` of a file, or the module itself."""
        for depth in range(1, len(parts)):
            name = ".".join(parts[:depth])
            if "/".join(parts[:depth]) in packages:
                self.modules[name] = folder
                return
            self.modules.setdefault(name, None)
        self.modules[".".join([*parts[:-1], parts[-1].partition(".")[0]])] = folder


def _list_metadata(folders: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Yield name and metadata of each distribution, from the last folder to the first."""
    for folder in reversed(folders):
        try:
            entries = [Path(folder, entry) for entry in os.listdir(folder)]  # noqa: PTH208 - faster
        except OSError:
            continue
        for entry in entries:
            if entry.suffix in _METADATA_SUFFIXES:
                yield _normalize(entry.stem.partition("-")[0]), entry


def _has_distribution(metadata: Path) -> bool:
    """Return whether a folder in `sys.path` has the distribution that this metadata belongs to.

    The name is spelled as in the metadata's own name: Python 3.8 compares the spellings.
    """
    context = DistributionFinder.Context(name=metadata.stem.partition("-")[0])
    return next(iter(MetadataPathFinder.find_distributions(context)), None) is not None


def _is_required(requirement: str) -> bool:
    """Return whether a requirement belongs to no extra.

    Other markers are not read: a distribution that is needed elsewhere only does no harm.
    """
    return not re.search(r"\bextra\s*==", requirement)


def _read_name(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    return _normalize(match[0]) if match else ""


def _normalize(name: str) -> str:
    """Return the normal form of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
