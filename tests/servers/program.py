"""Runs a Python program in a process of its own, with and without lupis-run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any, Mapping, NamedTuple, Sequence

FOREIGN = ("LUPIS_", "OTEL_", "PYTHON", "LLM_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

NEVER_LOGGED = ("Failed to detach context", "Overriding of current TracerProvider")
"""What OpenTelemetry logs, to stderr where no logging is set up, when somebody misuses it."""


def check_log(text: str) -> None:
    """Fails if a program's log has what it must never have."""
    found = [line for line in text.splitlines() if any(each in line for each in NEVER_LOGGED)]
    assert [] == found, found


def link_packages(folder: Path) -> None:
    """Fills a folder with all that is installed beside pytest, but for our own package."""
    import pytest

    site = Path(pytest.__file__).parents[1]
    for entry in site.iterdir():
        if not entry.name.startswith(("lupis", "__pycache__")) and entry.suffix != ".pth":
            (folder / entry.name).symlink_to(entry)


class Started(subprocess.Popen):
    """A process which a test that fails does not wait for: `with` kills it then."""

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.kill()
        super().__exit__(kind, error, trace)


class Finished(NamedTuple):
    """What a program left behind."""

    returncode: int
    stdout: str
    stderr: str
    sink: Any
    """Where its spans went: `servers.otlp.Sink`."""

    @property
    def spans(self) -> list[dict[str, Any]]:
        """All spans that have arrived."""
        return self.sink.spans

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events that have arrived."""
        return self.sink.events


class Runner:
    """Runs programs, from a file or a text, in an empty folder, and sends what they do to a sink."""

    def __init__(self, sink: Any, folder: Path) -> None:
        self.sink = sink
        self.folder = folder

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """The tests' own environment without what would change a program, and the sink's address."""
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(FOREIGN)
        }
        return {
            **own,
            "LUPIS_OTLP_ENDPOINT": self.sink.traces_url,
            "XDG_DATA_HOME": str(self.folder / "data"),
            **extra,
        }

    def command(
        self,
        program: str | Path,
        arguments: Sequence[str] = (),
        *,
        launched: bool = True,
        options: Sequence[str] = (),
        python: str = sys.executable,
    ) -> list[str]:
        """The command line: options are lupis-run's, arguments the program's."""
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
        timeout: float = 60,
        **options: Any,
    ) -> Finished:
        """Runs a program to its end, and checks its log; other options are those of `command`."""
        done = subprocess.run(
            self.command(program, arguments, **options),
            env=self.environment(env or {}),
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
        check_log(done.stdout + done.stderr)
        return Finished(done.returncode, done.stdout, done.stderr, self.sink)
