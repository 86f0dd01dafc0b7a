"""Checks that a wheel can be installed by a pip that comes with Pythons people have.

pip before 25.1 gives up where a newer one finds releases that go together, as it happens when
OpenTelemetry has published some of its packages and not yet the others.
"""

# A script, which starts others:
# ruff: noqa: INP001, S603

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

OLD_PIP = "24.0"  # of Python 3.12, Ubuntu 24.04 and, the last, Python 3.8


def main() -> None:
    """Have the old pip resolve what the wheel named on the command line needs."""
    (wheel,) = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        (python,) = Path(folder).glob("*/python")
        pip = (str(python), "-m", "pip", "install", "--quiet")
        subprocess.run([*pip, f"pip=={OLD_PIP}"], check=True)
        subprocess.run([*pip, "--dry-run", wheel], check=True)


if __name__ == "__main__":
    main()
