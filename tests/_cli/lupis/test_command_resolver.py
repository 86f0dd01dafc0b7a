"""The interpreter that a command would run."""

import os
import sys
from pathlib import Path

import pytest
from servers.program import find_shebang_python

from lupis_instrument._cli.lupis.command_resolver import resolve_command
from lupis_instrument.exceptions import LupisLaunchError

ENVIRON = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])}
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


@pytest.fixture
def script(tmp_path):
    """Writes an executable file and returns its path."""

    def write(text, name="tool"):
        file = tmp_path / name
        file.write_text(text)
        file.chmod(0o755)
        return str(file)

    return write


def test_python_is_its_own_interpreter():
    """The path of the command is the path of the interpreter."""
    resolved = resolve_command([sys.executable, "app.py"], ENVIRON)
    assert (sys.executable, sys.executable, None) == resolved[:3]


@posix
@pytest.mark.parametrize(
    "line",
    [
        "#!{shebang}",
        "#! {shebang} -W ignore",
        "#!/usr/bin/env python",
        "#!/usr/bin/env -S python -u",
        "#!/bin/sh\n'''exec' '{python}' \"$0\" \"$@\"\n' '''",
    ],
)
def test_script_names_its_interpreter(script, line):
    """The name is in the first line, or in the second if pip wrote it for a long path."""
    shebang = find_shebang_python()
    path = script(line.format(shebang=shebang, python=sys.executable) + "\nimport app\n")
    python = shebang if "{shebang}" in line else sys.executable
    resolved = resolve_command([path, "serve"], ENVIRON)
    assert (path, python, None, str(Path(path).parent)) == resolved


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        (["{folder}/app.py", "-P"], "{folder}"),
        (["-W", "error", "-Xdev", "{folder}/app.py", "serve"], "{folder}"),
        (["--check-hash-based-pycs", "never", "{folder}"], "{folder}"),
        (["-um", "app"], "{current}"),
        (["-c", "pass"], "{current}"),
        (["-"], "{current}"),
        ([], "{current}"),
        (["-uP", "{folder}/app.py"], None),
    ],
)
@pytest.mark.parametrize("before", [[sys.executable], ["env", "A=1", "python"]])
def test_folder_is_the_first_in_sys_path(before, arguments, folder, tmp_path):
    """It is the script's folder, or the current one."""
    paths = {"folder": tmp_path, "current": Path.cwd()}
    command = before + [argument.format(**paths) for argument in arguments]
    expected = folder.format(**paths) if folder is not None else None
    assert expected == resolve_command(command, ENVIRON).folder


@posix
def test_first_line_may_isolate(script):
    """It is an obstacle, as on a command line."""
    resolved = resolve_command([script(f"#!{find_shebang_python()} -I\n")], ENVIRON)
    assert "python -I ignores PYTHONPATH" == resolved.obstacle


@posix
@pytest.mark.parametrize("text", ["#!/bin/sh\npython app.py\n", "python app.py\n", "\0\1\2"])
def test_other_programs_have_no_known_interpreter(script, text):
    """A shell script may start any."""
    assert resolve_command([script(text)], ENVIRON)[1:3] == (None, None)


@posix
def test_env_is_skipped():
    """Its options and assignments are skipped."""
    resolved = resolve_command(["env", "A=1", "python", "-E", "app.py"], ENVIRON)
    assert (sys.executable, "python -E ignores PYTHONPATH") == resolved[1:3]


def test_missing_command_is_an_error():
    """The message is the one of lupis-run."""
    with pytest.raises(LupisLaunchError, match="command not found"):
        resolve_command(["no-such-command"], ENVIRON)


@posix
def test_script_that_names_itself_has_no_interpreter(script, tmp_path):
    """The operating system gives up after a few levels too."""
    path = script(f"#!{tmp_path / 'tool'}\n")
    assert resolve_command([path], ENVIRON).python is None
