"""Checks that a wheel has all that the package needs, and nothing that is not its own."""

# A script, which prints:
# ruff: noqa: INP001, T201

from __future__ import annotations

import sys
import zipfile

REQUIRED = (
    "lupis_instrument/__init__.py",
    "lupis_instrument/_llm/pricing/catalog.jsonl",
    "lupis_instrument/py.typed",
    "lupis_instrument/sitecustomize_template/sitecustomize.py",
    "lupislabs/__init__.py",
    "lupislabs/py.typed",
)
OWN = ("lupis_instrument/", "lupislabs/", "lupis_instrument-")


def find_faults(names: list[str]) -> list[str]:
    """Return what is wrong with the files in a wheel, one sentence each."""
    missing = [f"{name} is missing" for name in REQUIRED if name not in names]
    foreign = [f"{name} does not belong there" for name in names if not name.startswith(OWN)]
    compiled = [f"{name} is compiled" for name in names if name.endswith(".pyc")]
    return missing + foreign + compiled


def main() -> None:
    """Check the wheel named on the command line."""
    (wheel,) = sys.argv[1:]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    faults = find_faults(names)
    if faults:
        sys.exit("\n".join([f"{wheel}:", *faults]))
    print(f"{wheel}: {len(names)} files, all that is needed among them")


if __name__ == "__main__":
    main()
