"""Which interpreter a command comes to."""

import os
import sys
from pathlib import Path

import pytest

from lupis_instrument._cli.lupis.command_resolver import resolve_command
from lupis_instrument.exceptions import LupisLaunchError

ENVIRON = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])}
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


@pytest.fixture
def script(tmp_path):
    """Writes an executable file and gives its path."""

    def write(text, name="tool"):
        file = tmp_path / name
        file.write_text(text)
        file.chmod(0o755)
        return str(file)

    return write


def test_python_is_its_own_interpreter():
    """By its path."""
    found = resolve_command([sys.executable, "app.py"], ENVIRON)
    assert (sys.executable, sys.executable, None) == found[:3]


@posix
@pytest.mark.parametrize(
    "line",
    [
        f"#!{sys.executable}",
        f"#! {sys.executable} -W ignore",
        "#!/usr/bin/env python",
        "#!/usr/bin/env -S python -u",
        f"#!/bin/sh\n'''exec' '{sys.executable}' \"$0\" \"$@\"\n' '''",
    ],
)
def test_a_script_names_its_interpreter(script, line):
    """In its first line, or, as pip writes it for a long path, in its second."""
    path = script(f"{line}\nimport app\n")
    found = resolve_command([path, "serve"], ENVIRON)
    assert (path, sys.executable, None, str(Path(path).parent)) == found


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        (["{folder}/app.py", "-P"], "{folder}"),
        (["-W", "error", "-Xdev", "{folder}/app.py", "serve"], "{folder}"),
        (["--check-hash-based-pycs", "never", "{folder}"], "{folder}"),
        (["-um", "app"], "{here}"),
        (["-c", "pass"], "{here}"),
        (["-"], "{here}"),
        ([], "{here}"),
        (["-uP", "{folder}/app.py"], None),
    ],
)
@pytest.mark.parametrize("before", [[sys.executable], ["env", "A=1", "python"]])
def test_the_folder_is_told_that_modules_are_looked_for_in_first(
    before, arguments, folder, tmp_path
):
    """As `sys.path` will say."""
    places = {"folder": tmp_path, "here": Path.cwd()}
    command = before + [argument.format(**places) for argument in arguments]
    wanted = folder.format(**places) if folder is not None else None
    assert wanted == resolve_command(command, ENVIRON).folder


@posix
def test_a_first_line_may_isolate(script):
    """Which is an obstacle as on a command line."""
    found = resolve_command([script(f"#!{sys.executable} -I\n")], ENVIRON)
    assert "python -I ignores PYTHONPATH" == found.obstacle


@posix
@pytest.mark.parametrize("text", ["#!/bin/sh\npython app.py\n", "python app.py\n", "\0\1\2"])
def test_other_programs_have_none(script, text):
    """A shell script may start any."""
    assert resolve_command([script(text)], ENVIRON)[1:3] == (None, None)


@posix
def test_env_is_looked_through():
    """Its variables are passed over."""
    found = resolve_command(["env", "A=1", "python", "-E", "app.py"], ENVIRON)
    assert (sys.executable, "python -E ignores PYTHONPATH") == found[1:3]


def test_a_command_that_is_not_there_is_said_so():
    """As lupis-run says it."""
    with pytest.raises(LupisLaunchError, match="command not found"):
        resolve_command(["no-such-command"], ENVIRON)


@posix
def test_a_script_that_names_itself_comes_to_an_end(script, tmp_path):
    """The system gives up after a few; so do we."""
    path = script(f"#!{tmp_path / 'tool'}\n")
    assert resolve_command([path], ENVIRON).python is None
