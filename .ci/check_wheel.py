"""Checks that a wheel has every file that the package needs, and no other files."""

# A script that prints:
# ruff: noqa: INP001, T201

from __future__ import annotations

import sys
import zipfile

REQUIRED = (
    "lupis_instrument/__init__.py",
    "lupis_instrument/_llm/pricing/catalog.jsonl",
    "lupis_instrument/_viewer/static/index.html",
    "lupis_instrument/_viewer/static/js/app.js",
    "lupis_instrument/_viewer/static/vendor/preact/LICENSE-htm.txt",
    "lupis_instrument/py.typed",
    "lupis_instrument/sitecustomize_template/sitecustomize.py",
    "lupislabs-stubs/__init__.pyi",
    "lupislabs.py",
)
OWN_FOLDERS = ("lupis_instrument/", "lupislabs-stubs/", "lupislabs.py", "lupis_instrument-")


def find_problems(names: list[str]) -> list[str]:
    """Return the problems with the files in a wheel, one sentence each."""
    missing = [f"{name} is missing" for name in REQUIRED if name not in names]
    foreign = [
        f"{name} does not belong to this package"
        for name in names
        if not name.startswith(OWN_FOLDERS)
    ]
    compiled = [f"{name} is compiled" for name in names if name.endswith(".pyc")]
    return missing + foreign + compiled


def main() -> None:
    """Check the wheel that the command line names."""
    (wheel,) = sys.argv[1:]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    problems = find_problems(names)
    if problems:
        sys.exit("\n".join([f"{wheel}:", *problems]))
    print(f"{wheel}: {len(names)} files, all required files included")


if __name__ == "__main__":
    main()
