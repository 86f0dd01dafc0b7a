"""However Python is started, the program behaves with lupis-run as it does without."""

import os
import stat
import sys
import venv
import zipfile

import pytest
from servers.comparison import (
    Case,
    check_recorded_calls,
    check_same_behaviour,
    list_calling_cases,
    list_cases,
)
from servers.program import find_shebang_python

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

PROGRAM = """
import sys
from calls import call
print(sys.argv[1:], __name__, __doc__, call("a"))
print("error", file=sys.stderr)
"""
PROGRAM_FILE = {"program.py": PROGRAM}
PACKAGE = {"package/__init__.py": "", "package/__main__.py": PROGRAM, "package/part.py": PROGRAM}
SHEBANG_SCRIPT = {"script": "#!{shebang}\n" + PROGRAM}
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


def with_options(*options, **more):
    """A case that runs the program with options of Python."""
    return Case(["{python}", *options, "program.py"], "a", files=PROGRAM_FILE, **more)


def in_shell(script, *command, **more):
    """A case that runs a line of shell script; the line starts the command by `"$@"`."""
    return Case(["sh", "-c", script, "sh", *(command or ["{python}", "program.py"])], "a", **more)


def make_zipapp(folder):
    """Makes app.pyz, which Python and, by its first line, the system can run."""
    path = folder / "app.pyz"
    path.write_bytes(f"#!{find_shebang_python()}\n".encode())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__main__.py", PROGRAM)
        archive.write(folder / "calls.py", "calls.py")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (folder / "calls.py").unlink()


def move_files(name):
    """Moves all files into a folder with this name."""

    def prepare(folder):
        (folder / name).mkdir()
        for path in list(folder.iterdir()):
            if path.is_file():
                path.rename(folder / name / path.name)

    return prepare


def make_environment(folder):
    """Makes a virtual environment that can import the packages of the tests' environment."""
    venv.create(folder / "inner", system_site_packages=True, symlinks=True)


CASES = {
    "a script": Case(["{python}", "program.py", "-x", "--", "a b"], "a", files=PROGRAM_FILE),
    "a script by its absolute path": Case(["{python}", "{folder}/program.py"], "a", files=PROGRAM_FILE),
    "a folder": Case(["{python}", "package"], "a", files=PACKAGE, env={"PYTHONPATH": "."}),
    "a package": Case(["{python}", "-m", "package", "-m", "x"], "a", files=PACKAGE),
    "a module": Case(["{python}", "-m", "package.part"], "a", files=PACKAGE),
    "a program on the command line": Case(["{python}", "-c", PROGRAM, "-c"], "a"),
    "standard input": Case(["{python}"], "a", stdin=PROGRAM),
    "standard input by name": Case(["{python}", "-", "x"], "a", stdin=PROGRAM),
    "an interactive prompt": Case(["{python}", "-i", "-q"], "a", stdin="from calls import call\ncall('a')\n"),
    "a zipapp": Case(["{python}", "app.pyz", "x"], "a", prepare=make_zipapp),
    "a zipapp that is executable": Case(["./app.pyz", "x"], "a", prepare=make_zipapp),
    "a script with a shebang line": Case(["./script", "x"], "a", files=SHEBANG_SCRIPT),
    "a script on the PATH": Case(
        ["script", "x"], "a", files=SHEBANG_SCRIPT, env={"PATH": "{folder}:/usr/bin:/bin"}
    ),
    "a shell script": Case(
        ["./start.sh", "x"],
        "a",
        files={**PROGRAM_FILE, "start.sh": '#!/bin/sh\necho began\n"{python}" program.py "$@"\nexit 5\n'},
        status=5,
    ),
    "env": Case(["env", "A=1", "{python}", "program.py"], "a", files=PROGRAM_FILE),
    "env -i": Case(
        ["env", "-i", "{python}", "program.py"],
        unrecorded="a",
        files=PROGRAM_FILE,
        warning="env -i clears the environment: this program will not be instrumented",
    ),
    "isolated": Case(
        ["{python}", "-I", "-c", "import sys; sys.path[:0] = ['.']\n" + PROGRAM],
        unrecorded="a",
        warning="python -I ignores PYTHONPATH: this program will not be instrumented",
    ),
    "import times": with_options("-X", "importtime", varying=r"^import time:.*\n"),
    "development mode": with_options("-X", "dev"),
    "frozen modules": with_options("-X", "frozen_modules=on"),
    "UTF-8 mode": with_options("-X", "utf8"),
    "UTF-8 mode off": with_options("-X", "utf8=0"),
    "fault handler": with_options("-X", "faulthandler"),
    "traced memory": with_options("-X", "tracemalloc=5"),
    "warnings as errors": with_options("-W", "error"),
    "warnings shown": with_options("-W", "always"),
    "optimised": with_options("-O"),
    "without docstrings": with_options("-OO"),
    "unbuffered": with_options("-u"),
    "without bytecode": with_options("-B"),
    "bytes compared": with_options("-bb"),
    "no user site": with_options("-s"),
    "no user site by variable": with_options(env={"PYTHONNOUSERSITE": "1"}),
    "several options": with_options("-uBW", "error"),
    "safe path": with_options(env={"PYTHONSAFEPATH": "1", "PYTHONPATH": "{folder}"}),
    "hash seed": with_options(env={"PYTHONHASHSEED": "7"}),
    "encoding": with_options(env={"PYTHONIOENCODING": "latin-1"}),
    "the C locale": with_options(env={"LC_ALL": "C", "LANG": ""}),
    "no coercion of locales": with_options(env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}),
    "warnings by variable": with_options(env={"PYTHONWARNINGS": "error"}),
    "no home": with_options(env={"HOME": ""}),
    "path, flags and prefixes": Case(PATHS, "a"),
    "a PYTHONPATH of the user": Case(PATHS, "a", env={"PYTHONPATH": "/a b:{folder}/lib::rel"}),
    "environment variables": Case(VARIABLES, "a"),
    "a virtual environment in another": Case(
        ["inner/bin/python", "program.py"], "a", files=PROGRAM_FILE, prepare=make_environment
    ),
    "spaces and letters beyond ASCII": Case(
        ["{python}", "my agents é 日本/program.py"],
        "a",
        files=PROGRAM_FILE,
        prepare=move_files("my agents é 日本"),
    ),
    "an odd path in the C locale": Case(
        ["{python}", "my agents é 日本/program.py"],
        "a",
        files=PROGRAM_FILE,
        prepare=move_files("my agents é 日本"),
        env={"LC_ALL": "C"},
    ),
    "a current folder without write access": in_shell(
        'cd /proc && exec "$@"', "{python}", "{folder}/program.py", files=PROGRAM_FILE
    ),
    "a current folder that was removed": in_shell(
        'mkdir gone; cd gone; rmdir ../gone; exec "$@"', "{python}", "{folder}/program.py", files=PROGRAM_FILE
    ),
    "no stdin": in_shell('exec "$@" <&-', files={"program.py": STREAMS}),
    "no stdout": in_shell('exec "$@" >&-', files={"program.py": STREAMS}),
    "no stderr": in_shell('exec "$@" 2>&-', files={"program.py": STREAMS}),
    "no streams at all": in_shell('exec "$@" <&- >&- 2>&-', files={"program.py": STREAMS}),
    "a full stdout": in_shell(
        'exec "$@" >/dev/full', files={"program.py": PROGRAM}, status=120, varying="0x[0-9a-f]+"
    ),
    "a reader that closes the pipe": in_shell(
        '"$@" | true', "{python}", "-c", "from calls import call; call('a')\nprint('y' * 9**6)",
        varying="0x[0-9a-f]+", status=0,
    ),
}  # fmt: skip
if sys.version_info < (3, 11):  # newer versions of Python do not start there
    CASES["a relative path in a current folder that was removed"] = CASES[
        "a current folder that was removed"
    ]._replace(env={"PYTHONPATH": "lib:"})
FAST_CASES = (
    "a script",
    "a package",
    "a program on the command line",
    "standard input",
    "a script with a shebang line",
    "env -i",
    "warnings as errors",
    "optimised",
    "path, flags and prefixes",
    "a virtual environment in another",
    "spaces and letters beyond ASCII",
    "no streams at all",
    "a reader that closes the pipe",
)
"""The cases that stand for the others in `make test`."""


@pytest.mark.parametrize("name", list_cases(CASES, FAST_CASES))
def test_a_program_behaves_the_same_however_it_starts(name, run_pair):
    """Output, status and files are the same; only programs that cannot be recorded add a line."""
    check_same_behaviour(CASES[name], run_pair(name))


@pytest.mark.parametrize("name", list_calling_cases(CASES, FAST_CASES))
def test_the_collector_receives_each_call_once(name, run_pair):
    """Each call that can be recorded is received."""
    check_recorded_calls(CASES[name], run_pair(name))
