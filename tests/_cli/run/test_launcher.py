"""The launcher starts a plain command without click, and leaves options to it."""

from __future__ import annotations

import sys

import pytest

from lupis_instrument._cli.run import launcher, options


@pytest.fixture
def started(monkeypatch):
    """The commands that the launcher starts; none of them runs."""
    commands = []

    def start_command(command, _environ):
        commands.append(command)
        return 5

    monkeypatch.setattr(launcher, "start_command", start_command)
    return commands


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["python", "a.py", "--x"], ["python", "a.py", "--x"]),
        (["--", "python", "--", "-m"], ["python", "--", "-m"]),
        (["-m", "pkg.mod", "-m", "--help"], [sys.executable, "-m", "pkg.mod", "-m", "--help"]),
    ],
)
def test_command_without_options_is_plain(arguments, command):
    """A command keeps its arguments, and `-m` means this interpreter."""
    assert command == launcher.read_plain_command(arguments)


@pytest.mark.parametrize(
    "arguments", [[], ["-m"], ["--"], ["--help"], ["-h"], ["--project-id", "x", "python"]]
)
def test_command_with_options_is_not_plain(arguments):
    """Options, and command lines without a command, need click."""
    assert [] == launcher.read_plain_command(arguments)


def test_plain_command_is_started(started):
    """The exit status is the one of the command."""
    assert 5 == launcher.main(["python", "a.py"])
    assert [["python", "a.py"]] == started


def test_arguments_of_the_process_are_the_default(started, monkeypatch):
    """Without arguments, `main` reads `sys.argv`."""
    monkeypatch.setattr(sys, "argv", ["lupis-run", "python", "b.py"])
    launcher.main()
    assert [["python", "b.py"]] == started


def test_options_are_left_to_click(started, monkeypatch):
    """A command line with options goes to `run_with_options` as it is."""
    given = []
    monkeypatch.setattr(options, "run_with_options", given.append)
    launcher.main(["--version"])
    assert ([["--version"]], []) == (given, started)
