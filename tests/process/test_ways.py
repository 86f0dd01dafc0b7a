"""Every way to start Python: the program does, with lupis-run, what it does without."""

import os
import stat
import sys
import venv
import zipfile

import pytest
from servers.pair import Case, Pairs, arrivals, check_arrived, check_transparent, parameters

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

PROGRAM = """
import sys
from calls import call
print(sys.argv[1:], __name__, __doc__, call("a"))
print("error", file=sys.stderr)
"""
HERE = {"program.py": PROGRAM}
PACKAGE = {"package/__init__.py": "", "package/__main__.py": PROGRAM, "package/part.py": PROGRAM}
SHEBANG = {"script": "#!{python}\n" + PROGRAM}
PATHS = """
import os, sys
from calls import call
print(sys.path, sys.flags, sys.prefix, sys.base_prefix, sys.executable, sys.warnoptions, call("a"))
"""
VARIABLES = """
import os
from calls import call
call("a")
print(sorted(name for name in os.environ if not name.startswith(("LUPIS_", "PYTHONPATH", "COV"))))
"""
STREAMS = """
import os, sys
from calls import call
print(call("a"))
with open("seen.txt", "w") as seen:
    print([stream is None for stream in (sys.stdin, sys.stdout, sys.stderr)], file=seen)
"""


def started(*options, **more):
    """A case that runs the program with these options of Python's."""
    return Case(["{python}", *options, "program.py"], "a", files=HERE, **more)


def below(script, *command, **more):
    """A case that runs a command below a line of shell, in which it is "$@"."""
    return Case(["sh", "-c", script, "sh", *(command or ["{python}", "program.py"])], "a", **more)


def zip_up(folder):
    """Makes app.pyz, which Python and, by its first line, the system can run."""
    path = folder / "app.pyz"
    path.write_bytes(f"#!{sys.executable}\n".encode())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__main__.py", PROGRAM)
        archive.write(folder / "calls.py", "calls.py")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (folder / "calls.py").unlink()


def put_aside(name):
    """Moves all files into a folder of that name."""

    def prepare(folder):
        (folder / name).mkdir()
        for path in list(folder.iterdir()):
            if path.is_file():
                path.rename(folder / name / path.name)

    return prepare


def make_environment(folder):
    """Makes a virtual environment in the one that runs the tests."""
    venv.create(folder / "inner", system_site_packages=True, symlinks=True)


CASES = {
    "a script": Case(["{python}", "program.py", "-x", "--", "a b"], "a", files=HERE),
    "a script by its whole path": Case(["{python}", "{folder}/program.py"], "a", files=HERE),
    "a folder": Case(["{python}", "package"], "a", files=PACKAGE, env={"PYTHONPATH": "."}),
    "a package": Case(["{python}", "-m", "package", "-m", "x"], "a", files=PACKAGE),
    "a module": Case(["{python}", "-m", "package.part"], "a", files=PACKAGE),
    "a line": Case(["{python}", "-c", PROGRAM, "-c"], "a"),
    "standard input": Case(["{python}"], "a", stdin=PROGRAM),
    "standard input by name": Case(["{python}", "-", "x"], "a", stdin=PROGRAM),
    "a prompt": Case(["{python}", "-i", "-q"], "a", stdin="from calls import call\ncall('a')\n"),
    "a zipapp": Case(["{python}", "app.pyz", "x"], "a", prepare=zip_up),
    "a zipapp that is executable": Case(["./app.pyz", "x"], "a", prepare=zip_up),
    "a script with a first line": Case(["./script", "x"], "a", files=SHEBANG),
    "a script found on the PATH": Case(
        ["script", "x"], "a", files=SHEBANG, env={"PATH": "{folder}:/usr/bin:/bin"}
    ),
    "a shell script": Case(
        ["./start.sh", "x"],
        "a",
        files={**HERE, "start.sh": '#!/bin/sh\necho began\n"{python}" program.py "$@"\nexit 5\n'},
        status=5,
    ),
    "env": Case(["env", "A=1", "{python}", "program.py"], "a", files=HERE),
    "env -i": Case(
        ["env", "-i", "{python}", "program.py"],
        unseen="a",
        files=HERE,
        ours="env -i clears the environment: this program will not be instrumented",
    ),
    "isolated": Case(
        ["{python}", "-I", "-c", "import sys; sys.path[:0] = ['.']\n" + PROGRAM],
        unseen="a",
        ours="python -I ignores PYTHONPATH: this program will not be instrumented",
    ),
    "import times": started("-X", "importtime", masked=r"^import time:.*\n"),
    "development mode": started("-X", "dev"),
    "frozen modules": started("-X", "frozen_modules=on"),
    "UTF-8 mode": started("-X", "utf8"),
    "fault handler": started("-X", "faulthandler"),
    "traced memory": started("-X", "tracemalloc=5"),
    "warnings as errors": started("-W", "error"),
    "warnings shown": started("-W", "always"),
    "optimised": started("-O"),
    "without docstrings": started("-OO"),
    "unbuffered": started("-u"),
    "without bytecode": started("-B"),
    "bytes compared": started("-bb"),
    "no user site": started("-s"),
    "several options": started("-uBW", "error"),
    "safe path": started(env={"PYTHONSAFEPATH": "1", "PYTHONPATH": "{folder}"}),
    "hash seed": started(env={"PYTHONHASHSEED": "7"}),
    "encoding": started(env={"PYTHONIOENCODING": "latin-1"}),
    "the C locale": started(env={"LC_ALL": "C", "LANG": ""}),
    "no coercion of locales": started(env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}),
    "warnings by variable": started(env={"PYTHONWARNINGS": "error"}),
    "no home": started(env={"HOME": ""}),
    "what Python starts with": Case(PATHS, "a"),
    "a PYTHONPATH of one's own": Case(PATHS, "a", env={"PYTHONPATH": "/a b:{folder}/lib::rel"}),
    "its variables": Case(VARIABLES, "a"),
    "an environment in another": Case(
        ["inner/bin/python", "program.py"], "a", files=HERE, prepare=make_environment
    ),
    "spaces and letters beyond ASCII": Case(
        ["{python}", "my agents é 日本/program.py"],
        "a",
        files=HERE,
        prepare=put_aside("my agents é 日本"),
    ),
    "an odd path in the C locale": Case(
        ["{python}", "my agents é 日本/program.py"],
        "a",
        files=HERE,
        prepare=put_aside("my agents é 日本"),
        env={"LC_ALL": "C"},
    ),
    "a folder no one may write to": below(
        'cd /proc && exec "$@"', "{python}", "{folder}/program.py", files=HERE
    ),
    "a folder that is gone": below(
        'mkdir gone; cd gone; rmdir ../gone; exec "$@"', "{python}", "{folder}/program.py", files=HERE
    ),
    "no stdin": below('exec "$@" <&-', files={"program.py": STREAMS}),
    "no stdout": below('exec "$@" >&-', files={"program.py": STREAMS}),
    "no stderr": below('exec "$@" 2>&-', files={"program.py": STREAMS}),
    "no streams at all": below('exec "$@" <&- >&- 2>&-', files={"program.py": STREAMS}),
    "a full stdout": below(
        'exec "$@" >/dev/full', files={"program.py": PROGRAM}, status=120, masked="0x[0-9a-f]+"
    ),
    "a reader that leaves": below(
        '"$@" | true', "{python}", "-c", "from calls import call; call('a')\nprint('y' * 9**6)",
        masked="0x[0-9a-f]+", status=0,
    ),
}  # fmt: skip
if sys.version_info < (3, 11):  # from then on Python itself does not start
    CASES["a relative path in a folder that is gone"] = CASES["a folder that is gone"]._replace(
        env={"PYTHONPATH": "lib:"}
    )


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Runs a case without us and with us."""
    return Pairs(CASES, tmp_path_factory.mktemp("ways") / "run")


@pytest.mark.parametrize("name", parameters(CASES))
def test_started_in_any_way_it_does_the_same(name, pair):
    """Same output, status and files; of ours there is a line only where that can't be otherwise."""
    check_transparent(CASES[name], pair(name))


@pytest.mark.parametrize("name", arrivals(CASES))
def test_its_calls_arrive_once(name, pair):
    """Those that can be seen."""
    check_arrived(CASES[name], pair(name))
