"""A Python process in which a test runs a program with the runtime's modules."""

import os
import subprocess
import sys
from textwrap import dedent
from typing import NamedTuple

import pytest
from servers.program import FOREIGN_PREFIXES


class Result(NamedTuple):
    """The end of a program."""

    status: int
    output: str
    messages: str


@pytest.fixture
def run_code(tmp_path):
    """Runs a text as a program of its own; the keyword arguments are environment variables."""

    def run(text, **variables):
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(FOREIGN_PREFIXES)
        }
        done = subprocess.run(
            [sys.executable, "-c", dedent(text)],
            env={**clean, "LUPIS_DATA_DIR": str(tmp_path / "data"), **variables},
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run
