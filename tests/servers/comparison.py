"""Runs one command twice, without and with lupis-run, and compares everything that can be seen."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Sequence
from urllib.parse import urlsplit

import pytest
from servers import llm, otlp
from servers.program import ManagedProcess, Runner, find_shebang_python

CALLS_MODULE = '''
"""Makes a call to an LLM API with the standard library alone."""

import http.client, json

URL = "http://{host}:{port}/v1/chat/completions"

def call(mark):
    connection = http.client.HTTPConnection("{host}", {port}, timeout=60)
    body = json.dumps({{"model": "gpt-4o-mini", "messages": [{{"role": "user", "content": "hi"}}]}})
    headers = {{"content-type": "application/json", "x-mark": mark}}
    connection.request("POST", "/v1/chat/completions", body, headers)
    with connection.getresponse() as response:
        usage = json.load(response)["usage"]
    connection.close()
    return usage["total_tokens"]
'''
WRAPPER_FRAMES = re.compile(
    r'^ +File "[^"]*/(lupis_instrument|opentelemetry|wrapt)/.*\n(    .*\n)*', re.MULTILINE
)
"""The lines of a traceback about wrappers around a client's functions; no wrapper can hide itself."""
PACKAGE_LINE = re.compile(r"lupis(-run)?: ")
"""The beginning of each line that this package writes to stderr."""
SEARCH_PATH = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
)
LAUNCHER_WORD = "{lupis-run}"
LAUNCHER = [sys.executable, "-m", "lupis_instrument"]
MARK_ATTRIBUTE = "http.request.header.x-mark"

Interaction = Callable[["RunningCase"], None]


class Case(NamedTuple):
    """A command, the environment that it needs, and the calls that it makes.

    The command runs in a folder of its own. There, the module `calls` has the function
    `call(mark)`. Commands, files and variables may contain `{python}` for the interpreter,
    `{shebang}` for a path of the interpreter without spaces, and `{folder}` for the folder. A
    command may contain `{lupis-run}`; otherwise the launcher comes first.
    """

    command: str | Sequence[str]
    """A command, or the text of a Python program."""
    recorded: str = ""
    """The marks of the calls that the collector receives, once each."""
    unrecorded: str = ""
    """The marks of the calls that nothing can record, or whose record cannot be sent."""
    files: Mapping[str, str] = {}
    env: Mapping[str, str] = {}
    stdin: str = ""
    needs: Sequence[str] = ()
    """The modules without which the case is skipped."""
    status: int | None = 0
    """The exit status without lupis-run, so that no case passes by failing twice; None: any."""
    warning: str = ""
    """A part of the line that this package writes to stderr; empty: it writes no line."""
    varying: str = ""
    """A regular expression for output that differs between any two runs."""
    replacement: str = ""
    """The text to compare in place of `varying`."""
    unordered: bool = False
    """Whether the lines of the output may come in any order."""
    interact: Interaction | None = None
    """A function that uses and stops the process while it runs."""
    prepare: Callable[[Path], None] | None = None
    """A function that changes the folder before the run."""
    python: str = sys.executable


class Behaviour(NamedTuple):
    """The results of a run that must not depend on lupis-run."""

    status: int
    stdout: list[str]
    stderr: list[str]
    """Without this package's own lines."""
    files: dict[str, str]
    calls: list[str]
    """The marks of the calls that the provider received."""


class Run(NamedTuple):
    """The results of a run."""

    behaviour: Behaviour
    package_lines: list[str]
    """The lines that this package wrote to stderr."""
    recorded: list[str]
    """The marks of the calls that the collector received as LLM calls."""


class RunningCase(NamedTuple):
    """A running process, for cases that interact with it."""

    process: subprocess.Popen[str]
    folder: Path
    provider: Any
    stderr: Path

    def wait_for_line(self, part: str, count: int = 1) -> None:
        """Waits until stderr has a text `count` times."""
        self.wait_until(lambda: self.read_stderr().count(part) >= count, part)

    def wait_for_calls(self, count: int) -> None:
        """Waits until the provider has received `count` calls."""
        self.wait_until(lambda: len(self.provider.seen) >= count, f"{count} calls")

    def read_stderr(self) -> str:
        """Returns the text that the process has written to stderr until now."""
        return self.stderr.read_text("utf-8", "replace")

    def wait_until(self, condition: Callable[[], bool], description: str) -> None:
        """Polls a condition for two minutes; other processes report no events."""
        for _ in range(2400):
            if condition():
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
        raise AssertionError(f"no {description!r} in 2 min; stderr: {self.read_stderr()}")


class PairRunner:
    """Runs each case of a table without and with lupis-run, when it is first called with its name.

    Args:
        cases: the cases by name.
        folder: the folder of all runs, emptied before each, so that all paths are the same.
    """

    def __init__(self, cases: Mapping[str, Case], folder: Path) -> None:
        self._cases = cases
        self._folder = folder
        self._pairs: dict[str, tuple[Run, Run]] = {}

    def __call__(self, name: str) -> tuple[Run, Run]:
        """Returns the runs without and with lupis-run."""
        if name not in self._pairs:
            case = self._cases[name]
            for module in case.needs:
                if importlib.util.find_spec(module) is None:
                    pytest.skip(f"{module} is not installed; `make test-runners` installs it")
            bare = self._run_case(case, launched=False)
            self._pairs[name] = (bare, self._run_case(case, launched=True))
        return self._pairs[name]

    def _run_case(self, case: Case, *, launched: bool) -> Run:
        shutil.rmtree(self._folder, ignore_errors=True)
        folder = self._folder / "work"
        folder.mkdir(parents=True)
        with otlp.serving() as sink, llm.listening() as provider:
            write_files(case, folder, provider.url)
            env = Runner(sink, self._folder).build_environment({"PATH": SEARCH_PATH, **case.env})
            env = {name: fill_placeholders(text, case, folder) for name, text in env.items()}
            command = build_command(case, folder, LAUNCHER if launched else [])
            status = self._run_process(case, command, env, provider)
            expected = len(case.recorded.split()) if launched else 0
            recorded = await_calls(sink, expected)
            calls = sorted(request.headers["x-mark"] for request in provider.seen)
        stdout, stderr = (read_output(self._folder / name, case) for name in ("stdout", "stderr"))
        package_lines = [line for line in stderr if PACKAGE_LINE.match(line)]
        stderr = [line for line in stderr if not PACKAGE_LINE.match(line)]
        behaviour = Behaviour(status, stdout, stderr, dict(read_files(folder)), calls)
        return Run(behaviour, package_lines, recorded)

    def _run_process(
        self, case: Case, command: Sequence[str], env: Mapping[str, str], provider: Any
    ) -> int:
        folder = self._folder / "work"
        with contextlib.ExitStack() as stack:
            stdout, stderr = (
                stack.enter_context((self._folder / name).open("wb"))
                for name in ("stdout", "stderr")
            )
            process = stack.enter_context(
                ManagedProcess(
                    command,
                    env=env,
                    cwd=folder,
                    stdin=subprocess.PIPE,
                    stdout=stdout,
                    stderr=stderr,
                    encoding="utf-8",
                    start_new_session=True,
                )
            )
            try:
                if case.interact is not None:
                    case.interact(RunningCase(process, folder, provider, self._folder / "stderr"))
                process.communicate(case.stdin, timeout=200)
            except subprocess.TimeoutExpired as error:
                raise AssertionError(f"{command} does not end") from error
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)  # with its children
        return process.returncode


def write_files(case: Case, folder: Path, url: str) -> None:
    """Writes a case's files, its program and the module `calls` into its folder."""
    address = urlsplit(url)
    calls = CALLS_MODULE.format(host=address.hostname, port=address.port)
    for name, text in {"calls.py": calls, **case.files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(fill_placeholders(text, case, folder), encoding="utf-8")
        if text.startswith("#!"):
            path.chmod(0o755)
    if isinstance(case.command, str):
        (folder / "program.py").write_text(case.command, encoding="utf-8")
    if case.prepare is not None:
        case.prepare(folder)


def build_command(case: Case, folder: Path, launcher: Sequence[str]) -> list[str]:
    """Returns a case's command with the launcher in its place, by default the first."""
    is_program = isinstance(case.command, str)
    command = ["{python}", "program.py"] if is_program else list(case.command)
    if LAUNCHER_WORD not in command:
        command.insert(0, LAUNCHER_WORD)
    parts = (
        [*launcher] if word == LAUNCHER_WORD else [fill_placeholders(word, case, folder)]
        for word in command
    )
    return [word for part in parts for word in part]


def fill_placeholders(text: str, case: Case, folder: Path) -> str:
    """Returns a text with the values of its placeholders."""
    if "{shebang}" in text:
        text = text.replace("{shebang}", find_shebang_python())
    return text.replace("{python}", case.python).replace("{folder}", str(folder))


def read_output(path: Path, case: Case) -> list[str]:
    """Returns the lines of an output, without the parts that differ between any two runs."""
    text = WRAPPER_FRAMES.sub("", path.read_bytes().decode("utf-8", "backslashreplace"))
    if case.varying:
        text = re.sub(case.varying, case.replacement, text, flags=re.MULTILINE)
    lines = text.splitlines()
    return sorted(lines) if case.unordered else lines


def read_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yields name and content of the files in a folder; bytecode contains times, so only its name."""
    for path in sorted(folder.rglob("*")) if folder.exists() else []:
        if path.is_file() and not path.name.startswith((".coverage", "calls.py")):
            name = str(path.relative_to(folder))
            has_times = path.suffix in {".pyc", ".pyz"}
            yield name, "" if has_times else path.read_bytes().decode("latin-1")


def await_calls(sink: Any, count: int) -> list[str]:
    """Returns the marks of the received calls; a span that is no LLM call adds its name."""
    with sink.changed:
        sink.changed.wait_for(lambda: len(sink.spans) >= count, 60.0)
        spans = [(span["name"], *span["attributes"].get(MARK_ATTRIBUTE, [])) for span in sink.spans]
    return sorted(
        span[1] if span[0] == "chat gpt-4o-mini" else " as ".join(reversed(span))
        for span in spans
        if len(span) > 1  # other requests of the program have no mark
    )


def check_same_behaviour(case: Case, pair: tuple[Run, Run]) -> None:
    """Fails unless both runs behave the same, and this package writes the expected line or none."""
    bare, launched = pair
    assert case.status in (None, bare.behaviour.status), bare.behaviour.stderr
    expected = sorted([*case.recorded.split(), *case.unrecorded.split()])
    assert expected == bare.behaviour.calls, bare.behaviour
    assert [] == bare.package_lines
    assert bare.behaviour == launched.behaviour, launched.package_lines
    if case.warning:
        assert 1 == len(launched.package_lines), launched.package_lines
        assert case.warning in launched.package_lines[0]
    else:
        assert [] == launched.package_lines


def check_recorded_calls(case: Case, pair: tuple[Run, Run]) -> None:
    """Fails unless the collector received each call once."""
    assert sorted(case.recorded.split()) == pair[1].recorded


def list_cases(cases: Mapping[str, Case], fast: Iterable[str] | None = None) -> list[Any]:
    """Returns the names of all cases, as parameters of a test.

    Args:
        cases: the cases by name.
        fast: the cases that `make test` runs; the others are slow. None: it runs all.
    """
    fast = frozenset(cases if fast is None else fast)
    assert fast <= set(cases), fast.difference(cases)
    return [
        pytest.param(name, marks=list_pytest_marks(case, is_slow=name not in fast))
        for name, case in cases.items()
    ]


def list_calling_cases(cases: Mapping[str, Case], fast: Iterable[str] | None = None) -> list[Any]:
    """Returns the names of the cases that make calls, as parameters of a test."""
    calling = {name for name, case in cases.items() if case.recorded or case.unrecorded}
    return [case for case in list_cases(cases, fast) if case.values[0] in calling]


def list_pytest_marks(case: Case, *, is_slow: bool) -> list[Any]:
    """Returns the marks that select slow cases, and cases that need more packages."""
    slow = [pytest.mark.slow] if is_slow else []
    return [pytest.mark.runners, *slow] if case.needs else slow
