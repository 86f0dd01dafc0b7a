"""The launcher becomes the program, or waits for it as a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

LAUNCH = """
import json, sys
from lupis_instrument._cli.run.execution import execute_command
from lupis_instrument.exceptions import LupisLaunchError
path, command, environ = json.loads(sys.argv[1])
try:
    execute_command(path, command, environ)
except LupisLaunchError as error:
    print(error)
    sys.exit(error.status)
"""


def execute(command, environ=None, **options):
    """Execute a command in a process of its own and return the result."""
    arguments = json.dumps([command[0], command, {**os.environ, **(environ or {})}])
    return subprocess.run(
        [sys.executable, "-c", LAUNCH, arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
        **options,
    )


def make_script(folder, text):
    path = folder / "script"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@posix
def test_program_replaces_the_process():
    """The program's pid is the launcher's, and its exit status reaches the caller."""
    program = "import os, sys; print(os.getpid()); sys.exit(7)"
    arguments = json.dumps([sys.executable, [sys.executable, "-c", program], dict(os.environ)])
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCH, arguments], stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        output, _ = process.communicate()
    assert (7, process.pid) == (process.returncode, int(output))


@posix
def test_program_gets_the_variables():
    """The program has the variables that were given, and its arguments."""
    program = "import os, sys; print(os.environ['A'], sys.argv[1:])"
    result = execute([sys.executable, "-c", program, "x y"], {"A": "b"})
    assert "b ['x y']\n" == result.stdout


@posix
def test_ignored_signals_are_reset(tmp_path):
    """A shell gets SIGPIPE, which Python itself ignores."""
    script = make_script(tmp_path, "#!/bin/sh\nkill -PIPE $$\necho survived\n")
    result = execute([script])
    assert (-13, "") == (result.returncode, result.stdout)


@posix
def test_script_without_interpreter_line_runs_in_sh(tmp_path):
    """A file without #! is run by sh, as shells do."""
    script = make_script(tmp_path, 'echo "$1"\n')
    assert "a b\n" == execute([script, "a b"]).stdout


@posix
@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        ("#!/no/such/interpreter\n", 127, "the interpreter that its first line names is missing"),
        ("#!/\n", 126, "Permission denied"),
    ],
)
def test_program_that_cannot_start_is_an_error(tmp_path, text, status, reason):
    """The error has a shell's exit status and the reason."""
    script = make_script(tmp_path, text)
    result = execute([script])
    assert (status, f"{script}: {reason}\n") == (result.returncode, result.stdout)


@pytest.mark.parametrize("status", [0, 5])
def test_child_process_has_the_exit_status(status):
    """On Windows the launcher waits, and ends with the child's status."""
    program = (
        "import os, sys\n"
        "from lupis_instrument._cli.run.execution import await_child\n"
        f"command = [sys.executable, '-c', 'raise SystemExit({status})']\n"
        "sys.exit(await_child(sys.executable, command, os.environ))"
    )
    result = subprocess.run([sys.executable, "-c", program], check=False)
    assert status == result.returncode
