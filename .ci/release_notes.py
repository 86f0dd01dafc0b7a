"""Writes this version's part of CHANGELOG.md, and prints `version=VERSION` for a workflow.

python .ci/release_notes.py notes.md
"""

# A script that prints:
# ruff: noqa: INP001, T201

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = re.compile(r'^Source = "(.+)"$', re.MULTILINE)
"""The repository's address in pyproject.toml."""


def read_version() -> str:
    """Return the version of the package, without importing it."""
    text = (ROOT / "lupis_instrument" / "_version.py").read_text(encoding="utf-8")
    return re.findall(r'__version__ = "(.+)"', text)[0]


def find_notes(changelog: str, version: str) -> str:
    """Return the part of the changelog for a version, with links that work outside the repository.

    Raises:
        LookupError: the changelog has no such part.
    """
    heading = re.escape(f"## [{version}]")
    match = re.search(rf"^{heading}.*?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if match is None:
        raise LookupError(f"CHANGELOG.md has no heading for {version}")
    base = SOURCE.findall((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[0]
    return re.sub(r"\]\((?!https?:)", f"]({base}/blob/v{version}/", match[1]).strip() + "\n"


def main() -> None:
    """Write the notes to the file that the command line names."""
    (path,) = sys.argv[1:]
    version = read_version()
    notes = find_notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    Path(path).write_text(notes, encoding="utf-8")
    print(f"version={version}")


if __name__ == "__main__":
    main()
