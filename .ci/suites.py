"""Runs the HTTP clients' own test suites with and without lupis-run, and compares the outcomes.

The suites come from the newest source packages of the clients. Each suite has its own environment
under .venvs, which later runs use again until `make clean` removes it. If the outcomes of a test
differ, it runs again both ways, because some tests are flaky by themselves.

    .venv/bin/python .ci/suites.py [--suite httpx ...] [--repeat 3] [-- PYTEST ARGUMENTS]
"""

# A script that prints and starts other programs:
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

from matrix import PYTHONS, ROOT, find_python, run_command

sys.path.insert(0, str(ROOT / "tests"))

from servers.otlp import serving

NETWORK = "not network and not requires_network and not integration"
MAX_SUITE_SECONDS = 3 * 60 * 60


class Suite(NamedTuple):
    """The tests of one client.

    Attributes:
        extras: the extras of the client's distribution to install.
        requirements: further requirements of the tests.
        arguments: the arguments for pytest. Some replace the suite's own arguments, which would
            distribute its tests to several processes.
        group: the dependency group for tests in the client's pyproject.toml.
        shadow: the folder in the source package that would hide the installed client.
        source: the distribution with the tests, if the client's own has none.
        renamed: the modules to import instead of the modules that the tests import.
        excluded: the names of tests that do not run, each with the reason.
    """

    extras: str
    requirements: tuple[str, ...]
    arguments: tuple[str, ...]
    group: str = ""
    shadow: str = ""
    source: str = ""
    renamed: Mapping[str, str] = {}
    excluded: Mapping[str, str] = {}


HTTPX_REQUIREMENTS = ("chardet", "cryptography", "pytest<9", "trio", "trustme", "uvicorn<0.33")
# Tests of the API's resources need a mock server, which is generated from a description of the API
# that the source packages of openai and anthropic lack.
NO_SERVER = ("--ignore=tests/api_resources", "-o", "addopts=--tb=short")
SUITES = {
    "requests": Suite("socks", (), ("tests",), group="test"),
    "urllib3": Suite(
        "brotli,h2,socks,zstd",
        ("cryptography", "idna", "pyopenssl", "trustme"),
        ("test", "-m", NETWORK),
        group="test",
        excluded={
            "test_http2_probe_blocked_per_thread": "needs a network where its host never answers;"
            " if the network refuses at once, one thread may do the work of two",
        },
    ),
    "httpx": Suite(
        "brotli,cli,http2,socks,zstd", HTTPX_REQUIREMENTS, ("tests", "-m", NETWORK), shadow="httpx"
    ),
    "httpx2": Suite(
        "brotli,cli,http2,socks,ws,zstd",
        (*HTTPX_REQUIREMENTS, "zstandard"),
        ("tests", "-m", NETWORK),
        shadow="httpx",
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
        shadow="aiohttp",
    ),
    "openai": Suite("aiohttp,bedrock,realtime,vertex", (), ("tests", *NO_SERVER), group="dev"),
    "anthropic": Suite(
        "aiohttp,aws,bedrock,google_cloud,mcp,vertex,webhooks",
        (),
        ("tests", *NO_SERVER, "-p", "tests._alias_httpx"),
        group="dev",
        excluded={
            "test_disabled_spans_call_nothing_of_opentelemetry": "makes functions of"
            " OpenTelemetry fail that lupis-run uses to record calls",
        },
    ),
}

Outcomes = Dict[str, str]
"""The outcome of each test by its id."""


class Environment(NamedTuple):
    """The environment of a suite.

    Attributes:
        folder: its virtual environment, with the source package beside it.
    """

    folder: Path

    @property
    def source(self) -> Path:
        """The folder of the unpacked source package."""
        return self.folder / "source"

    def script_path(self, name: str) -> str:
        """Return the path of a command of the environment."""
        return str(self.folder / "bin" / name)


def prepare_environment(name: str, python: str) -> Environment:
    """Make a suite's environment, unless an up-to-date one exists."""
    suite = SUITES[name]
    environment = Environment(ROOT / ".venvs" / f"suites-{name}")
    pip = (environment.script_path("python"), "-m", "pip")
    stamp = environment.folder / "installed.txt"
    expected = (ROOT / "pyproject.toml").read_text(encoding="utf-8") + repr(suite)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == expected:
        run_command(*pip, "install", "-qq", "--no-deps", "--force-reinstall", str(ROOT))
        return environment
    run_command(python, "-m", "venv", "--clear", str(environment.folder))
    run_command(*pip, "install", "-qq", "--upgrade", "pip")
    unpack_source(pip, suite.source or name, environment)
    requirements = [f"{name}[{suite.extras}]", "pytest-timeout", *suite.requirements]
    if suite.group:
        requirements += ["--group", f"{environment.source / 'pyproject.toml'}:{suite.group}"]
    run_command(*pip, "install", "-qq", *requirements, str(ROOT))
    rename_modules(environment.source, suite.renamed)
    stamp.write_text(expected, encoding="utf-8")
    return environment


def unpack_source(pip: tuple[str, ...], distribution: str, environment: Environment) -> None:
    """Download and unpack the newest source package, without the folder that hides the client."""
    with tempfile.TemporaryDirectory() as folder:
        only = ("--no-deps", "--no-binary", distribution, "--dest", folder)
        run_command(*pip, "download", "-qq", *only, distribution)
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        shutil.move(str(Path(folder) / archive.name[: -len(".tar.gz")]), environment.source)
    for suite in SUITES.values():
        if suite.shadow and (suite.source or distribution) == distribution:
            shutil.rmtree(environment.source / suite.shadow, ignore_errors=True)


def rename_modules(folder: Path, modules: Mapping[str, str]) -> None:
    """Replace the names of modules in tests, to test another client with the same API."""
    for file in folder.glob("tests/**/*.py") if modules else ():
        text = file.read_text(encoding="utf-8")
        for old, new in modules.items():
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")


def run_suite(
    environment: Environment, arguments: tuple[str, ...], variables: dict[str, str] | None
) -> Outcomes:
    """Run a suite's tests, under lupis-run if `variables` (for its environment) are given."""
    environ = {name: value for name, value in os.environ.items() if not affects_suites(name)}
    environ["PYTHONPATH"] = str(Path(__file__).parent)
    environ["PATH"] = os.pathsep.join([str(environment.folder / "bin"), environ.get("PATH", "")])
    options = ("-p", "outcomes", "-p", "no:cacheprovider", "-q", "--timeout=120")
    command = [environment.script_path("pytest"), *options, *arguments]
    if variables is not None:
        environ.update(variables)
        command.insert(0, environment.script_path("lupis-run"))
    mode = "bare" if variables is None else "launched"
    log, outcomes = environment.folder / f"{mode}.log", environment.folder / f"{mode}.jsonl"
    outcomes.write_bytes(b"")
    environ["SUITE_OUTCOMES"] = str(outcomes)
    with log.open("wb") as file, tempfile.TemporaryDirectory() as scratch:
        environ["TMPDIR"] = scratch
        subprocess.run(
            command,
            cwd=environment.source,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=MAX_SUITE_SECONDS,
            check=False,
        )
    return read_outcomes(outcomes)


def affects_suites(name: str) -> bool:
    """Return whether an environment variable could change the outcomes of a suite."""
    return name.startswith(("LUPIS_", "OTEL_", "PYTHON", "PYTEST", "OPENAI", "ANTHROPIC", "COV"))


def read_outcomes(file: Path) -> Outcomes:
    """Read the plugin's file; the worst phase of a test is the outcome of the test."""
    outcomes: Outcomes = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        test, outcome = json.loads(line)
        if outcomes.get(test) in (None, "passed"):
            outcomes[test] = outcome
    return outcomes


def find_differences(bare: Outcomes, launched: Outcomes) -> list[str]:
    """Return the ids of tests with two different outcomes, or with only one."""
    return sorted(test for test in {*bare, *launched} if bare.get(test) != launched.get(test))


class Result(NamedTuple):
    """The comparison of a suite's runs.

    Attributes:
        tests: the number of tests that ran.
        passed: the number of tests that passed without lupis-run.
        spans: the number of received spans; more than 0 shows that the suite was instrumented.
        changed: the tests whose outcomes with and without lupis-run always differ.
        flaky: the tests whose outcomes differed in one run, but not in all.
    """

    tests: int
    passed: int
    spans: int
    changed: list[str]
    flaky: list[str]

    def __str__(self) -> str:
        """Return the figures as a row of the table."""
        figures = (self.tests, self.passed, self.spans, len(self.changed), len(self.flaky))
        return "".join(f"{figure:>10}" for figure in figures)


def compare_runs(environment: Environment, arguments: tuple[str, ...], repeat: int) -> Result:
    """Run a suite both ways, then repeat the test files that have differing outcomes."""
    with serving() as sink, tempfile.TemporaryDirectory() as data:
        variables = {"LUPIS_OTLP_ENDPOINT": sink.otlp_url, "LUPIS_DATA_DIR": data}
        bare = run_suite(environment, arguments, None)
        launched = run_suite(environment, arguments, variables)
        suspects = find_differences(bare, launched)
        seen = {test: ({bare.get(test)}, {launched.get(test)}) for test in suspects}
        files = tuple(sorted({test.partition("::")[0] for test in suspects}))
        options = tuple(word for word in arguments if word not in ("test", "tests"))
        for _ in range(repeat if files else 0):
            for mode, mode_variables in enumerate((None, variables)):
                outcomes = run_suite(environment, (*files, *options), mode_variables)
                for test in suspects:
                    seen[test][mode].add(outcomes.get(test))
        spans = len(sink.spans)
    changed: list[str] = []
    flaky: list[str] = []
    for test, (bare_outcomes, launched_outcomes) in seen.items():
        kind = flaky if bare_outcomes & launched_outcomes else changed
        change = f"{join_outcomes(bare_outcomes)} became {join_outcomes(launched_outcomes)}"
        kind.append(f"{test}: {change}")
    passed = sum(outcome == "passed" for outcome in bare.values())
    return Result(len(bare), passed, spans, changed, flaky)


def join_outcomes(outcomes: set[str | None]) -> str:
    """Return outcomes in words, such as ``failed or passed``."""
    return " or ".join(sorted(outcome or "not run" for outcome in outcomes))


def read_version(environment: Environment, name: str) -> str:
    """Return the version of the installed client."""
    show = f"from importlib.metadata import version; print(version({name!r}))"
    command = [environment.script_path("python"), "-c", show]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def print_lines(topic: str, lines: list[str]) -> None:
    """Print lines, each after its topic."""
    for line in lines:
        print(f"{topic}: {line}", flush=True)


def main() -> None:
    """Run the chosen suites; exit 1 if a test's outcome changes, or if no span arrives."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--suite", nargs="+", choices=SUITES, default=SUITES)
    parser.add_argument("--python", choices=PYTHONS, default="3.11")
    parser.add_argument(
        "--repeat",
        type=int,
        default=3,
        help="number of further runs of tests with differing outcomes",
    )
    parser.add_argument("arguments", nargs="*", help="for pytest, after --")
    options = parser.parse_args()
    python = find_python(options.python)
    if python is None:
        parser.error(f"python{options.python} is not installed")
    rows, failed = [], False
    for name in options.suite:
        print(f"== {name}", flush=True)
        environment, suite = prepare_environment(name, python), SUITES[name]
        chosen = ("-k", " and ".join(f"not {test}" for test in suite.excluded))
        result = compare_runs(
            environment, (*suite.arguments, *chosen, *options.arguments), options.repeat
        )
        print_lines("excluded", [f"{test}: {why}" for test, why in suite.excluded.items()])
        print_lines("changed", result.changed)
        print_lines("flaky", result.flaky)
        failed |= bool(result.changed) or not result.tests or not result.spans
        rows.append(f"{name + ' ' + read_version(environment, name):<20}{result}")
    print(" " * 20 + "     tests    passed     spans   changed     flaky", *rows, sep="\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
