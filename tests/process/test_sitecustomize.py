"""Other code that starts with Python still works: sitecustomize, agents, coverage, launchers."""

import os
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

PROGRAM = 'from calls import call\nprint(call("a"))\n'
PROGRAM_FILE = {"program.py": PROGRAM}
PRINTS_MODULES = (
    "import sys; print('users', sorted(name for name in sys.modules if 'custom' in name))\n"
)
AGENT = """
import functools, http.client, sys
print("agent")
original = http.client.HTTPConnection.request

@functools.wraps(original)
def request(self, *args, **kwargs):
    print("agent sees", *args[:2])
    return original(self, *args, **kwargs)

http.client.HTTPConnection.request = request
"""
AGENT_FINDER = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in ("http.client", "calls"):
            print("agent sees", name)
sys.meta_path.insert(0, Finder())
"""
CHAINING_AGENT = """
import os, sys
print("other agent")
sys.path.remove(os.path.dirname(__file__))
own = sys.modules.pop("sitecustomize")
try:
    import sitecustomize
except ImportError:
    sys.modules["sitecustomize"] = own
"""
PARENT = """
import subprocess, sys
from calls import call
call("a")
subprocess.run([sys.executable, "child.py"], check=True)
"""
CHILD = "from calls import call\nprint(call('b'))\n"
COVERAGE_FILES = {
    "parent.py": PARENT,
    "child.py": CHILD,
    "rc": "[run]\nparallel = true\nsource = .\nomit = calls.py\ndata_file = {folder}/.coverage\n",
    "start/sitecustomize.py": "import coverage; coverage.process_startup()\n",
}
DDTRACE_VARIABLES = {
    "DD_TRACE_ENABLED": "true",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
    "DD_TRACE_STARTUP_LOGS": "false",
    "DD_TRACE_LOG_FILE": "/dev/null",
}
UNSENT = r"^failed to send, .*\n"  # only if ddtrace tries to send before the program ends
OTEL_VARIABLES = {
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "LUPIS_EXPORTER": "otlp",  # "none" above is for the SDK of the program
}
COVERAGE_COMMAND = "coverage run --rcfile=rc parent.py && coverage combine -q --rcfile=rc && coverage report --rcfile=rc"


def make_environment(files):
    """Makes a virtual environment that has these files and can import this package."""

    def prepare(folder):
        venv.create(folder / "env", system_site_packages=False, symlinks=True)
        (packages,) = (folder / "env" / "lib").glob("*/site-packages")
        paths = [path for path in sys.path if Path(path, "opentelemetry").is_dir()]
        root = Path(__file__).parents[2]
        for name, text in {"package.pth": "\n".join([*paths, str(root)]), **files}.items():
            (packages / name).write_text(text)

    return prepare


def in_environment(files, **more):
    """A case of a program in such an environment."""
    command = ["env/bin/python", "program.py"]
    return Case(command, "a", files=PROGRAM_FILE, prepare=make_environment(files), **more)


CASES = {
    "a sitecustomize of the user": Case(
        PROGRAM, "a", files={"lib/sitecustomize.py": PRINTS_MODULES}, env={"PYTHONPATH": "{folder}/lib"}
    ),
    "a sitecustomize of an environment": in_environment({"sitecustomize.py": PRINTS_MODULES}),
    "a usercustomize of an environment": in_environment({"usercustomize.py": PRINTS_MODULES}),
    "an agent by a .pth": in_environment({"agent.pth": "import agent", "agent.py": AGENT}),
    "an agent with an import finder by a .pth": in_environment({"agent.pth": "import f", "f.py": AGENT_FINDER}),
    "a .pth that imports a client": in_environment({"client.pth": "import http.client, urllib3"}),
    "an agent that chains, after this package": Case(
        PROGRAM,
        "a",
        files={"agent/sitecustomize.py": CHAINING_AGENT, "lib/sitecustomize.py": PRINTS_MODULES},
        env={"PYTHONPATH": "{folder}/agent:{folder}/lib"},
    ),
    "an agent that chains, before this package": Case(
        ["{lupis-run}", "sh", "-c", 'PYTHONPATH="{folder}/agent:$PYTHONPATH" exec "$@"', "sh",
         "{python}", "program.py"],
        "a",
        files={**PROGRAM_FILE, "agent/sitecustomize.py": CHAINING_AGENT},
    ),
    "coverage of a program and its child": Case(
        ["sh", "-c", COVERAGE_COMMAND], "a b", files=COVERAGE_FILES,
        env={"COVERAGE_PROCESS_START": "{folder}/rc", "PYTHONPATH": "{folder}/start"},
    ),
    "opentelemetry-instrument below lupis-run": Case(
        ["{lupis-run}", "opentelemetry-instrument", "{python}", "program.py"], "a", files=PROGRAM_FILE,
        env=OTEL_VARIABLES,
    ),
    "opentelemetry-instrument above lupis-run": Case(
        ["opentelemetry-instrument", "{lupis-run}", "{python}", "program.py"], "a", files=PROGRAM_FILE,
        env=OTEL_VARIABLES,
    ),
    "ddtrace-run below lupis-run": Case(
        ["{lupis-run}", "ddtrace-run", "{python}", "program.py"], "a", files=PROGRAM_FILE, env=DDTRACE_VARIABLES,
        needs=["ddtrace"], varying=UNSENT,
    ),
    "ddtrace-run above lupis-run": Case(
        ["ddtrace-run", "{lupis-run}", "{python}", "program.py"], "a", files=PROGRAM_FILE, env=DDTRACE_VARIABLES,
        needs=["ddtrace"], varying=UNSENT,
    ),
    "lupis-run below lupis-run": Case(
        ["{lupis-run}", "{lupis-run}", "{python}", "program.py"], "a", files=PROGRAM_FILE
    ),
}  # fmt: skip
FAST_CASES = (
    "a sitecustomize of the user",
    "an agent by a .pth",
    "a .pth that imports a client",
    "an agent that chains, after this package",
    "lupis-run below lupis-run",
)
"""The cases that stand for the others in `make test`."""


@pytest.mark.parametrize("name", list_cases(CASES, FAST_CASES))
def test_other_start_up_code_behaves_the_same(name, run_pair):
    """It runs once, and prints the same."""
    check_same_behaviour(CASES[name], run_pair(name))


@pytest.mark.parametrize("name", list_calling_cases(CASES, FAST_CASES))
def test_the_collector_receives_each_call_once(name, run_pair):
    """Other start-up code does not prevent that."""
    check_recorded_calls(CASES[name], run_pair(name))
