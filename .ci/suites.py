"""Runs the clients' own test suites, bare and under lupis-run, and tells what went otherwise.

Each suite is that of a client's newest source package. It has an environment of its own under
.venvs, with what its tests need and this tree, kept for the next time; `make clean` makes room for
newer ones. Tests that went otherwise are run again, both ways, for some are unsteady by themselves.

    .venv/bin/python .ci/suites.py [--suite httpx ...] [--repeat 3] [-- PYTEST ARGUMENTS]
"""

# A script, which prints and starts others:
# ruff: noqa: INP001, S603, T201

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Dict, Mapping, NamedTuple

from matrix import PYTHONS, ROOT, call, find_python

sys.path.insert(0, str(ROOT / "tests"))

from servers.otlp import serving

NETWORK = "not network and not requires_network and not integration"
QUIET = {"LUPIS_PROPAGATE_TO": "none"}
"""Trace headers go to servers on this machine; some tests compare all headers that were sent."""
LONGEST = 3 * 60 * 60  # seconds for a whole suite


class Suite(NamedTuple):
    """The tests of one client.

    Attributes:
        extras: of the client's distribution.
        group: the dependency group of its pyproject.toml that its tests need.
        needs: what they need beyond that.
        arguments: for pytest. Those that the suite has for itself are left out: they would share
            its tests out to processes.
        aside: what of the source package would hide the client that is installed.
        source: the distribution whose tests are run, if the client's carries none.
        renamed: modules that those import, and what to import instead.
        apart: names of tests that are left out, each with the reason.
    """

    extras: str
    needs: tuple[str, ...]
    arguments: tuple[str, ...]
    group: str = ""
    aside: str = ""
    source: str = ""
    renamed: Mapping[str, str] = {}
    apart: Mapping[str, str] = {}


HTTPX_NEEDS = ("chardet", "cryptography", "pytest<9", "trio", "trustme", "uvicorn<0.33")
# What openai's and anthropic's tests of each resource need is a server that is made, by a program
# of its own, from a description of the API that their source packages lack.
NO_SERVER = ("--ignore=tests/api_resources", "-o", "addopts=--tb=short")
SUITES = {
    "requests": Suite("socks", (), ("tests",), group="test"),
    "urllib3": Suite(
        "brotli,h2,socks,zstd",
        ("cryptography", "idna", "pyopenssl", "trustme"),
        ("test", "-m", NETWORK),
        group="test",
        apart={
            "test_http2_probe_blocked_per_thread": "needs a network where its host never answers;"
            " where it is refused at once, one thread may do the work of two",
        },
    ),
    "httpx": Suite(
        "brotli,cli,http2,socks,zstd", HTTPX_NEEDS, ("tests", "-m", NETWORK), aside="httpx"
    ),
    "httpx2": Suite(
        "brotli,cli,http2,socks,ws,zstd",
        (*HTTPX_NEEDS, "zstandard"),
        ("tests", "-m", NETWORK),
        aside="httpx",
        source="httpx",
        renamed={"httpx": "httpx2", "httpcore": "httpcore2"},
    ),
    "aiohttp": Suite(
        "speedups",
        (
            "blockbuster",
            "freezegun",
            "gunicorn",
            "isal",
            "proxy.py>=2.4.4rc5",
            "pytest-codspeed",
            "pytest-cov",
            "pytest-mock",
            "pytest-xdist",
            "python-on-whales",
            "re-assert",
            "trustme",
            "uvloop",
            "zlib_ng",
        ),
        ("tests", "-o", "addopts=", "-m", "not dev_mode and not autobahn and not internal"),
        aside="aiohttp",
    ),
    "openai": Suite("aiohttp,bedrock,realtime,vertex", (), ("tests", *NO_SERVER), group="dev"),
    "anthropic": Suite(
        "aiohttp,aws,bedrock,google_cloud,mcp,vertex,webhooks",
        (),
        ("tests", *NO_SERVER, "-p", "tests._alias_httpx"),
        group="dev",
        apart={
            "test_disabled_spans_call_nothing_of_opentelemetry": "has OpenTelemetry's own functions"
            " fail, which are what records its calls",
        },
    ),
}

Outcomes = Dict[str, str]
"""How each test went, by its id."""


class Place(NamedTuple):
    """Where a suite is."""

    folder: Path

    @property
    def source(self) -> Path:
        """The unpacked source package."""
        return self.folder / "source"

    def script(self, name: str) -> str:
        """Return the path of a command of the environment."""
        return str(self.folder / "bin" / name)


def prepare(name: str, python: str) -> Place:
    """Make a suite's environment, unless it is there, and return where it is."""
    suite = SUITES[name]
    place = Place(ROOT / ".venvs" / f"suites-{name}")
    pip = (place.script("python"), "-m", "pip")
    stamp = place.folder / "installed.txt"
    wanted = (ROOT / "pyproject.toml").read_text(encoding="utf-8") + repr(suite)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        call(*pip, "install", "-qq", "--no-deps", "--force-reinstall", str(ROOT))
        return place
    call(python, "-m", "venv", "--clear", str(place.folder))
    call(*pip, "install", "-qq", "--upgrade", "pip")
    unpack(pip, suite.source or name, place)
    needs = [f"{name}[{suite.extras}]", "pytest-timeout", *suite.needs]
    if suite.group:
        needs += ["--group", f"{place.source / 'pyproject.toml'}:{suite.group}"]
    call(*pip, "install", "-qq", *needs, str(ROOT))
    rename(place.source, suite.renamed)
    stamp.write_text(wanted, encoding="utf-8")
    return place


def unpack(pip: tuple[str, ...], distribution: str, place: Place) -> None:
    """Download the newest source package and unpack it, less what would hide the client."""
    with tempfile.TemporaryDirectory() as folder:
        only = ("--no-deps", "--no-binary", distribution, "--dest", folder)
        call(*pip, "download", "-qq", *only, distribution)
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        shutil.move(str(Path(folder) / archive.name[: -len(".tar.gz")]), place.source)
    for suite in SUITES.values():
        if suite.aside and (suite.source or distribution) == distribution:
            shutil.rmtree(place.source / suite.aside, ignore_errors=True)


def rename(folder: Path, modules: Mapping[str, str]) -> None:
    """Have tests use other modules of the same shape."""
    for file in folder.glob("tests/**/*.py") if modules else ():
        text = file.read_text(encoding="utf-8")
        for old, new in modules.items():
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")


def run(place: Place, arguments: tuple[str, ...], launched: dict[str, str] | None) -> Outcomes:
    """Run tests of a suite, under lupis-run if there are variables for it."""
    environ = {name: value for name, value in os.environ.items() if not foreign(name)}
    environ["PYTHONPATH"] = str(Path(__file__).parent)
    environ["PATH"] = os.pathsep.join([str(place.folder / "bin"), environ.get("PATH", "")])
    options = ("-p", "outcomes", "-p", "no:cacheprovider", "-q", "--timeout=120")
    command = [place.script("pytest"), *options, *arguments]
    if launched is not None:
        environ.update(launched)
        command.insert(0, place.script("lupis-run"))
    way = "bare" if launched is None else "launched"
    log, outcomes = place.folder / f"{way}.log", place.folder / f"{way}.jsonl"
    outcomes.write_bytes(b"")
    environ["SUITE_OUTCOMES"] = str(outcomes)
    with log.open("wb") as file, tempfile.TemporaryDirectory() as scratch:
        environ["TMPDIR"] = scratch
        subprocess.run(
            command,
            cwd=place.source,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=LONGEST,
            check=False,
        )
    return read(outcomes)


def foreign(name: str) -> bool:
    """Tell whether a variable would change how a suite goes."""
    return name.startswith(("LUPIS_", "OTEL_", "PYTHON", "PYTEST", "OPENAI", "ANTHROPIC", "COV"))


def read(file: Path) -> Outcomes:
    """Read what the plugin has written, with the worst phase of each test counting."""
    found: Outcomes = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        test, outcome = json.loads(line)
        if found.get(test) in (None, "passed"):
            found[test] = outcome
    return found


def differing(bare: Outcomes, launched: Outcomes) -> list[str]:
    """Return the ids of tests that went otherwise, or ran one way only."""
    return sorted(test for test in {*bare, *launched} if bare.get(test) != launched.get(test))


class Result(NamedTuple):
    """What was found out about a suite.

    Attributes:
        tests: how many ran.
        passed: how many of them passed, bare.
        spans: how many arrived in the meantime, which tells that the suite was instrumented.
        changed: tests that never went as they do without us, with how.
        unsteady: tests that once went otherwise, and once not, with how.
    """

    tests: int
    passed: int
    spans: int
    changed: list[str]
    unsteady: list[str]

    def __str__(self) -> str:
        """Return a row of the table."""
        figures = (self.tests, self.passed, self.spans, len(self.changed), len(self.unsteady))
        return "".join(f"{figure:>10}" for figure in figures)


def compare(place: Place, arguments: tuple[str, ...], repeat: int) -> Result:
    """Run a suite both ways, and again those files of it in which a test went otherwise."""
    with serving() as sink, tempfile.TemporaryDirectory() as data:
        variables = {"LUPIS_OTLP_ENDPOINT": sink.otlp_url, "LUPIS_DATA_DIR": data, **QUIET}
        bare, launched = run(place, arguments, None), run(place, arguments, variables)
        suspects = differing(bare, launched)
        seen = {test: ({bare.get(test)}, {launched.get(test)}) for test in suspects}
        files = tuple(sorted({test.partition("::")[0] for test in suspects}))
        rest = tuple(word for word in arguments if word not in ("test", "tests"))
        for _ in range(repeat if files else 0):
            ways = run(place, (*files, *rest), None), run(place, (*files, *rest), variables)
            for test in suspects:
                for found, way in zip(seen[test], ways):
                    found.add(way.get(test))
        spans = len(sink.spans)
    changed, unsteady = [], []
    for test, (ours, theirs) in seen.items():
        kind = unsteady if ours & theirs else changed
        kind.append(f"{test}: {names(ours)} became {names(theirs)}")
    passed = sum(outcome == "passed" for outcome in bare.values())
    return Result(len(bare), passed, spans, changed, unsteady)


def names(outcomes: set[str | None]) -> str:
    """Return outcomes as words."""
    return " or ".join(sorted(outcome or "not run" for outcome in outcomes))


def version(place: Place, name: str) -> str:
    """Return the version of a client that is installed."""
    show = f"from importlib.metadata import version; print(version({name!r}))"
    command = [place.script("python"), "-c", show]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def say(what: str, lines: list[str]) -> None:
    """Print lines that begin with what they are about."""
    for line in lines:
        print(f"{what}: {line}", flush=True)


def main() -> None:
    """Run all suites asked for; exit 1 if a test's outcome changes, or nothing was recorded."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--suite", nargs="+", choices=SUITES, default=SUITES)
    parser.add_argument("--python", choices=PYTHONS, default="3.11")
    parser.add_argument("--repeat", type=int, default=3, help="how often suspects run again")
    parser.add_argument("arguments", nargs="*", help="for pytest, after --")
    asked = parser.parse_args()
    python = find_python(asked.python)
    if python is None:
        parser.error(f"no python{asked.python} here")
    rows, failed = [], False
    for name in asked.suite:
        print(f"== {name}", flush=True)
        place, suite = prepare(name, python), SUITES[name]
        chosen = ("-k", " and ".join(f"not {test}" for test in suite.apart))
        result = compare(place, (*suite.arguments, *chosen, *asked.arguments), asked.repeat)
        say("left out", [f"{test}, which {why}" for test, why in suite.apart.items()])
        say("changed", result.changed)
        say("unsteady", result.unsteady)
        failed |= bool(result.changed) or not result.tests or not result.spans
        rows.append(f"{name + ' ' + version(place, name):<20}{result}")
    print(" " * 20 + "     tests    passed     spans   changed  unsteady", *rows, sep="\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
