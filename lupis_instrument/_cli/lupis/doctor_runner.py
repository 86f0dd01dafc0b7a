"""Runs `doctor_probe` in the interpreter that `lupis doctor` examines."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from lupis_instrument._cli.run import start

_TIMEOUT_SECONDS = 60.0
_PROBE_FILE = Path(__file__).with_name("doctor_probe.py")
_IS_INSTALLED = (
    "import importlib.util; print(importlib.util.find_spec('lupis_instrument') is not None)"
)


class ProbeResult(NamedTuple):
    """The result of a probe.

    Attributes:
        facts: the facts that the probe printed; empty if it did not come to the end.
        errors: the lines on stderr.
        installed: whether the interpreter has the package itself, without `lupis-run`.
    """

    facts: dict[str, Any]
    errors: list[str]
    installed: bool


def run_probe(python: str, folder: str | None, *, send: bool) -> ProbeResult:
    """Run the probe as `lupis-run` would run a program.

    Args:
        python: the path of the interpreter.
        folder: the first folder in the `sys.path` of the program, if it is known.
        send: whether to send a test span.
    """
    plain = _run_python(python, _IS_INSTALLED, environ={**os.environ})
    source = _PROBE_FILE.read_text(encoding="utf-8")
    arguments = ["--send"] * send + (["--folder", folder] if folder is not None else [])
    # A data folder of its own: a test span that does not arrive must not wait in the user's store.
    with tempfile.TemporaryDirectory() as data_folder:
        environ = {**os.environ, "LUPIS_SUMMARY": "false", "LUPIS_DATA_DIR": data_folder}
        done = _run_python(python, source, *arguments, environ=start.prepare_environment(environ))
    try:
        facts = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        facts = {}
    return ProbeResult(facts, done.stderr.splitlines(), plain.stdout.strip().endswith("True"))


def _run_python(
    python: str, code: str, *arguments: str, environ: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run code with an interpreter; a failed start gives exit status 1 and its reason on stderr."""
    command = [python, "-c", code, *arguments]
    try:
        return subprocess.run(  # noqa: S603 - the user's own interpreter, with our code
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", f"{type(error).__name__}: {error}")
