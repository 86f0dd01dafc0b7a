"""Programs in another environment than lupis-run's, and programs with modules called as ours."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from servers.pair import Case, Pairs, arrivals, check_arrived, check_transparent, parameters

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
TRIES = """
from calls import call
call("a")
try:
    import opentelemetry.trace
    print("theirs", opentelemetry.trace.__file__)
except ImportError:
    print("none")
"""
LACKING = "env/bin/python has no lupis_instrument; to instrument it: "
RENAME = "; rename it to have this program instrumented"


def find_python(*versions):
    """An interpreter that runs, of one of these versions, by which the tests are not run."""
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
        said = subprocess.run([path, "-c", show], capture_output=True, text=True, check=False)
        if said.stdout.strip() in versions:
            return path
    return None


MINE = "{}.{}".format(*sys.version_info)
OTHER = find_python(*({"3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"} - {MINE}))


def distribution(name, version, *requirements):
    """The files that tell that a distribution is installed."""
    needs = "".join(f"Requires-Dist: {each}\n" for each in requirements)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
    return {f"{name.replace('-', '_')}-{version}.dist-info/METADATA": text}


def environment(packages, *, python=None):
    """Makes a virtual environment that has these files and nothing of ours."""

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


def elsewhere(text=PROGRAM, packages=None, *, python=None, **more):
    """A case of a program in an environment of its own."""
    files = {"program.py": text, **more.pop("files", {})}
    return Case(
        ["{folder}/env/bin/python", "program.py"],
        **{"marks": "a", **more},
        files=files,
        prepare=environment(packages or {}, python=python),
    )


def called(name, hidden=True, package=False):
    """A case of a program that is called as a library, or has a module that is."""
    hides = {"unseen": "a", "ours": RENAME} if hidden else {"marks": "a"}
    if package:
        files = {"program.py": PROGRAM, f"{name}/__init__.py": "print('theirs')"}
        return Case(["{python}", "program.py"], **hides, files=files)
    return Case(["{python}", f"{name}.py"], **hides, files={f"{name}.py": PROGRAM})


OLD_API = {
    "opentelemetry/trace/__init__.py": "WHOSE = 'old'\n",
    "opentelemetry/context/__init__.py": "",
    **distribution("opentelemetry-api", "1.10.0"),
}
OLD_PROTOBUF = {
    "google/__init__.py": "",
    "google/protobuf/__init__.py": "WHOSE = 'old'\n__version__ = '3.6.1'\n",
    **distribution("protobuf", "3.6.1"),
}
OWN_WRAPT = {"wrapt.py": "WHOSE = 'theirs'\nprint('theirs')\n"}
CASES = {
    "an environment without the package": elsewhere(),
    "an environment with other packages": elsewhere(
        IMPORTS.format(module="click"),
        {"click.py": "WHOSE = 'theirs'\n", **distribution("click", "3.0")},
    ),
    "an environment with an old OpenTelemetry": elsewhere(
        TRIES, OLD_API, marks="", unseen="a", ours="opentelemetry-api 1.10.0 of this environment"
    ),
    "an environment with an old protobuf": elsewhere(
        IMPORTS.format(module="google.protobuf"), OLD_PROTOBUF,
        marks="", unseen="a", ours="protobuf 3.6.1 of this environment does not fit",
    ),
    "an environment whose path has spaces": Case(
        ["{folder}/my é env/env/bin/python", "program.py"],
        "a",
        files={"program.py": PROGRAM},
        prepare=lambda folder: environment({})(
            (folder / "my é env").mkdir() or folder / "my é env"
        ),
    ),
    "a module called as one we need": elsewhere(
        IMPORTS.format(module="wrapt"), files=OWN_WRAPT, marks="", unseen="a",
        ours="hides the module 'wrapt' from instrumentation",
    ),
    **{
        f"a script called {name}.py": called(name)
        for name in ("requests", "urllib3", "google", "opentelemetry", "certifi", "copy", "queue")
    },
    **{
        f"a package called {name}": called(name, package=True)
        for name in ("requests", "opentelemetry", "packaging", "platform")
    },
    "a folder called google": Case(
        ["{python}", "program.py"], "a", files={"program.py": PROGRAM, "google/data.txt": ""}
    ),
    "a script called click.py": called("click", hidden=False),
    "a script called lupis.py": called("lupis", hidden=False),
}  # fmt: skip
if OTHER is not None:
    CASES["an environment of another version"] = elsewhere(
        python=OTHER, marks="", unseen="a", ours=LACKING
    )


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Runs a case without us and with us."""
    return Pairs(CASES, tmp_path_factory.mktemp("interpreters") / "run")


@pytest.mark.parametrize("name", parameters(CASES))
def test_a_programs_own_packages_and_modules_win(name, pair):
    """It does what it does without us; where we can't record, one line says why."""
    check_transparent(CASES[name], pair(name))


@pytest.mark.parametrize("name", arrivals(CASES))
def test_calls_arrive_once(name, pair):
    """Where nothing stands in the way."""
    check_arrived(CASES[name], pair(name))
