"""Runs one command twice, with lupis-run and without, and keeps all that can be seen of each run."""

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
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Sequence
from urllib.parse import urlsplit

import pytest
from servers import llm, otlp
from servers.program import Runner, Started

CALLS = '''
"""Makes a call to an LLM API, with nothing but the standard library."""

import http.client, json

URL = "http://{host}:{port}/v1/chat/completions"

def call(mark):
    connection = http.client.HTTPConnection("{host}", {port}, timeout=30)
    body = json.dumps({{"model": "gpt-4o-mini", "messages": [{{"role": "user", "content": "hi"}}]}})
    headers = {{"content-type": "application/json", "x-mark": mark}}
    connection.request("POST", "/v1/chat/completions", body, headers)
    with connection.getresponse() as response:
        usage = json.load(response)["usage"]
    connection.close()
    return usage["total_tokens"]
'''
FRAMES = re.compile(
    r'^ +File "[^"]*/(lupis_instrument|opentelemetry|wrapt)/.*\n(    .*\n)*', re.MULTILINE
)
"""What tracebacks show of wrappers around a client's functions; no wrapper can hide itself."""
OURS = re.compile(r"lupis(-run)?: ")
SCRIPTS = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
LAUNCHED = "{lupis-run}"
LAUNCHER = [sys.executable, "-m", "lupis_instrument"]
MARK = "http.request.header.x-mark"

Drive = Callable[["Running"], None]


class Case(NamedTuple):
    """A command, what it needs, and what it does besides being transparent.

    In the command, `{python}` is the interpreter, `{folder}` where it runs, and `{lupis-run}` the
    place of the launcher if that is not the first. Each file is put there before, with a module
    `calls` that has `call(mark)`.
    """

    command: str | Sequence[str]
    """A program's text, or a command."""
    marks: str = ""
    """The calls that are made and are to arrive, once each."""
    unseen: str = ""
    """Calls that are made where nobody can see them, or that nobody lives to tell."""
    files: Mapping[str, str] = {}
    env: Mapping[str, str] = {}
    stdin: str = ""
    needs: Sequence[str] = ()
    """Modules without which it can't run."""
    status: int | None = 0
    """How it ends without us, so that no case passes by failing twice; None where that varies."""
    ours: str = ""
    """What the one line says that we write to stderr; empty where we write none."""
    masked: str = ""
    """A regular expression of what differs between any two runs."""
    mask: str = ""
    """What stands in its place."""
    unordered: bool = False
    """Whether lines of its output may come in any order."""
    drive: Drive | None = None
    """What is done with it while it runs."""
    prepare: Callable[[Path], None] | None = None
    """What is done in its folder first."""
    python: str = sys.executable
    lost: str = ""
    """Why its calls don't arrive yet; strictly so."""
    changed: str = ""
    """Why it is not the same with us yet; strictly so."""


class Traces(NamedTuple):
    """What can be seen of a run."""

    status: int
    stdout: list[str]
    stderr: list[str]
    """Less what we say."""
    files: dict[str, str]
    seen: list[str]
    """The calls that the provider saw."""


class Run(NamedTuple):
    """A run, and what we made of it."""

    traces: Traces
    said: list[str]
    """Lines of ours."""
    arrived: list[str]
    """The calls that came to the collector, and were recognised."""


class Running(NamedTuple):
    """A process under way, for a case that does something with it."""

    process: subprocess.Popen[str]
    folder: Path
    provider: Any
    output: Path

    def wait_for_line(self, part: str, count: int = 1) -> None:
        """Waits until its output has a text, so many times."""
        self.wait(lambda: self.read().count(part) >= count, part)

    def wait_for_calls(self, count: int) -> None:
        """Waits until the provider has seen so many calls."""
        self.wait(lambda: len(self.provider.seen) >= count, f"{count} calls")

    def read(self) -> str:
        """What it has written until now."""
        return self.output.read_text("utf-8", "replace")

    def wait(self, happened: Callable[[], bool], what: str) -> None:
        """Looks again and again; no event tells of what happens in other processes."""
        for _ in range(600):
            if happened():
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
        raise AssertionError(f"no {what!r} in 30 s; output: {self.read()}")

    def interrupt(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)


class Pairs:
    """Runs each case of a table once without us and once with us, when it is first asked for."""

    def __init__(self, cases: Mapping[str, Case], folder: Path) -> None:
        self._cases = cases
        self._folder = folder
        self._done: dict[str, tuple[Run, Run]] = {}

    def __call__(self, name: str) -> tuple[Run, Run]:
        """Without us, with us."""
        if name not in self._done:
            case = self._cases[name]
            for module in case.needs:
                if importlib.util.find_spec(module) is None:
                    pytest.skip(f"{module} is not installed; `make test-runners` does that")
            # In one place, so that no path differs.
            self._done[name] = (self._run(case, launched=False), self._run(case, launched=True))
        return self._done[name]

    def _run(self, case: Case, *, launched: bool) -> Run:
        shutil.rmtree(self._folder, ignore_errors=True)
        folder = self._folder / "work"
        folder.mkdir(parents=True)
        with otlp.serving() as sink, llm.listening() as provider:
            place(case, folder, provider.url)
            env = Runner(sink, self._folder).environment({"PATH": SCRIPTS, **case.env})
            env = {name: fill(text, case, folder) for name, text in env.items()}
            command = words(case, folder, LAUNCHER if launched else [])
            status = self._await(case, command, env, provider)
            wanted = len(case.marks.split()) if launched else 0
            arrived = await_marks(sink, wanted, 1.0 if case.lost else 10.0)
            seen = sorted(request.headers["x-mark"] for request in provider.seen)
        stdout, stderr = (read(self._folder / name, case) for name in ("stdout", "stderr"))
        said = [line for line in stderr if OURS.match(line)]
        stderr = [line for line in stderr if not OURS.match(line)]
        return Run(Traces(status, stdout, stderr, dict(look_at(folder)), seen), said, arrived)

    def _await(
        self, case: Case, command: Sequence[str], env: Mapping[str, str], provider: Any
    ) -> int:
        folder = self._folder / "work"
        with contextlib.ExitStack() as stack:
            stdout, stderr = (
                stack.enter_context((self._folder / name).open("wb"))
                for name in ("stdout", "stderr")
            )
            process = stack.enter_context(
                Started(
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
                if case.drive is not None:
                    case.drive(Running(process, folder, provider, self._folder / "stderr"))
                process.communicate(case.stdin, timeout=60)
            except subprocess.TimeoutExpired as late:
                raise AssertionError(f"{command} does not end") from late
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)  # with its children
        return process.returncode


def place(case: Case, folder: Path, url: str) -> None:
    """Puts a case's files into its folder."""
    address = urlsplit(url)
    calls = CALLS.format(host=address.hostname, port=address.port)
    for name, text in {"calls.py": calls, **case.files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(fill(text, case, folder), encoding="utf-8")
        if text.startswith("#!"):
            path.chmod(0o755)
    if isinstance(case.command, str):
        (folder / "program.py").write_text(case.command, encoding="utf-8")
    if case.prepare is not None:
        case.prepare(folder)


def words(case: Case, folder: Path, launcher: Sequence[str]) -> list[str]:
    """A case's command, with the launcher where it is named, by default first."""
    text = isinstance(case.command, str)
    command = ["{python}", "program.py"] if text else list(case.command)
    if LAUNCHED not in command:
        command.insert(0, LAUNCHED)
    parts = ([*launcher] if word == LAUNCHED else [fill(word, case, folder)] for word in command)
    return [word for part in parts for word in part]


def fill(text: str, case: Case, folder: Path) -> str:
    """A text with what only the run knows."""
    return text.replace("{python}", case.python).replace("{folder}", str(folder))


def read(path: Path, case: Case) -> list[str]:
    """The lines of an output, as far as two runs can be compared by them."""
    text = FRAMES.sub("", path.read_bytes().decode("utf-8", "backslashreplace"))
    if case.masked:
        text = re.sub(case.masked, case.mask, text, flags=re.MULTILINE)
    lines = text.splitlines()
    return sorted(lines) if case.unordered else lines


def look_at(folder: Path) -> Iterator[tuple[str, str]]:
    """The files in a folder, and what is in them; bytecode has times in it."""
    for path in sorted(folder.rglob("*")) if folder.exists() else []:
        if path.is_file() and not path.name.startswith((".coverage", "calls.py")):
            name = str(path.relative_to(folder))
            timed = path.suffix in {".pyc", ".pyz"}
            yield name, "" if timed else path.read_bytes().decode("latin-1")


def await_marks(sink: Any, count: int, seconds: float) -> list[str]:
    """The marks of the calls that arrive, a call's name beside one that was not recognised."""
    with sink.changed:
        sink.changed.wait_for(lambda: len(sink.spans) >= count, seconds)
        spans = [(span["name"], *span["attributes"].get(MARK, [])) for span in sink.spans]
    return sorted(
        span[1] if span[0] == "chat gpt-4o-mini" else " as ".join(reversed(span))
        for span in spans
        if len(span) > 1  # what a program sends besides has no mark
    )


def check_transparent(case: Case, pair: tuple[Run, Run]) -> None:
    """With us as without us."""
    bare, launched = pair
    assert case.status in (None, bare.traces.status), bare.traces.stderr
    assert sorted([*case.marks.split(), *case.unseen.split()]) == bare.traces.seen, bare.traces
    assert [] == bare.said
    assert bare.traces == launched.traces, launched.said
    if case.ours:
        assert 1 == len(launched.said), launched.said
        assert case.ours in launched.said[0]
    else:
        assert [] == launched.said


def check_arrived(case: Case, pair: tuple[Run, Run]) -> None:
    """All calls came to the collector, once."""
    assert sorted(case.marks.split()) == pair[1].arrived


def parameters(cases: Mapping[str, Case]) -> list[Any]:
    """A table's names as parameters, for whether each is the same with us as without."""
    return [pytest.param(name, marks=marks(case, case.changed)) for name, case in cases.items()]


def arrivals(cases: Mapping[str, Case]) -> list[Any]:
    """The same for whether calls arrive, of cases that make some."""
    return [
        pytest.param(name, marks=marks(case, case.lost))
        for name, case in cases.items()
        if case.marks or case.unseen
    ]


def marks(case: Case, fault: str) -> list[Any]:
    """Lets those be chosen that need more to be installed, and strictly expects known faults."""
    chosen = [pytest.mark.runners] if case.needs else []
    return [*chosen, pytest.mark.xfail(reason=fault, strict=True)] if fault else chosen
