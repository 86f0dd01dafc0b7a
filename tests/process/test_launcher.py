"""`lupis-run` starts programs unchanged, with variables that instrument them."""

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
SHOW_PROGRAM = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


class Launcher:
    """Runs `lupis-run` with PATH and the variables that a test adds."""

    def __init__(self, folder):
        self.folder = folder
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LUPIS_", "OTEL_", "PYTHON"))
        }
        self.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
        self.prefix = [sys.executable, "-c", LAUNCHER_CODE]

    def __call__(self, *arguments, environ=None, **kwargs):
        kwargs = {"capture_output": True, "text": True, "cwd": self.folder, "timeout": 60, **kwargs}
        return subprocess.run(  # noqa: PLW1510 - tests check the status
            [*self.prefix, *map(str, arguments)],
            env={**self.environ, **(environ or {})},
            encoding="utf-8",
            **kwargs,
        )

    def show_program(self, *options, environ=None):
        """Returns the arguments and variables that a program receives."""
        done = self(*options, "python", "-c", SHOW_PROGRAM, environ=environ)
        assert 0 == done.returncode, done.stderr
        return json.loads(done.stdout)


LAUNCHER_CODE = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv[0] = 'lupis-run'\n"
    "from lupis_instrument._cli.run.launcher import main\n"
    "sys.exit(main())"
)


@pytest.fixture
def lupis_run(tmp_path):
    """Runs `lupis-run` in an empty folder."""
    return Launcher(tmp_path)


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_the_exit_status_is_that_of_the_program(lupis_run, status):
    """`lupis-run` exits with each status unchanged."""
    assert status == lupis_run("python", "-c", f"raise SystemExit({status})").returncode


def test_the_output_is_that_of_the_program(lupis_run):
    """Both streams have the program's output alone."""
    program = "import sys; print('out'); print('err', file=sys.stderr)"
    done = lupis_run("python", "-c", program)
    assert ("out\n", "err\n") == (done.stdout, done.stderr)


def test_the_bootstrap_folder_is_first_in_pythonpath(lupis_run):
    """The program also has a run id."""
    environ = lupis_run.show_program()[1]
    first, *others = environ["PYTHONPATH"].split(os.pathsep)
    assert Path(first, "sitecustomize.py").is_file()
    assert [] == others
    assert 32 == len(environ["LUPIS_RUN_ID"])


def test_other_folders_of_pythonpath_stay(lupis_run):
    """Folders with spaces and letters beyond ASCII stay too; the current folder is not added."""
    path = os.pathsep.join(["/a b", "/ü"])
    changed = lupis_run.show_program(environ={"PYTHONPATH": path})[1]["PYTHONPATH"]
    assert path == changed.partition(os.pathsep)[2]


def test_the_program_cannot_import_from_the_current_folder(lupis_run):
    """Only the program's own folder is on its path, as without lupis-run."""
    (lupis_run.folder / "surprise.py").write_text("print('imported')")
    (lupis_run.folder / "app").mkdir()
    (lupis_run.folder / "app" / "main.py").write_text("import surprise")
    assert "ModuleNotFoundError" in lupis_run("python", "app/main.py").stderr


@pytest.mark.parametrize("before", [[], ["--"], ["--project-id", "p"], ["--project-id=p", "--"]])
def test_arguments_reach_the_program_unchanged(lupis_run, before):
    """So do dashes, names of lupis-run's options, and empty texts."""
    odd = ["--", "-m", "--help", "--project-id", "", " ", "a b", "'\"", "$HOME", "*", "é", "\n"]
    done = lupis_run(*before, "python", "-c", SHOW_PROGRAM, *odd)
    assert odd == json.loads(done.stdout)[0]


def test_an_option_overrides_its_variable(lupis_run):
    """The program's environment has the value of the option."""
    environ = lupis_run.show_program(
        "--project-id", "option", environ={"LUPIS_PROJECT_ID": "variable"}
    )[1]
    assert "option" == environ["LUPIS_PROJECT_ID"]


@pytest.mark.parametrize(
    ("options", "variable", "text"),
    [
        (["--no-enabled"], "LUPIS_ENABLED", "false"),
        (["--tag", "team=a", "--tag", "env=b"], "LUPIS_TAGS", "team=a,env=b"),
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
    """There are flags, single values, and lists given by several options."""
    assert text == lupis_run.show_program(*options)[1][variable]


def test_only_given_options_become_variables(lupis_run):
    """A default value does not become a variable."""
    environ = lupis_run.show_program("--chat-id", "c")[1]
    assert {"LUPIS_CHAT_ID", "LUPIS_RUN_ID", "LUPIS_LAUNCHER_SITE", "LUPIS_LEADER"} == {
        name for name in environ if name.startswith("LUPIS_")
    }


@pytest.mark.parametrize("options", [[], ["--project-id", "p"]])
def test_this_interpreter_runs_a_module(lupis_run, options):
    """All arguments after `-m` and the name belong to the module."""
    (lupis_run.folder / "mod.py").write_text("import sys; print(sys.executable, sys.argv[1:])")
    done = lupis_run(*options, "-m", "mod", "--version", "-m", environ={"PATH": "/nowhere"})
    assert f"{sys.executable} ['--version', '-m']\n" == done.stdout


def test_the_package_runs_as_a_module(lupis_run):
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
        (["agent.py"], 127, "lupis-run: agent.py: no such file\n"),
        (["--summary", "true", "python"], 2, "write --summary=true;"),
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
def test_wrong_arguments_write_to_stderr(lupis_run, arguments, status, message):
    """The exit status is lupis-run's own, and stdout is empty."""
    done = lupis_run(*arguments)
    assert (status, "") == (done.returncode, done.stdout)
    assert message in done.stderr


def test_invalid_settings_prevent_the_start(lupis_run):
    """Each has a line on stderr, and the program does not run."""
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
def test_messages_about_invalid_values_mask_secrets(lupis_run, arguments, variables):
    """A key in a wrong setting, or in place of the command, is masked on stderr."""
    done = lupis_run(*arguments, environ=variables)
    assert done.returncode
    assert KEY not in done.stderr
    assert "sk-1***cdef" in done.stderr


def test_an_invalid_pattern_prevents_the_start(lupis_run):
    """The redaction itself checks patterns."""
    done = lupis_run("python", "-c", "", environ={"LUPIS_SENSITIVE_DATA_PATTERNS": "ok\n("})
    assert 2 == done.returncode
    assert done.stderr.startswith("lupis-run: LUPIS_SENSITIVE_DATA_PATTERNS=")


def test_an_unknown_variable_causes_a_warning(lupis_run):
    """The program runs, and stderr has one line."""
    done = lupis_run("python", "-c", "print('ran')", environ={"LUPIS_API_KYE": "s3cr3t"})
    assert "ran\n" == done.stdout
    assert "lupis-run: LUPIS_API_KYE: no such setting; did you mean LUPIS_API_KEY?\n" == done.stderr


def test_a_nested_launch_warns_once_and_keeps_the_run_id(lupis_run):
    """The inner lupis-run does not add the bootstrap folder again."""
    done = lupis_run(
        *lupis_run.prefix,
        "--user-id",
        "u",
        "python",
        "-c",
        SHOW_PROGRAM,
        environ={"LUPIS_API_KYE": "x", "LUPIS_RUN_ID": ""},
    )
    environ = json.loads(done.stdout)[1]
    assert 1 == done.stderr.count("LUPIS_API_KYE")
    assert 1 == environ["PYTHONPATH"].count("sitecustomize_template")
    assert 32 == len(environ["LUPIS_RUN_ID"])


@pytest.mark.parametrize("flags", [["-I"], ["-E"], ["-Es"], ["-S"]])
def test_an_isolated_python_causes_a_warning(lupis_run, flags):
    """The program runs without instrumentation."""
    done = lupis_run("python", *flags, "-c", "print('ran')")
    assert (0, "ran\n") == (done.returncode, done.stdout)
    assert 1 == len(done.stderr.splitlines())
    assert "will not be instrumented" in done.stderr


@posix
def test_lupis_run_becomes_the_program(lupis_run):
    """By exec, the program has the same process id as lupis-run."""
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
    """The caller sees that the signal ended the program."""
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


def test_stdin_belongs_to_the_program(lupis_run):
    """lupis-run does not read from it."""
    text = "line\n" * 20000
    done = lupis_run("python", "-c", "import sys; sys.stdout.write(sys.stdin.read())", input=text)
    assert text == done.stdout


def test_a_program_on_stdin_runs(lupis_run):
    """The command is `lupis-run python -`."""
    assert "3\n" == lupis_run("python", "-", input="print(1 + 2)").stdout


@posix
def test_a_program_starts_with_a_closed_stderr(lupis_run):
    """A warning that cannot be written does not prevent the start."""
    program = """exec "$0" -c "$1" python -I -c 'print(1)' 2>&-"""
    done = subprocess.run(
        ["sh", "-c", program, sys.executable, LAUNCHER_CODE],
        env={**lupis_run.environ, "LUPIS_API_KYE": "x"},
        capture_output=True,
        check=True,
    )
    assert b"1\n" == done.stdout


@posix
def test_arguments_may_be_any_bytes(lupis_run):
    """File names that cannot be decoded reach the program."""
    done = subprocess.run(
        [*lupis_run.prefix, "printf", "%s", b"\xff\xfe"],
        env=lupis_run.environ,
        capture_output=True,
        check=True,
    )
    assert b"\xff\xfe" == done.stdout


@posix
@pytest.mark.parametrize("path", ["", "lib"])
def test_a_program_starts_in_a_removed_folder(lupis_run, path):
    """Relative entries of PYTHONPATH do not prevent the start there."""
    if path and sys.version_info >= (3, 11):
        pytest.skip("Python 3.11 and newer do not start there")
    script = (
        'mkdir gone; cd gone; rmdir ../gone; PYTHONPATH=$1 exec "$2" -c "$3" "$2" -c "print(1)"'
    )
    done = subprocess.run(
        ["sh", "-c", script, "sh", path, sys.executable, LAUNCHER_CODE],
        env=lupis_run.environ,
        cwd=lupis_run.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "1\n", "") == (done.returncode, done.stdout, done.stderr)


@posix
def test_a_broken_pipe_ends_a_program_that_is_not_python(lupis_run):
    """Python ignores SIGPIPE for itself; the program does not inherit that."""
    done = lupis_run("sh", "-c", "{ while echo y; do :; done; echo $? >&2; } | head -n 1")
    assert ("y\n", "") == (done.stdout, done.stderr)


@posix
def test_the_c_locale_stays_unchanged(lupis_run):
    """Python sets LC_CTYPE for itself; a program that is not Python does not inherit that."""
    lupis_run.environ = {"PATH": lupis_run.environ["PATH"]}
    done = lupis_run("sh", "-c", "echo ${LC_CTYPE-unset}")
    assert "unset\n" == done.stdout or not Path("/proc/self/environ").exists()


@posix
def test_a_script_without_a_shebang_line_runs_in_sh(lupis_run):
    """A shell and execvp(3) do the same."""
    script = lupis_run.folder / "script"
    script.write_text("echo ran $1\n")
    script.chmod(0o755)
    assert "ran x\n" == lupis_run("./script", "x").stdout


@posix
def test_a_missing_interpreter_exits_with_127(lupis_run):
    """The script exists, but its first line names a missing file."""
    script = lupis_run.folder / "script"
    script.write_text("#!/nowhere/python\n")
    script.chmod(0o755)
    done = lupis_run("./script")
    assert 127 == done.returncode
    assert (
        "lupis-run: ./script: the interpreter that its first line names is missing\n" == done.stderr
    )


@posix
def test_a_python_program_of_a_shell_script_has_the_variables(lupis_run):
    """They pass through any program that starts Python."""
    done = lupis_run("sh", "-c", "python -c \"import os; print(os.environ['LUPIS_RUN_ID'])\"")
    assert 32 == len(done.stdout.strip())


@posix
def test_a_program_may_have_an_unusual_path(lupis_run):
    """It may have spaces, quotes and letters beyond ASCII."""
    folder = lupis_run.folder / "my 'agents' é"
    folder.mkdir()
    (folder / "run me").symlink_to(sys.executable)
    (folder / "a b.py").write_text("print('ran')")
    assert "ran\n" == lupis_run(folder / "run me", folder / "a b.py").stdout


def test_the_version_option_prints_the_version(lupis_run):
    """It goes to stdout, and the exit status is 0."""
    done = lupis_run("--version")
    assert (0, f"lupis-run {__version__}\n") == (done.returncode, done.stdout)


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_shows_each_setting(lupis_run, option):
    """Option, variable and default stand under the heading of their group."""
    done = lupis_run(option, environ={"COLUMNS": "200"})
    text = " ".join(done.stdout.split())
    assert (0, "") == (done.returncode, done.stderr)
    for row in SETTINGS:
        assert f"{row.option} " in text
        assert f"[{row.variable}; default: {row.default_text}]" in text
        assert f"\n{row.group}:\n" in done.stdout


def test_printed_variables_are_those_of_a_launched_program(lupis_run):
    """A shell that evaluates them gives a program the same variables as lupis-run."""
    options = [
        *("--project-id", 'it\'s "$HOME"', "--api-key", "s3cr3t"),
        *("--sensitive-data-patterns", "a b\nc$", "--no-summary"),
    ]
    before = {"PYTHONPATH": "/a b", "LUPIS_SDK_ENABLED": "yes"}
    printed = lupis_run(*options, "--print-env", environ=before).stdout
    program = f"unset LUPIS_SDK_ENABLED; {printed} exec python -c '{SHOW_PROGRAM}'"
    shown = subprocess.run(
        ["sh", "-c", program],
        env={**lupis_run.environ, **before},
        capture_output=True,
        check=True,
    )
    printed_variables = json.loads(shown.stdout)[1]
    launched = lupis_run.show_program(*options, environ=before)[1]
    names = {"PYTHONPATH", "LUPIS_LAUNCHER_SITE", "LUPIS_PROJECT_ID", "LUPIS_API_KEY"}
    assert {name: launched[name] for name in names} == {
        name: printed_variables[name] for name in names
    }
    assert ('["a b", "c$"]', "false", "true") == (
        printed_variables["LUPIS_SENSITIVE_DATA_PATTERNS"],
        printed_variables["LUPIS_SUMMARY"],
        printed_variables["LUPIS_ENABLED"],
    )
    assert "LUPIS_RUN_ID" not in printed_variables


@pytest.mark.parametrize("name", ["shell", "docker", "k8s", "json"])
def test_each_format_prints_the_variables(lupis_run, name):
    """It prints to stdout alone."""
    done = lupis_run("--chat-id", "c-1", "--print-env", "--format", name)
    assert (0, "") == (done.returncode, done.stderr)
    for part in ("PYTHONPATH", "LUPIS_LAUNCHER_SITE", "LUPIS_CHAT_ID", "c-1"):
        assert part in done.stdout


def test_invalid_settings_are_not_printed(lupis_run):
    """The exit status is 2, as for a start."""
    done = lupis_run("--exporter", "x", "--print-env")
    assert (2, "") == (done.returncode, done.stdout)


@posix
@pytest.mark.parametrize("before", [[], ["--"]])
def test_without_options_the_launcher_loads_few_modules(lupis_run, before):
    """Click and the settings take longer to load than the launcher."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "importtime", "-c", LAUNCHER_CODE, *before, "true"],
        env=lupis_run.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "lupis_instrument._cli.run.execution" in loaded
    heavy = {"click", "typing", "re", "signal", "subprocess", "pathlib"}
    assert set() == loaded & {*heavy, "lupis_instrument._config.settings"}


def test_the_status_of_a_child_process_becomes_lupis_runs(lupis_run):
    """Windows has no exec, so there the program is a child process."""
    program = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from lupis_instrument._cli.run import execution\n"
        "words = [sys.executable, '-c', 'import os; raise SystemExit(int(os.environ[\"N\"]))']\n"
        "sys.exit(execution.await_child(sys.executable, words, {**os.environ, 'N': '5'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], env=lupis_run.environ, check=False)
    assert 5 == done.returncode
