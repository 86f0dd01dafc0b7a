"""Programs in other environments than lupis-run's, and programs that hide modules of lupis-run."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from servers.comparison import (
    Case,
    check_recorded_calls,
    check_same_behaviour,
    list_calling_cases,
    list_cases,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

PROGRAM = """
import sys
print(__name__, sys.version_info[:2])
from calls import call
print(call("a"))
"""
IMPORTS = """
from calls import call
import {module}
print({module}.__file__, {module}.WHOSE, call("a"))
"""
TRIES_OPENTELEMETRY = """
from calls import call
call("a")
try:
    import opentelemetry.trace
    print("program", opentelemetry.trace.__file__)
except ImportError:
    print("none")
"""
LISTS_PACKAGES = """
import importlib.metadata, pkgutil, sys
for name in ("click", "packaging", "pytest", "requests", "httpx", "opentelemetry.sdk"):
    try:
        print(name, __import__(name))
    except ImportError as error:
        print(error)
print([name for _, name, _ in pkgutil.iter_modules() if name != "sitecustomize"])
print(importlib.metadata.entry_points(), sys.path)
from calls import call
print(call("a"))
print([str(item._path) for item in importlib.metadata.distributions()], sys.path)
for name in ("click", "pytest", "requests"):
    try:
        print(name, __import__(name))
    except ImportError as error:
        print(error)
"""
NOT_INSTALLED = "env/bin/python has no lupis_instrument; to instrument it: "
RENAME_ADVICE = "; rename it to have this program instrumented"


def find_python(*versions):
    """Returns the path of a working interpreter of one of these versions, or None."""
    candidates = [
        *(shutil.which(f"python{version}") for version in versions),
        *(
            str(path)
            for version in versions
            for path in Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
        ),
    ]
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    for path in filter(None, candidates):
        finished = subprocess.run([path, "-c", show], capture_output=True, text=True, check=False)
        if finished.stdout.strip() in versions:
            return path
    return None


THIS_VERSION = "{}.{}".format(*sys.version_info)
OTHER_PYTHON = find_python(
    *({"3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"} - {THIS_VERSION})
)


def write_metadata(name, version, *requirements):
    """Returns the file by which pip and Python know an installed distribution."""
    needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requirements)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
    return {f"{name.replace('-', '_')}-{version}.dist-info/METADATA": text}


def make_environment(packages, *, python=None):
    """Returns a function that makes a virtual environment with these files as its packages."""

    def prepare(folder):
        if python is None:
            venv.create(folder / "env", with_pip=False, symlinks=True)
        else:
            command = [python, "-m", "venv", "--without-pip", folder / "env"]
            subprocess.run(command, check=True)
        (site,) = (folder / "env" / "lib").glob("*/site-packages")
        for name, text in packages.items():
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_text(text)

    return prepare


def in_environment(text=PROGRAM, packages=None, *, python=None, **more):
    """A case of a program in a virtual environment of its own."""
    files = {"program.py": text, **more.pop("files", {})}
    return Case(
        ["{folder}/env/bin/python", "program.py"],
        **{"recorded": "a", **more},
        files=files,
        prepare=make_environment(packages or {}, python=python),
    )


def with_name(name, hidden=True, package=False):
    """A case of a program, or of a package beside it, with the name of a library."""
    hides = {"unrecorded": "a", "warning": RENAME_ADVICE} if hidden else {"recorded": "a"}
    if package:
        files = {"program.py": PROGRAM, f"{name}/__init__.py": "print('program')"}
        return Case(["{python}", "program.py"], **hides, files=files)
    return Case(["{python}", f"{name}.py"], **hides, files={f"{name}.py": PROGRAM})


OLD_API = {
    "opentelemetry/trace/__init__.py": "WHOSE = 'old'\n",
    "opentelemetry/context/__init__.py": "",
    **write_metadata("opentelemetry-api", "1.10.0"),
}
OLD_PROTOBUF = {
    "google/__init__.py": "",
    "google/protobuf/__init__.py": "WHOSE = 'old'\n__version__ = '3.6.1'\n",
    **write_metadata("protobuf", "3.6.1"),
}
OWN_WRAPT = {"wrapt.py": "WHOSE = 'program'\nprint('program')\n"}
CASES = {
    "an environment without the package": in_environment(),
    "an environment with other packages": in_environment(
        IMPORTS.format(module="click"),
        {"click.py": "WHOSE = 'program'\n", **write_metadata("click", "3.0")},
    ),
    "an environment with an old OpenTelemetry": in_environment(
        TRIES_OPENTELEMETRY, OLD_API, recorded="", unrecorded="a", warning="opentelemetry-api 1.10.0 of this environment"
    ),
    "an environment with an old protobuf": in_environment(
        IMPORTS.format(module="google.protobuf"), OLD_PROTOBUF
    ),
    "an environment that lists its packages": in_environment(LISTS_PACKAGES),
    "an environment whose path has spaces": Case(
        ["{folder}/my é env/env/bin/python", "program.py"],
        "a",
        files={"program.py": PROGRAM},
        prepare=lambda folder: make_environment({})(
            (folder / "my é env").mkdir() or folder / "my é env"
        ),
    ),
    "a module that hides a library of lupis-run": in_environment(
        IMPORTS.format(module="wrapt"), files=OWN_WRAPT, recorded="", unrecorded="a",
        warning="hides the module 'wrapt' from instrumentation",
    ),
    **{
        f"a script called {name}.py": with_name(name)
        for name in ("requests", "urllib3", "google", "opentelemetry", "certifi", "copy", "queue")
    },
    **{
        f"a package called {name}": with_name(name, package=True)
        for name in ("requests", "opentelemetry", "packaging", "platform")
    },
    "a folder called google": Case(
        ["{python}", "program.py"], "a", files={"program.py": PROGRAM, "google/data.txt": ""}
    ),
    "a script called click.py": with_name("click", hidden=False),
    "a script called lupis.py": with_name("lupis", hidden=False),
}  # fmt: skip
if OTHER_PYTHON is not None:
    CASES["an environment of another version"] = in_environment(
        python=OTHER_PYTHON, recorded="", unrecorded="a", warning=NOT_INSTALLED
    )
FAST_CASES = (
    "an environment without the package",
    "an environment with other packages",
    "an environment with an old OpenTelemetry",
    "an environment whose path has spaces",
    "a module that hides a library of lupis-run",
    "a script called queue.py",
    "a package called opentelemetry",
    "a script called lupis.py",
)
"""The cases that stand for the others in `make test`."""


@pytest.mark.parametrize("name", list_cases(CASES, FAST_CASES))
def test_a_program_uses_its_own_packages_and_modules(name, run_pair):
    """It behaves the same; if it cannot be recorded, a line says why."""
    check_same_behaviour(CASES[name], run_pair(name))


@pytest.mark.parametrize("name", list_calling_cases(CASES, FAST_CASES))
def test_the_collector_receives_each_call_once(name, run_pair):
    """Each call that can be recorded is received."""
    check_recorded_calls(CASES[name], run_pair(name))
