"""Where the installation keeps its parts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import lupis_instrument
from lupis_instrument._cli.run import locations

PACKAGE = Path(lupis_instrument.__file__).parent


def test_the_bootstrap_folder_has_a_sitecustomize():
    """In a wheel inside the package, else beside it."""
    folder = Path(locations.find_bootstrap_folder())
    assert folder.parent in {PACKAGE, PACKAGE.parent}
    assert ["sitecustomize.py"] == [path.name for path in folder.glob("*.py")]


def test_the_site_names_interpreter_and_folders():
    """The tag tells who may use the folders; the package is importable from the first."""
    tag, _, folders = locations.describe_site().partition(":")
    listed = folders.split(os.pathsep)
    assert f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}" == tag
    assert str(PACKAGE.parent) == listed[0]
    assert any(Path(folder, "opentelemetry", "sdk").is_dir() for folder in listed)
    assert len(set(listed)) == len(listed)
