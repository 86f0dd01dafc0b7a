"""Which file a command is, and what shuts the bootstrap out."""

from __future__ import annotations

import os

import pytest

from lupis_instrument._cli.run import lookup
from lupis_instrument.exceptions import LupisLaunchError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX look-up")


@pytest.fixture
def make_file(tmp_path):
    """Makes a file, executable or not, in one of the folders of a search path."""

    def make(name, mode=0o755):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(mode)
        return str(path)

    return make


@pytest.fixture
def environ(tmp_path):
    """A search path of the folders `first` and `second`."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    return {"PATH": os.pathsep.join(str(tmp_path / name) for name in ("first", "second"))}


def refuse(command, environ):
    with pytest.raises(LupisLaunchError) as caught:
        lookup.find_command(command, environ)
    return caught.value.status, str(caught.value)


def test_the_first_in_the_search_path_is_found(make_file, environ):
    """As a shell searches PATH."""
    make_file("second/tool")
    expected = make_file("first/tool")
    assert expected == lookup.find_command("tool", environ)


def test_what_may_not_be_executed_is_passed_over(make_file, environ, tmp_path):
    """A file without the right is no hit as long as another is there, nor is a folder."""
    make_file("first/tool", 0o644)
    expected = make_file("second/tool")
    (tmp_path / "first" / "folder").mkdir()
    other = make_file("second/folder")
    assert (expected, other) == (
        lookup.find_command("tool", environ),
        lookup.find_command("folder", environ),
    )


def test_a_path_is_not_searched_for(make_file, environ):
    """A command with a slash is that file."""
    path = make_file("elsewhere/tool")
    assert path == lookup.find_command(path, environ)


def test_an_empty_entry_is_the_current_folder(make_file, environ, tmp_path, monkeypatch):
    """As POSIX has it for PATH."""
    make_file("here/tool")
    monkeypatch.chdir(tmp_path / "here")
    assert "tool" == lookup.find_command("tool", {"PATH": os.pathsep + "/nowhere"})


@pytest.mark.parametrize("command", ["tool", "./tool", "/nowhere/tool", ""])
def test_nothing_there_is_127(command, environ):
    """The status shells use for a command that is not found."""
    assert (127, f"{command}: command not found") == refuse(command, environ)


def test_a_folder_in_the_search_path_is_not_a_command(environ, tmp_path):
    """A folder of that name is as good as nothing."""
    (tmp_path / "first" / "tool").mkdir()
    assert 127 == refuse("tool", environ)[0]


def test_a_file_that_may_not_be_executed_is_126(make_file, environ):
    """The status shells use for it, in the search path or named by its path."""
    path = make_file("first/tool", 0o644)
    assert (126, "tool: is not executable") == refuse("tool", environ)
    assert (126, f"{path}: is not executable") == refuse(path, environ)


def test_a_folder_named_by_its_path_is_126(environ, tmp_path):
    """And it is called a folder."""
    assert (126, f"{tmp_path}: is a directory") == refuse(str(tmp_path), environ)


def test_a_python_file_gets_a_hint(make_file, environ):
    """Whoever forgets `python` is told the whole command, quoted for a shell."""
    path = make_file("my agent.py", 0o644)
    assert (
        127,
        "a.py: command not found; did you mean: lupis-run python a.py",
    ) == refuse("a.py", environ)
    assert (
        126,
        f"{path}: is not executable; did you mean: lupis-run python '{path}'",
    ) == refuse(path, environ)


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
def test_an_isolated_python_is_noticed(command, flag):
    """-I, -E and -S keep `sitecustomize` from PYTHONPATH from running."""
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
def test_other_command_lines_are_not(command):
    """What belongs to the program, or to an option's value, isolates nothing."""
    assert lookup.find_obstacle(command) is None


@pytest.mark.parametrize("flag", ["-", "-i", "--ignore-environment"])
def test_a_cleared_environment_is_noticed(flag):
    """`env -i` takes our variables away."""
    assert "env -i" in lookup.find_obstacle(["/usr/bin/env", "-v", flag, "python"])
