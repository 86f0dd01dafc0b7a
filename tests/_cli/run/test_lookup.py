"""The file of a command, and options that keep the bootstrap from running."""

from __future__ import annotations

import os
import sys

import pytest

from lupis_instrument._cli.run import lookup
from lupis_instrument.exceptions import LupisLaunchError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX look-up")


@pytest.fixture
def make_file(tmp_path):
    """A function that makes a file, executable or not, in a folder of PATH."""

    def make(name, mode=0o755):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(mode)
        return str(path)

    return make


@pytest.fixture
def environ(tmp_path):
    """A PATH of the folders `first` and `second`."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    return {"PATH": os.pathsep.join(str(tmp_path / name) for name in ("first", "second"))}


def refuse(command, environ):
    with pytest.raises(LupisLaunchError) as caught:
        lookup.find_command(command, environ)
    return caught.value.status, str(caught.value)


def test_first_folder_of_path_wins(make_file, environ):
    """The search goes through PATH in order, as a shell's."""
    make_file("second/tool")
    expected = make_file("first/tool")
    assert expected == lookup.find_command("tool", environ)


def test_file_that_is_not_executable_is_skipped(make_file, environ, tmp_path):
    """A file without the permission, or a folder, does not end the search."""
    make_file("first/tool", 0o644)
    expected = make_file("second/tool")
    (tmp_path / "first" / "folder").mkdir()
    other = make_file("second/folder")
    assert (expected, other) == (
        lookup.find_command("tool", environ),
        lookup.find_command("folder", environ),
    )


def test_command_with_a_slash_is_a_path(make_file, environ):
    """A command with a slash is not searched for in PATH."""
    path = make_file("elsewhere/tool")
    assert path == lookup.find_command(path, environ)


def test_empty_entry_is_the_current_folder(make_file, environ, tmp_path, monkeypatch):
    """An empty entry of PATH means the current folder, as POSIX defines."""
    make_file("here/tool")
    monkeypatch.chdir(tmp_path / "here")
    assert "tool" == lookup.find_command("tool", {"PATH": os.pathsep + "/nowhere"})


@pytest.mark.parametrize("command", ["tool", "./tool", "/nowhere/tool", ""])
def test_missing_command_has_status_127(command, environ):
    """Shells use this status for a command that they do not find."""
    assert (127, f"{command}: command not found") == refuse(command, environ)


def test_folder_in_path_is_not_a_command(environ, tmp_path):
    """A folder with the command's name does not count."""
    (tmp_path / "first" / "tool").mkdir()
    assert 127 == refuse("tool", environ)[0]


def test_file_that_is_not_executable_has_status_126(make_file, environ):
    """Shells use this status, for a name in PATH and for a path."""
    path = make_file("first/tool", 0o644)
    assert (126, "tool: is not executable") == refuse("tool", environ)
    assert (126, f"{path}: is not executable") == refuse(path, environ)


def test_path_of_a_folder_has_status_126(environ, tmp_path):
    """The message says that the path is a directory."""
    assert (126, f"{tmp_path}: is a directory") == refuse(str(tmp_path), environ)


@pytest.fixture
def program(make_file, environ, tmp_path, monkeypatch):
    """A function that makes the file `agent.py` and returns its completed command."""
    monkeypatch.chdir(tmp_path)

    def complete(file="agent.py", name="agent.py", mode=0o644, text="pass\n"):
        path = make_file(file, mode)
        (tmp_path / file).write_text(text)
        return lookup.complete_command([name.format(path=path), "--x"], environ)

    return complete


def test_python_file_is_run_by_the_python_in_path(program, make_file):
    """As `python agent.py` would run it, with its arguments."""
    make_file("second/python")
    assert ["python", "agent.py", "--x"] == program()


def test_python_file_is_run_by_this_python_without_another(program):
    """Where PATH has no `python`."""
    assert [sys.executable, "agent.py", "--x"] == program()


def test_python_file_that_names_its_interpreter_is_run_by_the_system(program):
    """If it is executable; a file in the current folder needs a path, as in a shell."""
    assert ["./agent.py", "--x"] == program(name="./agent.py", mode=0o755, text="#!/bin/sh\n")
    assert ["tool.py", "--x"] == program("first/tool.py", "tool.py", 0o755, "#!/bin/sh\n")
    assert sys.executable == program(mode=0o755, text="#!/bin/sh\n")[0]


def test_executable_python_file_without_interpreter_is_run_by_python(program):
    """The system would hand it to a shell."""
    assert [sys.executable, "./agent.py", "--x"] == program(name="./agent.py", mode=0o755)
    path = program("first/tool.py", "tool.py", 0o755)[1]
    assert path.endswith("first/tool.py")


def test_missing_python_file_is_reported(environ):
    """The message speaks of a file, for its name looks like one."""
    assert ["a.py"] == lookup.complete_command(["a.py"], environ)
    assert (127, "a.py: no such file") == refuse("a.py", environ)


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        (["python", "-I", "a.py"], "-I"),
        (["/usr/bin/python3.13t", "-Es", "a.py"], "-E"),
        (["python3", "-uS", "-c", "x"], "-S"),
        (["python3.8", "-W", "error", "-X", "dev", "-I"], "-I"),
        (["pypy3", "-Werror", "-I"], "-I"),
        (["python", "--check-hash-based-pycs", "always", "-E"], "-E"),
        (["Python.EXE", "-I"], "-I"),
    ],
)
def test_isolated_python_is_an_obstacle(command, flag):
    """-I, -E and -S keep the bootstrap in PYTHONPATH from running."""
    assert f"python {flag}" in lookup.find_obstacle(command)


@pytest.mark.parametrize(
    "command",
    [
        ["python"],
        ["python", "a.py", "-I"],
        ["python", "-c", "-I"],
        ["python", "-m", "m", "-E"],
        ["python", "-cI"],
        ["python", "-uc", "x", "-S"],
        ["python", "-W", "-I"],
        ["python", "-XI"],
        ["python", "-", "-I"],
        ["python", "-sP", "-u", "--version"],
        ["pytest", "-I"],
        ["pythonista", "-E"],
        ["env", "python", "-i"],
        ["env", "A=b", "python"],
    ],
)
def test_other_command_is_no_obstacle(command):
    """Options of the program, and values of options, isolate nothing."""
    assert lookup.find_obstacle(command) is None


@pytest.mark.parametrize(
    ("command", "obstacle"),
    [
        (["sudo", "-E", "python"], "sudo removes PYTHONPATH, so put sudo before lupis-run"),
        (["/usr/bin/doas", "python"], "doas removes PYTHONPATH, so put doas before lupis-run"),
        (["sudo", "--preserve-env=PYTHONPATH", "python"], None),
        (["sudo", "PYTHONPATH=/lupis", "python"], None),
    ],
)
def test_change_of_user_is_an_obstacle(command, obstacle):
    """Unless its arguments say to keep PYTHONPATH."""
    assert obstacle == lookup.find_obstacle(command)


@pytest.mark.parametrize("flag", ["-", "-i", "--ignore-environment"])
def test_cleared_environment_is_an_obstacle(flag):
    """`env -i` removes the variables that instrument the program."""
    assert "env -i" in lookup.find_obstacle(["/usr/bin/env", "-v", flag, "python"])


@pytest.mark.parametrize(
    ("arguments", "letters", "script"),
    [
        (["-Es", "a.py", "-I"], "Es", "a.py"),
        (["-W", "error", "-X", "dev", "a.py"], "", "a.py"),
        (["-uc", "code"], "u", None),
        (["-m", "module"], "", None),
        ([], "", None),
    ],
)
def test_python_options_are_read(arguments, letters, script):
    """Letters before the script count; a value of an option is not the script."""
    assert (letters, script) == lookup.read_python_options(arguments)
