"""Runs Python programs as processes, with and without lupis-run."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import dedent
from typing import Any, Mapping, NamedTuple, Sequence

FOREIGN_PREFIXES = (
    "LUPIS_",
    "OTEL_",
    "PYTHON",
    "LLM_BASE_URL",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "COLUMNS",
    "NO_COLOR",
)

MISUSE_MESSAGES = ("Failed to detach context", "Overriding of current TracerProvider")
"""Messages of OpenTelemetry about misuse; they go to stderr where the program sets up no logging."""


def check_log(text: str) -> None:
    """Fails if a program's log has a message about misuse of OpenTelemetry."""
    lines = [
        line for line in text.splitlines() if any(message in line for message in MISUSE_MESSAGES)
    ]
    assert [] == lines, lines


def link_packages(folder: Path) -> None:
    """Links all packages that are installed beside pytest into a folder, except this package."""
    import pytest

    site = Path(pytest.__file__).parents[1]
    for entry in site.iterdir():
        if not entry.name.startswith(("lupis", "__pycache__")) and entry.suffix != ".pth":
            (folder / entry.name).symlink_to(entry)


def remove_coverage() -> dict[str, str]:
    """Returns this environment for a program that handles signals, as coverage would do there."""
    return {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}


@functools.lru_cache(maxsize=None)
def find_shebang_python() -> str:
    """Returns a path of this interpreter without spaces; Linux splits a script's first line there.

    Where its own path has a space, this is a path through a link to the environment.
    """
    if " " not in sys.executable:
        return sys.executable
    folder = tempfile.mkdtemp(prefix="lupis-python-")
    atexit.register(shutil.rmtree, folder)
    link = Path(folder, "environment")
    link.symlink_to(sys.prefix, target_is_directory=True)
    return str(link / Path(sys.executable).relative_to(sys.prefix))


class ManagedProcess(subprocess.Popen):
    """A process that `with` kills when the block fails, instead of waiting for it."""

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.kill()
        super().__exit__(kind, error, trace)


class FinishedProgram(NamedTuple):
    """The results of a program."""

    returncode: int
    stdout: str
    stderr: str
    sink: Any
    """The collector: `servers.otlp.Sink`."""

    @property
    def spans(self) -> list[dict[str, Any]]:
        """All spans that the collector has received."""
        return self.sink.spans

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events that the collector has received."""
        return self.sink.events


class Runner:
    """Runs programs in one folder, with a collector as their endpoint."""

    def __init__(self, sink: Any, folder: Path) -> None:
        self.sink = sink
        self.folder = folder

    def build_environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """Returns the tests' own variables, except those that change programs, and the endpoint."""
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(FOREIGN_PREFIXES)
        }
        return {
            **own,
            "LUPIS_OTLP_ENDPOINT": self.sink.traces_url,
            "XDG_DATA_HOME": str(self.folder / "data"),
            # On a busy machine, sending may take longer than the default.
            "LUPIS_SHUTDOWN_TIMEOUT": "10",
            "LUPIS_SUMMARY": "false",  # by default, pipes get a line
            **extra,
        }

    def build_command(
        self,
        program: str | Path,
        arguments: Sequence[str] = (),
        *,
        launched: bool = True,
        options: Sequence[str] = (),
        python: str = sys.executable,
    ) -> list[str]:
        """Returns the command line: `options` are for lupis-run, `arguments` for the program."""
        if not isinstance(program, Path):
            text, program = program, self.folder / "program.py"
            program.write_text(dedent(text), encoding="utf-8")
        launcher = [sys.executable, "-m", "lupis_instrument", *options] if launched else []
        return [*launcher, python, str(program), *arguments]

    def __call__(
        self,
        program: str | Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout: float = 200,
        **options: Any,
    ) -> FinishedProgram:
        """Runs a program to its end, and checks its log; passes `options` to `build_command`."""
        done = subprocess.run(
            self.build_command(program, arguments, **options),
            env=self.build_environment(env or {}),
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
        check_log(done.stdout + done.stderr)
        return FinishedProgram(done.returncode, done.stdout, done.stderr, self.sink)
