"""`lupis-run` as real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from servers.program import ManagedProcess

import lupis_instrument
from lupis_instrument._config.settings import SETTINGS
from lupis_instrument._version import __version__

ROOT = Path(lupis_instrument.__file__).parents[1]
SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


class Launcher:
    """Runs `lupis-run` with few variables: PATH, and what a test adds."""

    def __init__(self, folder):
        self.folder = folder
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LUPIS_", "OTEL_", "PYTHON"))
        }
        self.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
        self.prefix = [sys.executable, "-c", STUB]

    def __call__(self, *arguments, environ=None, **kwargs):
        kwargs = {"capture_output": True, "text": True, "cwd": self.folder, "timeout": 60, **kwargs}
        return subprocess.run(  # noqa: PLW1510 - the status is what tests ask for
            [*self.prefix, *map(str, arguments)],
            env={**self.environ, **(environ or {})},
            encoding="utf-8",
            **kwargs,
        )

    def show(self, *options, environ=None):
        """What a program below it is given: its arguments and variables."""
        done = self(*options, "python", "-c", SHOW, environ=environ)
        assert 0 == done.returncode, done.stderr
        return json.loads(done.stdout)


STUB = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv[0] = 'lupis-run'\n"
    "from lupis_instrument._cli.run.launcher import main\n"
    "sys.exit(main())"
)


@pytest.fixture
def lupis_run(tmp_path):
    """`lupis-run` in an empty folder."""
    return Launcher(tmp_path)


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_the_exit_status_is_the_programs(lupis_run, status):
    """Handed through as it is."""
    assert status == lupis_run("python", "-c", f"raise SystemExit({status})").returncode


def test_output_is_the_programs(lupis_run):
    """Both streams have what the program writes, and nothing of ours."""
    program = "import sys; print('out'); print('err', file=sys.stderr)"
    done = lupis_run("python", "-c", program)
    assert ("out\n", "err\n") == (done.stdout, done.stderr)


def test_the_python_program_finds_the_bootstrap(lupis_run):
    """Its folder is first in PYTHONPATH, and there is a run id."""
    environ = lupis_run.show()[1]
    first, *rest = environ["PYTHONPATH"].split(os.pathsep)
    assert Path(first, "sitecustomize.py").is_file()
    assert [] == rest
    assert 32 == len(environ["LUPIS_RUN_ID"])


def test_the_rest_of_pythonpath_is_kept(lupis_run):
    """Odd folders too; the current folder is not added."""
    path = os.pathsep.join(["/a b", "/ü"])
    seen = lupis_run.show(environ={"PYTHONPATH": path})[1]["PYTHONPATH"]
    assert path == seen.partition(os.pathsep)[2]


def test_the_current_folder_is_not_imported_from(lupis_run):
    """Safe-path programs stay safe."""
    (lupis_run.folder / "surprise.py").write_text("print('imported')")
    (lupis_run.folder / "app").mkdir()
    (lupis_run.folder / "app" / "main.py").write_text("import surprise")
    assert "ModuleNotFoundError" in lupis_run("python", "app/main.py").stderr


@pytest.mark.parametrize("before", [[], ["--"], ["--project-id", "p"], ["--project-id=p", "--"]])
def test_arguments_are_handed_on_untouched(lupis_run, before):
    """Dashes, our own option names, empty and odd texts."""
    odd = ["--", "-m", "--help", "--project-id", "", " ", "a b", "'\"", "$HOME", "*", "é", "\n"]
    done = lupis_run(*before, "python", "-c", SHOW, *odd)
    assert odd == json.loads(done.stdout)[0]


def test_an_option_wins_over_its_variable(lupis_run):
    """The program's environment has the option's text."""
    environ = lupis_run.show("--project-id", "option", environ={"LUPIS_PROJECT_ID": "variable"})[1]
    assert "option" == environ["LUPIS_PROJECT_ID"]


@pytest.mark.parametrize(
    ("options", "variable", "text"),
    [
        (["--no-enabled"], "LUPIS_ENABLED", "false"),
        (["--summary"], "LUPIS_SUMMARY", "true"),
        (["--instrument", "httpx"], "LUPIS_INSTRUMENT", "httpx"),
        (
            ["--instrument", "httpx", "--instrument", "requests,aiohttp"],
            "LUPIS_INSTRUMENT",
            "httpx,requests,aiohttp",
        ),
        (["--otlp-headers", "a=1", "--otlp-headers", "b=2"], "LUPIS_OTLP_HEADERS", "a=1,b=2"),
        (
            ["--sensitive-data-patterns", "a{1,2}", "--sensitive-data-patterns", "b"],
            "LUPIS_SENSITIVE_DATA_PATTERNS",
            '["a{1,2}", "b"]',
        ),
        (["--shutdown-timeout", "1.5"], "LUPIS_SHUTDOWN_TIMEOUT", "1.5"),
    ],
)
def test_options_become_variables(lupis_run, options, variable, text):
    """Flags, single values, and lists given piece by piece."""
    assert text == lupis_run.show(*options)[1][variable]


def test_options_not_given_become_no_variables(lupis_run):
    """A default is not a decision of the operator."""
    environ = lupis_run.show("--chat-id", "c")[1]
    assert {"LUPIS_CHAT_ID", "LUPIS_RUN_ID", "LUPIS_LAUNCHER_SITE", "LUPIS_LEADER"} == {
        name for name in environ if name.startswith("LUPIS_")
    }


@pytest.mark.parametrize("options", [[], ["--project-id", "p"]])
def test_a_module_is_run_by_this_interpreter(lupis_run, options):
    """`-m`, after which everything is the module's."""
    (lupis_run.folder / "mod.py").write_text("import sys; print(sys.executable, sys.argv[1:])")
    done = lupis_run(*options, "-m", "mod", "--version", "-m", environ={"PATH": "/nowhere"})
    assert f"{sys.executable} ['--version', '-m']\n" == done.stdout


def test_the_package_can_be_run_as_a_module(lupis_run):
    """`python -m lupis_instrument` is lupis-run."""
    done = subprocess.run(
        [sys.executable, "-m", "lupis_instrument", "python", "-c", "raise SystemExit(9)"],
        cwd=ROOT,
        env=lupis_run.environ,
        check=False,
    )
    assert 9 == done.returncode


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["no-such-command"], 127, "lupis-run: no-such-command: command not found\n"),
        (["--chat-id", "c", "no-such-command"], 127, "lupis-run: no-such-command: command not"),
        (["agent.py"], 126, "did you mean: lupis-run python ./agent.py\n"),
        ([], 2, "Usage: lupis-run"),
        (["--no-such-option", "python"], 2, "No such option"),
        (["--chat-id"], 2, "requires an argument"),
        (["--print-env", "python"], 2, "takes no COMMAND"),
        (["-m"], 2, "Missing COMMAND"),
        (
            ["--redaction-mode", "masked", "python"],
            2,
            (
                "lupis-run: --redaction-mode='masked': expected mask, remove or hash; did you mean"
                " 'mask'?\n"
            ),
        ),
    ],
)
@posix
def test_wrong_use_is_told_on_stderr(lupis_run, arguments, status, message):
    """An exit status of our own, nothing on stdout."""
    (lupis_run.folder / "agent.py").write_text("")
    words = ["./agent.py" if word == "agent.py" else word for word in arguments]
    done = lupis_run(*words)
    assert (status, "") == (done.returncode, done.stdout)
    assert message in done.stderr


def test_wrong_settings_stop_the_start(lupis_run):
    """All are named, one a line, and the program doesn't run."""
    done = lupis_run(
        "python",
        "-c",
        "print('ran')",
        environ={"LUPIS_REDACTION_MODE": "masked", "LUPIS_API_KEY": "s3cr3t\ns3cr3t"},
    )
    assert (2, "") == (done.returncode, done.stdout)
    assert [
        "lupis-run: LUPIS_API_KEY='***': expected one line of text without control characters",
        (
            "lupis-run: LUPIS_REDACTION_MODE='masked': expected mask, remove or hash; did you mean"
            " 'mask'?"
        ),
    ] == done.stderr.splitlines()


KEY = "sk-" + "1234567890abcdef" * 2


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["true"], {"LUPIS_REDACTION_MODE": KEY}),
        (["true"], {"LUPIS_OTLP_ENDPOINT": f"ftp://h/?key={KEY}"}),
        (["--redaction-mode", KEY, "true"], {}),
        (["--format", KEY, "--print-env"], {}),
        ([KEY], {}),
    ],
)
def test_what_is_wrong_is_told_without_secrets(lupis_run, arguments, variables):
    """A key that went into the wrong setting, or the place of the command, is masked on stderr."""
    done = lupis_run(*arguments, environ=variables)
    assert done.returncode
    assert KEY not in done.stderr
    assert "sk-1***cdef" in done.stderr


def test_a_broken_pattern_stops_the_start(lupis_run):
    """The redaction's own check of patterns is asked."""
    done = lupis_run("python", "-c", "", environ={"LUPIS_SENSITIVE_DATA_PATTERNS": "ok\n("})
    assert 2 == done.returncode
    assert done.stderr.startswith("lupis-run: LUPIS_SENSITIVE_DATA_PATTERNS=")


def test_an_unknown_variable_is_told_and_the_program_runs(lupis_run):
    """One line on stderr."""
    done = lupis_run("python", "-c", "print('ran')", environ={"LUPIS_API_KYE": "s3cr3t"})
    assert "ran\n" == done.stdout
    assert "lupis-run: LUPIS_API_KYE: no such setting; did you mean LUPIS_API_KEY?\n" == done.stderr


def test_a_nested_launch_tells_it_once_and_keeps_the_run_id(lupis_run):
    """The inner lupis-run finds everything in place."""
    done = lupis_run(
        *lupis_run.prefix,
        "--user-id",
        "u",
        "python",
        "-c",
        SHOW,
        environ={"LUPIS_API_KYE": "x", "LUPIS_RUN_ID": ""},
    )
    environ = json.loads(done.stdout)[1]
    assert 1 == done.stderr.count("LUPIS_API_KYE")
    assert 1 == environ["PYTHONPATH"].count("sitecustomize_template")
    assert 32 == len(environ["LUPIS_RUN_ID"])


@pytest.mark.parametrize("flags", [["-I"], ["-E"], ["-Es"], ["-S"]])
def test_an_isolated_python_is_told_and_runs(lupis_run, flags):
    """It can't be instrumented, but is not held up."""
    done = lupis_run("python", *flags, "-c", "print('ran')")
    assert (0, "ran\n") == (done.returncode, done.stdout)
    assert 1 == len(done.stderr.splitlines())
    assert "will not be instrumented" in done.stderr


@posix
def test_it_becomes_the_program(lupis_run):
    """exec: same PID, no process between the caller and the program."""
    with ManagedProcess(
        [*lupis_run.prefix, "python", "-c", "import os; print(os.getpid())"],
        env=lupis_run.environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert str(process.pid) == process.communicate()[0].strip()


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_reaches_the_program(lupis_run, number):
    """The caller sees the program die of it."""
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        "print('ready', flush=True); signal.pause()"
    )
    with ManagedProcess(
        [*lupis_run.prefix, "python", "-c", program],
        env=lupis_run.environ,
        stdout=subprocess.PIPE,
    ) as process:
        assert b"ready\n" == process.stdout.readline()
        process.send_signal(number)
        assert -number == process.wait(60)


def test_stdin_is_the_programs(lupis_run):
    """No byte of it is read by us."""
    text = "line\n" * 20000
    done = lupis_run("python", "-c", "import sys; sys.stdout.write(sys.stdin.read())", input=text)
    assert text == done.stdout


def test_a_program_on_stdin_runs(lupis_run):
    """`lupis-run python -`."""
    assert "3\n" == lupis_run("python", "-", input="print(1 + 2)").stdout


@posix
def test_a_closed_stderr_is_no_obstacle(lupis_run):
    """A warning that can't be written doesn't keep the program from starting."""
    program = """exec "$0" -c "$1" python -I -c 'print(1)' 2>&-"""
    done = subprocess.run(
        ["sh", "-c", program, sys.executable, STUB],
        env={**lupis_run.environ, "LUPIS_API_KYE": "x"},
        capture_output=True,
        check=True,
    )
    assert b"1\n" == done.stdout


@posix
def test_arguments_may_be_any_bytes(lupis_run):
    """File names that are no text in the locale's encoding are handed on."""
    done = subprocess.run(
        [*lupis_run.prefix, "printf", "%s", b"\xff\xfe"],
        env=lupis_run.environ,
        capture_output=True,
        check=True,
    )
    assert b"\xff\xfe" == done.stdout


@posix
@pytest.mark.parametrize("path", ["", "lib"])
def test_a_current_folder_that_is_gone_is_no_obstacle(lupis_run, path):
    """Nor are relative entries of PYTHONPATH there."""
    if path and sys.version_info >= (3, 11):
        pytest.skip("Python itself does not start there from 3.11 on")
    script = (
        'mkdir gone; cd gone; rmdir ../gone; PYTHONPATH=$1 exec "$2" -c "$3" "$2" -c "print(1)"'
    )
    done = subprocess.run(
        ["sh", "-c", script, "sh", path, sys.executable, STUB],
        env=lupis_run.environ,
        cwd=lupis_run.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "1\n", "") == (done.returncode, done.stdout, done.stderr)


@posix
def test_a_broken_pipe_ends_what_is_not_python(lupis_run):
    """Python ignores SIGPIPE for itself; the program must not inherit that."""
    done = lupis_run("sh", "-c", "{ while echo y; do :; done; echo $? >&2; } | head -n 1")
    assert ("y\n", "") == (done.stdout, done.stderr)


@posix
def test_the_c_locale_stays_as_it_is(lupis_run):
    """Python sets LC_CTYPE for itself; a program that is not Python must not inherit that."""
    lupis_run.environ = {"PATH": lupis_run.environ["PATH"]}
    done = lupis_run("sh", "-c", "echo ${LC_CTYPE-unset}")
    assert "unset\n" == done.stdout or not Path("/proc/self/environ").exists()


@posix
def test_a_script_without_interpreter_line_runs_in_sh(lupis_run):
    """As a shell, and execvp(3), would run it."""
    script = lupis_run.folder / "script"
    script.write_text("echo ran $1\n")
    script.chmod(0o755)
    assert "ran x\n" == lupis_run("./script", "x").stdout


@posix
def test_a_missing_interpreter_is_127(lupis_run):
    """The script is there, what its first line names is not."""
    script = lupis_run.folder / "script"
    script.write_text("#!/nowhere/python\n")
    script.chmod(0o755)
    done = lupis_run("./script")
    assert 127 == done.returncode
    assert (
        "lupis-run: ./script: the interpreter that its first line names is missing\n" == done.stderr
    )


@posix
def test_python_below_a_shell_script_is_reached(lupis_run):
    """Variables go down through whatever starts Python."""
    done = lupis_run("sh", "-c", "python -c \"import os; print(os.environ['LUPIS_RUN_ID'])\"")
    assert 32 == len(done.stdout.strip())


@posix
def test_odd_paths_are_no_obstacle(lupis_run):
    """Spaces, quotes and letters beyond ASCII in the program's path."""
    folder = lupis_run.folder / "my 'agents' é"
    folder.mkdir()
    (folder / "run me").symlink_to(sys.executable)
    (folder / "a b.py").write_text("print('ran')")
    assert "ran\n" == lupis_run(folder / "run me", folder / "a b.py").stdout


def test_the_version_is_told(lupis_run):
    """On stdout, with exit status 0."""
    done = lupis_run("--version")
    assert (0, f"lupis-run {__version__}\n") == (done.returncode, done.stdout)


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_has_every_setting(lupis_run, option):
    """Option, variable and default of each, under the heading of its group."""
    done = lupis_run(option, environ={"COLUMNS": "200"})
    text = " ".join(done.stdout.split())
    assert (0, "") == (done.returncode, done.stderr)
    for row in SETTINGS:
        assert f"{row.option} " in text
        assert f"[{row.variable}; default: {row.default_text}]" in text
        assert f"\n{row.group}:\n" in done.stdout


def test_printed_variables_instrument_without_the_launcher(lupis_run):
    """A shell that runs what is printed gives a program the variables lupis-run would."""
    options = [
        *("--project-id", 'it\'s "$HOME"', "--api-key", "s3cr3t"),
        *("--sensitive-data-patterns", "a b\nc$", "--no-summary"),
    ]
    before = {"PYTHONPATH": "/a b", "LUPIS_SDK_ENABLED": "yes"}
    printed = lupis_run(*options, "--print-env", environ=before).stdout
    program = f"unset LUPIS_SDK_ENABLED; {printed} exec python -c '{SHOW}'"
    shown = subprocess.run(
        ["sh", "-c", program],
        env={**lupis_run.environ, **before},
        capture_output=True,
        check=True,
    )
    seen = json.loads(shown.stdout)[1]
    launched = lupis_run.show(*options, environ=before)[1]
    names = {"PYTHONPATH", "LUPIS_LAUNCHER_SITE", "LUPIS_PROJECT_ID", "LUPIS_API_KEY"}
    assert {name: launched[name] for name in names} == {name: seen[name] for name in names}
    assert ('["a b", "c$"]', "false", "true") == (
        seen["LUPIS_SENSITIVE_DATA_PATTERNS"],
        seen["LUPIS_SUMMARY"],
        seen["LUPIS_ENABLED"],
    )
    assert "LUPIS_RUN_ID" not in seen


@pytest.mark.parametrize("name", ["shell", "docker", "k8s", "json"])
def test_every_format_has_the_variables(lupis_run, name):
    """The format asked for, on stdout alone."""
    done = lupis_run("--chat-id", "c-1", "--print-env", "--format", name)
    assert (0, "") == (done.returncode, done.stderr)
    for part in ("PYTHONPATH", "LUPIS_LAUNCHER_SITE", "LUPIS_CHAT_ID", "c-1"):
        assert part in done.stdout


def test_wrong_settings_are_not_printed(lupis_run):
    """Exit 2, as for a start."""
    done = lupis_run("--exporter", "x", "--print-env")
    assert (2, "") == (done.returncode, done.stdout)


@posix
@pytest.mark.parametrize("before", [[], ["--"]])
def test_without_options_little_is_loaded(lupis_run, before):
    """Click and the settings cost more than all the rest of the launcher."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "importtime", "-c", STUB, *before, "true"],
        env=lupis_run.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "lupis_instrument._cli.run.execution" in loaded
    heavy = {"click", "typing", "re", "signal", "subprocess", "pathlib"}
    assert set() == loaded & {*heavy, "lupis_instrument._config.settings"}


def test_a_child_process_hands_its_status_through(lupis_run):
    """What Windows does in place of exec."""
    program = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from lupis_instrument._cli.run import execution\n"
        "words = [sys.executable, '-c', 'import os; raise SystemExit(int(os.environ[\"N\"]))']\n"
        "sys.exit(execution.await_child(sys.executable, words, {**os.environ, 'N': '5'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], env=lupis_run.environ, check=False)
    assert 5 == done.returncode
