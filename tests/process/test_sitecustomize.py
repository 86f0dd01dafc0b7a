"""Beside whatever else starts with Python: other sitecustomizes, agents, coverage, launchers."""

import os
import sys
import venv
from pathlib import Path

import pytest
from servers.pair import Case, Pairs, arrivals, check_arrived, check_transparent, parameters

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

PROGRAM = 'from calls import call\nprint(call("a"))\n'
HERE = {"program.py": PROGRAM}
TELLS = "import sys; print('users', sorted(name for name in sys.modules if 'custom' in name))\n"
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
FINDER = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in ("http.client", "calls"):
            print("agent sees", name)
sys.meta_path.insert(0, Finder())
"""
CHAINING = """
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
COVERED = {
    "parent.py": PARENT,
    "child.py": CHILD,
    "rc": "[run]\nparallel = true\nsource = .\nomit = calls.py\ndata_file = {folder}/.coverage\n",
    "start/sitecustomize.py": "import coverage; coverage.process_startup()\n",
}
DDTRACE = {
    "DD_TRACE_ENABLED": "true",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
    "DD_TRACE_STARTUP_LOGS": "false",
    "DD_TRACE_LOG_FILE": "/dev/null",
}
UNSENT = r"^failed to send, .*\n"  # by what is in time when the program ends
OTEL = {
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
}
REPORT = "coverage run --rcfile=rc parent.py && coverage combine -q --rcfile=rc && coverage report --rcfile=rc"


def environment(files):
    """Makes a virtual environment, with these files among its packages, and a way to ours."""

    def prepare(folder):
        venv.create(folder / "env", system_site_packages=False, symlinks=True)
        (packages,) = (folder / "env" / "lib").glob("*/site-packages")
        ours = [path for path in sys.path if Path(path, "opentelemetry").is_dir()]
        root = Path(__file__).parents[2]
        for name, text in {"ours.pth": "\n".join([*ours, str(root)]), **files}.items():
            (packages / name).write_text(text)

    return prepare


def in_environment(files, **more):
    """A case that runs in such an environment."""
    command = ["env/bin/python", "program.py"]
    return Case(command, "a", files=HERE, prepare=environment(files), **more)


CASES = {
    "the user's": Case(
        PROGRAM, "a", files={"lib/sitecustomize.py": TELLS}, env={"PYTHONPATH": "{folder}/lib"}
    ),
    "an environment's": in_environment({"sitecustomize.py": TELLS}),
    "an environment's usercustomize": in_environment({"usercustomize.py": TELLS}),
    "an agent by a .pth": in_environment({"agent.pth": "import agent", "agent.py": AGENT}),
    "an agent that finds, by a .pth": in_environment({"agent.pth": "import f", "f.py": FINDER}),
    "a .pth that imports a client": in_environment({"client.pth": "import http.client, urllib3"}),
    "an agent that chains, after ours": Case(
        PROGRAM,
        "a",
        files={"agent/sitecustomize.py": CHAINING, "lib/sitecustomize.py": TELLS},
        env={"PYTHONPATH": "{folder}/agent:{folder}/lib"},
    ),
    "an agent that chains, before ours": Case(
        ["{lupis-run}", "sh", "-c", 'PYTHONPATH="{folder}/agent:$PYTHONPATH" exec "$@"', "sh",
         "{python}", "program.py"],
        "a",
        files={**HERE, "agent/sitecustomize.py": CHAINING},
    ),
    "coverage and its children": Case(
        ["sh", "-c", REPORT], "a b", files=COVERED,
        env={"COVERAGE_PROCESS_START": "{folder}/rc", "PYTHONPATH": "{folder}/start"},
    ),
    "opentelemetry-instrument below ours": Case(
        ["{lupis-run}", "opentelemetry-instrument", "{python}", "program.py"], "a", files=HERE,
        env=OTEL,
    ),
    "opentelemetry-instrument above ours": Case(
        ["opentelemetry-instrument", "{lupis-run}", "{python}", "program.py"], "a", files=HERE,
        env=OTEL,
        # Said by each Python process below it where two configurators are installed: lupis-run is one.
        masked=r"^Configuration of lupis not loaded, .*\n",
    ),
    "ddtrace-run below ours": Case(
        ["{lupis-run}", "ddtrace-run", "{python}", "program.py"], "a", files=HERE, env=DDTRACE,
        needs=["ddtrace"], masked=UNSENT,
    ),
    "ddtrace-run above ours": Case(
        ["ddtrace-run", "{lupis-run}", "{python}", "program.py"], "a", files=HERE, env=DDTRACE,
        needs=["ddtrace"], masked=UNSENT,
    ),
    "lupis-run below lupis-run": Case(
        ["{lupis-run}", "{lupis-run}", "{python}", "program.py"], "a", files=HERE
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Runs a case without us and with us."""
    return Pairs(CASES, tmp_path_factory.mktemp("sitecustomize") / "run")


@pytest.mark.parametrize("name", parameters(CASES))
def test_what_else_starts_with_python_does_the_same(name, pair):
    """It runs, once, and sees what it would see."""
    check_transparent(CASES[name], pair(name))


@pytest.mark.parametrize("name", arrivals(CASES))
def test_calls_arrive_once(name, pair):
    """Whatever stands beside us."""
    check_arrived(CASES[name], pair(name))
