"""The bootstrap in Python processes: with a sitecustomize of the user, and in other environments."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from servers import wire

from lupis_instrument._cli.run.locations import describe_site, find_bootstrap_folder

BOOTSTRAP_FOLDER = find_bootstrap_folder()
HOOKED_EXPRESSION = "any(type(finder).__name__ == 'ImportHook' for finder in sys.meta_path)"
PRINT_HOOKED = f"import sys; print({HOOKED_EXPRESSION})"


class PythonRunner:
    """Runs Python in an empty folder, with or without the bootstrap's variables."""

    def __init__(self, folder):
        self.folder = folder
        self.variables = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LUPIS_", "PYTHON", "OTEL_"))
        }

    def __call__(self, *arguments, bootstrapped=True, python=sys.executable, path="", **env):
        first = [BOOTSTRAP_FOLDER] if bootstrapped else []
        paths = os.pathsep.join([*first, *filter(None, [path])])
        return subprocess.run(
            [python, *arguments],
            env={**self.variables, **({"PYTHONPATH": paths} if paths else {}), **env},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    def read_output(self, *arguments, **options):
        """Returns the output of a process that succeeds with an empty stderr."""
        done = self(*arguments, **options)
        assert (0, "") == (done.returncode, done.stderr)
        return done.stdout.strip()


@pytest.fixture
def run_python(tmp_path):
    """Runs Python in an empty folder."""
    return PythonRunner(tmp_path)


@pytest.fixture
def write_sitecustomize(tmp_path):
    """Writes a sitecustomize of the user and returns its folder."""

    def write_text(text):
        folder = tmp_path / "users"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(text)
        return str(folder)

    return write_text


def test_the_variable_alone_sets_the_import_hook(run_python):
    """The launcher is not needed."""
    assert "True" == run_python.read_output("-c", PRINT_HOOKED)


def test_the_bootstrap_folder_is_not_in_sys_path(run_python):
    """The program's `sys.path` is the same as without the bootstrap."""
    code = "import json, sys; print(json.dumps(sys.path))"
    launched, bare = (
        json.loads(run_python.read_output("-c", code, bootstrapped=value)) for value in (1, 0)
    )
    assert bare == launched


def test_the_users_sitecustomize_runs(run_python, write_sitecustomize):
    """It runs once, after the bootstrap."""
    path = write_sitecustomize(f"import sys; print('users', {HOOKED_EXPRESSION})")
    assert "users True" == run_python.read_output("-c", "pass", path=path)


def test_the_module_sitecustomize_is_the_users(run_python, write_sitecustomize):
    """An import finds it, and does not run it again."""
    path = write_sitecustomize("print('users')")
    code = "import sitecustomize; print(sitecustomize.__file__)"
    expected = str(Path(path, "sitecustomize.py"))
    assert ["users", expected] == run_python.read_output("-c", code, path=path).split("\n")


def test_a_chain_of_sitecustomizes_runs(run_python, write_sitecustomize, tmp_path):
    """The user's sitecustomize may import the next, as the bootstrap does."""
    path = write_sitecustomize(
        "import sys\nsys.path.remove(__file__.rpartition('/')[0])\n"
        "del sys.modules['sitecustomize']\nprint('users')\nimport sitecustomize\n"
    )
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / "sitecustomize.py").write_text("print('next')")
    path = os.pathsep.join([path, str(tmp_path / "next")])
    assert "users\nnext" == run_python.read_output("-c", "pass", path=path)


@pytest.mark.parametrize(
    "text",
    [
        "raise ValueError('users')",
        "import nowhere",
        "1 +",
        "raise ImportError",
    ],
)
def test_a_failing_sitecustomize_fails_the_same(run_python, write_sitecustomize, text):
    """Status and stderr are the same, and whether the program runs."""
    path = write_sitecustomize(text)
    launched, bare = (
        run_python("-c", "print(1)", bootstrapped=value, path=path) for value in (1, 0)
    )
    assert (bare.returncode, bare.stdout, bare.stderr) == (
        launched.returncode,
        launched.stdout,
        launched.stderr,
    )


def test_a_sitecustomize_that_exits_keeps_python_from_starting(run_python, write_sitecustomize):
    """The status is the same as without the bootstrap."""
    path = write_sitecustomize("raise SystemExit(3)")
    launched, bare = (
        run_python("-c", "print(1)", bootstrapped=value, path=path) for value in (1, 0)
    )
    assert (bare.returncode, "", "SystemExit: 3") == (
        launched.returncode,
        launched.stdout,
        launched.stderr.splitlines()[-1],
    )


@pytest.mark.parametrize("text", ["raise ValueError('users')", "import nowhere"])
def test_a_failing_sitecustomize_leaves_the_import_hook_in_place(
    run_python, write_sitecustomize, text
):
    """The bootstrap sets the hook first."""
    assert "True\n" == run_python("-c", PRINT_HOOKED, path=write_sitecustomize(text)).stdout


@pytest.mark.parametrize("fault", ["raise ValueError('bootstrap')", "raise SystemError", "1 +"])
def test_a_failing_bootstrap_writes_one_line(run_python, write_sitecustomize, tmp_path, fault):
    """The user's sitecustomize and the program run."""
    (tmp_path / "broken" / "lupis_instrument").mkdir(parents=True)
    (tmp_path / "broken" / "lupis_instrument" / "__init__.py").write_text(fault)
    path = os.pathsep.join([str(tmp_path / "broken"), write_sitecustomize("print('users')")])
    done = run_python("-c", "print('program')", path=path)
    assert (0, "users\nprogram\n") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert line.startswith("lupis: warning: cannot start (")


@pytest.mark.parametrize("option", ["-S", "-I", "-E"])
def test_isolated_programs_have_no_import_hook(run_python, option):
    """They ignore the variable, or sitecustomize."""
    assert "False" == run_python.read_output(option, "-c", PRINT_HOOKED)


@pytest.mark.parametrize(
    "env",
    [{"LUPIS_ENABLED": "false"}, {"LUPIS_SDK_ENABLED": "0"}, {"OTEL_SDK_DISABLED": "true"}],
)
def test_the_switched_off_bootstrap_sets_no_import_hook(run_python, env):
    """Each of three variables switches it off."""
    assert "False" == run_python.read_output("-c", PRINT_HOOKED, **env)


CHILD = f"""
import os, subprocess, sys
print(os.environ.get("PYTHONPATH"), flush=True)
subprocess.run([sys.executable, "-c", {PRINT_HOOKED!r}])
"""


def test_children_are_instrumented(run_python):
    """They find the bootstrap by the same variable."""
    path = os.pathsep.join([BOOTSTRAP_FOLDER, "/else"])
    assert f"{path}\nTrue" == run_python.read_output("-c", CHILD, path="/else")


@pytest.mark.parametrize(("path", "kept"), [("", "None"), ("/else", "/else")])
def test_a_variable_leaves_children_without_instrumentation(run_python, path, kept):
    """Other folders in PYTHONPATH stay."""
    output = run_python.read_output("-c", CHILD, path=path, LUPIS_INSTRUMENT_CHILDREN="false")
    assert f"{kept}\nFalse" == output


@pytest.fixture(scope="module")
def other_python(tmp_path_factory):
    """The interpreter of a virtual environment without packages."""
    folder = tmp_path_factory.mktemp("other")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    return str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")


def test_another_environment_borrows_the_launchers_packages(run_python, other_python):
    """Its path stays as it is."""
    code = f"import json, sys; print(json.dumps([{HOOKED_EXPRESSION}, sys.path]))"
    site = describe_site()
    folders = site.partition(":")[2].split(os.pathsep)
    hooked, path = json.loads(
        run_python.read_output("-c", code, python=other_python, LUPIS_LAUNCHER_SITE=site)
    )
    assert hooked
    assert set() == set(folders) & set(path)


@pytest.mark.parametrize(
    "site", ["cpython-2.7:/old", "pypy-3.11:/other", "", "nonsense", "cpython-{}.{}:"]
)
def test_an_environment_that_cannot_borrow_causes_a_warning(run_python, other_python, site):
    """The line names the command to install the package, and the program runs."""
    site = site.format(*sys.version_info)
    done = run_python("-c", "print(1)", python=other_python, LUPIS_LAUNCHER_SITE=site)
    assert (0, "1\n") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert line.endswith("-m pip install lupis-instrument")
    assert other_python in line


def test_an_environment_that_cannot_borrow_keeps_its_path(run_python, other_python):
    """No folder that it cannot use is appended."""
    code = "import json, sys; print(json.dumps(sys.path))"
    launched, bare = (
        json.loads(run_python("-c", code, python=other_python, bootstrapped=value).stdout)
        for value in (1, 0)
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
    with wire.serving() as running:
        yield running


def test_calls_in_another_environment_are_recorded(run, server, other_python):
    """It uses the borrowed packages."""
    done = run(CALL, python=other_python, env={"WIRE_URL": server.url})
    assert (0, "200\n", "") == (done.returncode, done.stdout, done.stderr)
    assert ["chat test-model"] == [span["name"] for span in done.spans]


FORKING_PROGRAM = f"""
import os, sys
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: this package has a thread
{CALL}
sys.stdout.flush()
child = os.fork()
{CALL}
if child:
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_parent_and_child_deliver_their_own_spans(run, server):
    """Each span arrives once."""
    done = run(FORKING_PROGRAM, env={"WIRE_URL": server.url})
    assert (0, "200\n" * 3, "") == (done.returncode, done.stdout, done.stderr)
    pids = [span["resource"]["process.pid"] for span in done.spans]
    assert (3, 2) == (len(pids), len(set(pids)))
