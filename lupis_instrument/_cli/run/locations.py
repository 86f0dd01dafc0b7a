"""Where this installation keeps the bootstrap, itself and what it depends on."""

# ruff: noqa: PTH100, PTH112, PTH113, PTH117, PTH118, PTH120 - pathlib is slow to import

from __future__ import annotations

import os
import sys

_BOOTSTRAP = "sitecustomize_template"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_DEPENDENCY = os.path.join("opentelemetry", "sdk")


def find_bootstrap_folder() -> str | None:
    """The folder with the bootstrap's sitecustomize.py.

    A wheel has it inside the package, an editable install beside the package.
    """
    for parent in (_PACKAGE, os.path.dirname(_PACKAGE)):
        folder = os.path.join(parent, _BOOTSTRAP)
        if os.path.isfile(os.path.join(folder, "sitecustomize.py")):
            return folder
    return None


def describe_site() -> str:
    """This interpreter's kind and version, a colon, and the folders to import the package from.

    For example `cpython-3.11:/opt/tools/lib/python3.11/site-packages`; several folders, those of
    an editable install and of its dependencies, are separated as in PATH.
    """
    major, minor = sys.version_info[:2]
    folders = [os.path.dirname(_PACKAGE), *filter(_has_dependency, _list_path())]
    return f"{sys.implementation.name}-{major}.{minor}:{os.pathsep.join(dict.fromkeys(folders))}"


def _list_path() -> list[str]:
    try:
        return [os.path.abspath(folder) for folder in sys.path]
    except OSError:  # the current folder is gone
        return [folder for folder in sys.path if os.path.isabs(folder)]


def _has_dependency(folder: str) -> bool:
    return os.path.isdir(os.path.join(folder, _DEPENDENCY))
