"""Runs the tests on each installed Python, with the oldest and the newest packages.

Each combination has its own environment under .venvs, which later runs use again. The script looks
for python3.X on the PATH and in pyenv's versions, and skips a Python that is not installed.

    python3 .ci/matrix.py [--python 3.8 ...] [--opentelemetry oldest|newest]
                          [--clients oldest|newest] [--fast] [-- PYTEST ARGUMENTS]

With the oldest clients, the tests of the clients run instead of all. `--fast` leaves out the slow
tests, and the tests of documents and reports: no version of Python or OpenTelemetry changes them.
"""

# A script that prints and starts other programs:
# ruff: noqa: INP001, S603, T201

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
# The oldest releases that pyproject.toml allows. OpenTelemetry releases its stable packages and
# its beta packages together, with two version numbers.
OLDEST = {
    "1.29.0": ("api", "sdk", "proto", "exporter-otlp-proto-common", "exporter-otlp-proto-http"),
    "0.50b0": (
        "distro",
        "instrumentation",
        "instrumentation-aiohttp-client",
        "instrumentation-asgi",
        "instrumentation-httpx",
        "instrumentation-requests",
        "instrumentation-threading",
        "instrumentation-urllib3",
        "instrumentation-wsgi",
        "semantic-conventions",
        "util-http",
    ),
}
CONSTRAINTS = {
    "newest": "",
    "oldest": "".join(
        f"opentelemetry-{name}=={version}\n" for version, names in OLDEST.items() for name in names
    ),
}
# The oldest supported releases of the clients; docs/quick-start.md states them. httpx2 needs Python
# 3.10, and newer releases of idna and h11 than the other clients accept.
OLDEST_CLIENTS = (
    "aiohttp==3.9.0; python_version < '3.10'",
    "httpx==0.23.0; python_version < '3.10'",
    "httpx2==2.0.0; python_version >= '3.10'",
    "requests==2.21.0; python_version < '3.10'",
    "urllib3==1.24.3; python_version < '3.10'",
)
CLIENTS = {"newest": (), "oldest": OLDEST_CLIENTS}
CLIENT_TESTS = ("tests/_instrumentation/clients", "tests/process/test_clients.py")
CORE = (
    "tests",
    "--ignore=tests/bench",
    "--ignore=tests/corpus",
    # Its canaries in URLs are quoted differently by other releases of the clients; it runs with
    # the newest releases only.
    "--ignore=tests/process/test_canaries.py",
)


SAME_EVERYWHERE = (
    "tests/test_architecture.py",
    "tests/test_containers.py",
    "tests/test_doc_commands.py",
    "tests/test_docs.py",
    "tests/test_readme.py",
    "tests/test_release.py",
)


def find_python(version: str) -> str | None:
    """Return the path of an interpreter of this version, or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = shutil.which(f"python{version}")
    candidates = [on_path, *sorted(map(str, pyenv.glob(f"{version}.*/bin/python")), reverse=True)]
    return next((path for path in candidates if path and has_version(path, version)), None)


def has_version(path: str, version: str) -> bool:
    """Return whether an interpreter runs and has this version; a pyenv shim may do neither."""
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    process = subprocess.run([path, "-c", show], capture_output=True, text=True, check=False)
    return process.stdout.strip() == version


def install_environment(
    python: str, folder: Path, constraints: str, clients: tuple[str, ...]
) -> str:
    """Make an environment, unless an up-to-date one exists, and return its interpreter."""
    own = str(folder / "bin" / "python")
    expected = (ROOT / "pyproject.toml").read_text(encoding="utf-8") + constraints
    expected += "\n".join(clients)
    stamp = folder / "installed.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == expected:
        return own
    run_command(python, "-m", "venv", "--clear", str(folder))
    (folder / "constraints.txt").write_text(constraints, encoding="utf-8")
    run_command(own, "-m", "pip", "install", "-qq", "--upgrade", "pip", "dependency-groups")
    run_command(own, "-m", "dependency_groups", "--output", str(folder / "test.txt"), "test")
    files = ["-c", str(folder / "constraints.txt"), "-r", str(folder / "test.txt")]
    run_command(own, "-m", "pip", "install", "-qq", *files, "--editable", ".[async]")
    if clients:  # last, because the tests' other packages prefer newer ones
        run_command(
            own, "-m", "pip", "install", "-qq", "-c", str(folder / "constraints.txt"), *clients
        )
    stamp.write_text(expected, encoding="utf-8")
    return own


def run_command(*command: str) -> None:
    """Run a command in the root folder of the repository; raise CalledProcessError if it fails."""
    subprocess.run(command, cwd=ROOT, check=True)


def run_tests(
    version: str, opentelemetry: str, clients: str, arguments: list[str], selection: list[str]
) -> str:
    """Run the tests in one combination, and return the result in words."""
    python = find_python(version)
    if python is None:
        return f"skipped: no python{version} here"
    old_clients = clients == "oldest"
    suffix = "-oldest-clients" if old_clients else ""
    folder = ROOT / ".venvs" / f"{version}-{opentelemetry}{suffix}"
    tests = arguments or (CLIENT_TESTS if old_clients else CORE)
    start = time.monotonic()
    try:
        own = install_environment(python, folder, CONSTRAINTS[opentelemetry], CLIENTS[clients])
        options = (
            "-q",
            "--numprocesses",
            str((os.cpu_count() or 1) + 1),
            "--dist",
            "loadscope",
            *selection,
        )
        run_command(own, "-m", "pytest", *options, *tests)
    except subprocess.CalledProcessError as error:
        return f"FAILED: {' '.join(error.cmd[1:4])} ended with {error.returncode}"
    return f"passed in {time.monotonic() - start:.0f} s"


def main() -> None:
    """Run the chosen combinations; exit 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", nargs="+", choices=PYTHONS, default=PYTHONS)
    parser.add_argument("--opentelemetry", nargs="+", choices=CONSTRAINTS, default=CONSTRAINTS)
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=["newest"])
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("arguments", nargs="*", help="for pytest, after --")
    options = parser.parse_args()
    # Otherwise each program that a test starts would compile this package again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    left_out = [f"--ignore={path}" for path in SAME_EVERYWHERE]
    selection = ["-m", "not slow", *left_out] if options.fast else []
    results = {}
    for row in itertools.product(options.python, options.opentelemetry, options.clients):
        name = "Python {}, {} OpenTelemetry, {} clients".format(*row)
        print(f"== {name}", flush=True)
        results[name] = run_tests(*row, options.arguments, selection)
    print(*(f"{name}: {result}" for name, result in results.items()), sep="\n")
    sys.exit(any(result.startswith("FAILED") for result in results.values()))


if __name__ == "__main__":
    main()
