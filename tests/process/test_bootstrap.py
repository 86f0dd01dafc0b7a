"""The bootstrap as Python meets it: beside the user's sitecustomize, and in odd surroundings."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from servers import wire

from lupis_instrument._cli.run.locations import describe_site, find_bootstrap_folder

FOLDER = find_bootstrap_folder()
HOOKED = "any(type(each).__name__ == 'ImportHook' for each in sys.meta_path)"
IS_HOOKED = f"import sys; print({HOOKED})"


class Python:
    """Runs Python with the bootstrap's variables, in an empty folder, or without them."""

    def __init__(self, folder):
        self.folder = folder
        self.own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LUPIS_", "PYTHON", "OTEL_"))
        }

    def __call__(self, *arguments, bootstrapped=True, python=sys.executable, path="", **env):
        first = [FOLDER] if bootstrapped else []
        paths = os.pathsep.join([*first, *filter(None, [path])])
        return subprocess.run(
            [python, *arguments],
            env={**self.own, **({"PYTHONPATH": paths} if paths else {}), **env},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    def says(self, *arguments, **options):
        """What it prints, where all went well."""
        done = self(*arguments, **options)
        assert (0, "") == (done.returncode, done.stderr)
        return done.stdout.strip()


@pytest.fixture
def python(tmp_path):
    """Runs Python."""
    return Python(tmp_path)


@pytest.fixture
def users(tmp_path):
    """Writes the user's sitecustomize and gives its folder."""

    def write(text):
        folder = tmp_path / "users"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(text)
        return str(folder)

    return write


def test_it_sets_the_hooks(python):
    """By its variable alone, without the launcher."""
    assert "True" == python.says("-c", IS_HOOKED)


def test_its_folder_is_not_on_the_path(python):
    """The program's `sys.path` is what it would be."""
    code = "import json, sys; print(json.dumps(sys.path))"
    launched, bare = (json.loads(python.says("-c", code, bootstrapped=each)) for each in (1, 0))
    assert bare == launched


def test_the_users_sitecustomize_runs(python, users):
    """Once, after ours."""
    path = users(f"import sys; print('users', {HOOKED})")
    assert "users True" == python.says("-c", "pass", path=path)


def test_sitecustomize_is_the_users(python, users):
    """For whoever imports it; it is not run again."""
    path = users("print('users')")
    code = "import sitecustomize; print(sitecustomize.__file__)"
    expected = str(Path(path, "sitecustomize.py"))
    assert ["users", expected] == python.says("-c", code, path=path).split("\n")


def test_a_chain_of_sitecustomizes_runs(python, users, tmp_path):
    """The user's may chain the next one as ours does."""
    path = users(
        "import sys\nsys.path.remove(__file__.rpartition('/')[0])\n"
        "del sys.modules['sitecustomize']\nprint('users')\nimport sitecustomize\n"
    )
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / "sitecustomize.py").write_text("print('next')")
    path = os.pathsep.join([path, str(tmp_path / "next")])
    assert "users\nnext" == python.says("-c", "pass", path=path)


@pytest.mark.parametrize(
    "text",
    [
        "raise ValueError('users')",
        "import nowhere",
        "1 +",
        "raise ImportError",
    ],
)
def test_a_failing_sitecustomize_fails_the_same(python, users, text):
    """Same status, same lines on stderr, and the program runs on or doesn't."""
    path = users(text)
    launched, bare = (python("-c", "print(1)", bootstrapped=each, path=path) for each in (1, 0))
    assert (bare.returncode, bare.stdout, bare.stderr) == (
        launched.returncode,
        launched.stdout,
        launched.stderr,
    )


def test_a_sitecustomize_that_exits_ends_the_same(python, users):
    """It keeps Python from starting, with us too."""
    path = users("raise SystemExit(3)")
    launched, bare = (python("-c", "print(1)", bootstrapped=each, path=path) for each in (1, 0))
    assert (bare.returncode, "", "SystemExit: 3") == (
        launched.returncode,
        launched.stdout,
        launched.stderr.splitlines()[-1],
    )


@pytest.mark.parametrize("text", ["raise ValueError('users')", "import nowhere"])
def test_a_failing_sitecustomize_leaves_us_in_place(python, users, text):
    """The hooks were set before."""
    assert "True\n" == python("-c", IS_HOOKED, path=users(text)).stdout


@pytest.mark.parametrize("fault", ["raise ValueError('ours')", "raise SystemError", "1 +"])
def test_ours_failing_is_one_line(python, users, tmp_path, fault):
    """The user's sitecustomize and the program run all the same."""
    (tmp_path / "broken" / "lupis_instrument").mkdir(parents=True)
    (tmp_path / "broken" / "lupis_instrument" / "__init__.py").write_text(fault)
    path = os.pathsep.join([str(tmp_path / "broken"), users("print('users')")])
    done = python("-c", "print('program')", path=path)
    assert (0, "users\nprogram\n") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert line.startswith("lupis: warning: cannot start (")


@pytest.mark.parametrize("option", ["-S", "-I", "-E"])
def test_isolated_programs_are_left_alone(python, option):
    """They ignore the variable, or sitecustomize."""
    assert "False" == python.says(option, "-c", IS_HOOKED)


@pytest.mark.parametrize(
    "env",
    [{"LUPIS_ENABLED": "false"}, {"LUPIS_SDK_ENABLED": "0"}, {"OTEL_SDK_DISABLED": "true"}],
)
def test_switched_off_it_sets_no_hooks(python, env):
    """Nothing is patched."""
    assert "False" == python.says("-c", IS_HOOKED, **env)


CHILD = f"""
import os, subprocess, sys
print(os.environ.get("PYTHONPATH"), flush=True)
subprocess.run([sys.executable, "-c", {IS_HOOKED!r}])
"""


def test_children_are_instrumented(python):
    """They find the bootstrap as their parent did."""
    path = os.pathsep.join([FOLDER, "/else"])
    assert f"{path}\nTrue" == python.says("-c", CHILD, path="/else")


@pytest.mark.parametrize(("path", "kept"), [("", "None"), ("/else", "/else")])
def test_children_may_be_left_alone(python, path, kept):
    """The rest of PYTHONPATH is kept."""
    said = python.says("-c", CHILD, path=path, LUPIS_INSTRUMENT_CHILDREN="false")
    assert f"{kept}\nFalse" == said


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The interpreter of a virtual environment that has nothing installed."""
    folder = tmp_path_factory.mktemp("other")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    return str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")


def test_another_environment_borrows_the_launchers_packages(python, other):
    """They come last in its path, so that its own win."""
    code = f"import json, sys; print(json.dumps([{HOOKED}, sys.path]))"
    site = describe_site()
    places = site.partition(":")[2].split(os.pathsep)
    hooked, path = json.loads(python.says("-c", code, python=other, LUPIS_LAUNCHER_SITE=site))
    assert hooked
    assert places == path[-len(places) :]


@pytest.mark.parametrize(
    "site", ["cpython-2.7:/old", "pypy-3.11:/other", "", "nonsense", "cpython-{}.{}:"]
)
def test_an_environment_that_cannot_borrow_is_told(python, other, site):
    """One line says what to install, and the program runs."""
    site = site.format(*sys.version_info)
    done = python("-c", "print(1)", python=other, LUPIS_LAUNCHER_SITE=site)
    assert (0, "1\n") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert line.endswith("-m pip install lupis-instrument")
    assert other in line


def test_an_environment_that_cannot_borrow_keeps_its_path(python, other):
    """Nothing is appended that it can't use."""
    code = "import json, sys; print(json.dumps(sys.path))"
    launched, bare = (
        json.loads(python("-c", code, python=other, bootstrapped=each).stdout) for each in (1, 0)
    )
    assert bare == launched


CALL = """
import os, urllib.request
url = os.environ["WIRE_URL"] + "/v1/chat/completions"
request = urllib.request.Request(url, b'{"model": "test-model"}')
print(urllib.request.urlopen(request).status)
"""


@pytest.fixture(scope="module")
def server():
    """A server to call."""
    with wire.serving() as each:
        yield each


def test_another_environments_calls_arrive(run, server, other):
    """With all that was borrowed for it."""
    done = run(CALL, python=other, env={"WIRE_URL": server.url})
    assert (0, "200\n", "") == (done.returncode, done.stdout, done.stderr)
    assert ["chat test-model"] == [span["name"] for span in done.spans]


WAYS = {
    "a file": ["program.py"],
    "a module": ["-m", "program"],
    "a line": ["-c", CALL],
    "standard input": ["-"],
    "warnings as errors": ["-W", "error", "program.py"],
    "optimised": ["-OO", "program.py"],
    "no bytecode": ["-B", "program.py"],
    "frozen modules": ["-X", "frozen_modules=on", "program.py"],
    "development mode": ["-X", "dev", "program.py"],
    "utf-8 mode off": ["-X", "utf8=0", "program.py"],
}


@pytest.mark.parametrize("way", WAYS)
def test_programs_started_in_any_way_are_instrumented(run, server, way):
    """Their output is theirs, and their calls arrive."""
    (run.folder / "program.py").write_text(CALL)
    done = subprocess.run(
        [sys.executable, "-m", "lupis_instrument", sys.executable, *WAYS[way]],
        env=run.build_environment({"WIRE_URL": server.url}),
        cwd=run.folder,
        input=CALL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (0, "200\n") == (done.returncode, done.stdout)
    noise = [line for line in done.stderr.splitlines() if "unclosed" not in line.lower()]
    assert way == "development mode" or [] == noise
    assert ["chat test-model"] == [span["name"] for span in run.sink.spans]


@pytest.mark.parametrize("variable", ["PYTHONSAFEPATH", "PYTHONNOUSERSITE", "PYTHONUNBUFFERED"])
def test_variables_of_pythons_own_are_no_trouble(run, server, variable):
    """Those that change how it starts."""
    done = run(CALL, env={"WIRE_URL": server.url, variable: "1"})
    assert (0, "200\n", "", 1) == (done.returncode, done.stdout, done.stderr, len(done.spans))


FORKED = f"""
import os, sys
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on: there is a thread, ours
{CALL}
sys.stdout.flush()
child = os.fork()
{CALL}
if child:
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_parent_and_child_deliver_their_own_spans(run, server):
    """Once each."""
    done = run(FORKED, env={"WIRE_URL": server.url})
    assert (0, "200\n" * 3, "") == (done.returncode, done.stdout, done.stderr)
    pids = [span["resource"]["process.pid"] for span in done.spans]
    assert (3, 2) == (len(pids), len(set(pids)))
