"""The folders of this installation: the bootstrap, the package, and its dependencies."""

# ruff: noqa: PTH100, PTH112, PTH113, PTH117, PTH118, PTH120 - pathlib is slow to import

from __future__ import annotations

import os
import sys

_BOOTSTRAP = "sitecustomize_template"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_DEPENDENCY = os.path.join("opentelemetry", "sdk")


def find_bootstrap_folder() -> str | None:
    """Return the folder with the bootstrap's sitecustomize.py; None if it is missing.

    A wheel has the folder inside the package, an editable install beside the package.
    """
    for parent in (_PACKAGE, os.path.dirname(_PACKAGE)):
        folder = os.path.join(parent, _BOOTSTRAP)
        if os.path.isfile(os.path.join(folder, "sitecustomize.py")):
            return folder
    return None


def describe_site() -> str:
    """Return this interpreter's kind and version, a colon, and the folders of its packages.

    An interpreter of the same kind and version can import this package from these folders, for
    example `cpython-3.11:/opt/tools/lib/python3.11/site-packages`. An editable install and its
    dependencies are in several folders, separated as in PATH.
    """
    major, minor = sys.version_info[:2]
    folders = [os.path.dirname(_PACKAGE), *filter(_has_dependency, _list_import_folders())]
    return f"{sys.implementation.name}-{major}.{minor}:{os.pathsep.join(dict.fromkeys(folders))}"


def _list_import_folders() -> list[str]:
    try:
        return [os.path.abspath(folder) for folder in sys.path]
    except OSError:  # the current folder has been deleted
        return [folder for folder in sys.path if os.path.isabs(folder)]


def _has_dependency(folder: str) -> bool:
    return os.path.isdir(os.path.join(folder, _DEPENDENCY))
