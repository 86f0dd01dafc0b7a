"""Programs that start Python in an environment of their own, below lupis-run."""

import os

import pytest
from servers.comparison import (
    Case,
    check_recorded_calls,
    check_same_behaviour,
    list_calling_cases,
    list_cases,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

PROGRAM = {"program.py": 'from calls import call\nprint(call("a"))\n'}
STARTS = """
import os, subprocess, sys
import tox.session  # a stand-in beside this file: its name tells that this is a launcher
environ = {name: text for name, text in os.environ.items() if name in ("PATH", "HOME", "LLM_URL")}
command = [sys.executable, "program.py"]
"""
POPEN = "sys.stdout.flush()\nsubprocess.run(command, env=environ, check=True)\n"
EXECVPE = "os.execvpe(command[0], command, environ)\n"
EXECL = """
os.environ["PYTHONPATH"] = os.getcwd() + "/agent:" + os.environ.get("PYTHONPATH", "")
os.execl(command[0], *command)
"""


def launcher(start, **more):
    """A case of a launcher that starts the program in one way."""
    files = {"tox/__init__.py": "", "tox/session.py": "", "launcher.py": STARTS + start, **PROGRAM}
    return Case(["{python}", "launcher.py"], "a", files={**files, **more})


CASES = {
    "a launcher that drops variables": launcher(POPEN),
    "a launcher that becomes the program without variables": launcher(EXECVPE),
    "a launcher with a sitecustomize": launcher(
        EXECL, **{"agent/sitecustomize.py": "print('agent')\n"}
    ),
}
FAST_CASES = ("a launcher that becomes the program without variables",)
"""The cases that stand for the others in `make test`."""


@pytest.mark.parametrize("name", list_cases(CASES, FAST_CASES))
def test_launcher_and_program_behave_the_same(name, run_pair):
    """The program's own sitecustomize runs too."""
    check_same_behaviour(CASES[name], run_pair(name))


@pytest.mark.parametrize("name", list_calling_cases(CASES, FAST_CASES))
def test_program_below_a_launcher_is_recorded(name, run_pair):
    """The collector receives its call."""
    check_recorded_calls(CASES[name], run_pair(name))
