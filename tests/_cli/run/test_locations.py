"""The folders of the installation."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import lupis_instrument
from lupis_instrument._cli.run import locations

PACKAGE = Path(lupis_instrument.__file__).parent


def test_bootstrap_folder_has_a_sitecustomize():
    """The folder is inside the package (a wheel) or beside it (an editable install)."""
    folder = Path(locations.find_bootstrap_folder())
    assert folder.parent in {PACKAGE, PACKAGE.parent}
    assert ["sitecustomize.py"] == [path.name for path in folder.glob("*.py")]


def test_site_has_interpreter_and_folders():
    """The tag is the interpreter's; the folders have the package and OpenTelemetry's SDK."""
    tag, _, folders = locations.describe_site().partition(":")
    paths = folders.split(os.pathsep)
    assert f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}" == tag
    assert str(PACKAGE.parent) == paths[0]
    assert any(Path(folder, "opentelemetry", "sdk").is_dir() for folder in paths)
    assert len(set(paths)) == len(paths)
