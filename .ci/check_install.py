"""Checks that a pip which comes with common Pythons can install a wheel.

pip before 25.1 may give up on requirements that a newer pip resolves. This happens when
OpenTelemetry has published only some of the packages of a release.
"""

# A script that starts other programs:
# ruff: noqa: INP001, S603

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

OLD_PIP = "24.0"  # of Python 3.12 and Ubuntu 24.04, and the last of Python 3.8


def main() -> None:
    """Resolve the requirements of the wheel on the command line with the old pip."""
    (wheel,) = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        (python,) = Path(folder).glob("*/python")
        pip = (str(python), "-m", "pip", "install", "--quiet")
        subprocess.run([*pip, f"pip=={OLD_PIP}"], check=True)
        subprocess.run([*pip, "--dry-run", wheel], check=True)


if __name__ == "__main__":
    main()
