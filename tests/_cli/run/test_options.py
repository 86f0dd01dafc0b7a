"""What is read from the command line without click."""

from __future__ import annotations

import sys

import pytest

from lupis_instrument._cli.run.launcher import read_plain_command


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["python", "a.py", "--x"], ["python", "a.py", "--x"]),
        (["--", "python", "--", "-m"], ["python", "--", "-m"]),
        (["-m", "pkg.mod", "-m", "--help"], [sys.executable, "-m", "pkg.mod", "-m", "--help"]),
    ],
)
def test_a_command_without_options_before_it_is_plain(arguments, command):
    """It is taken as it is; `-m` is this interpreter's."""
    assert command == read_plain_command(arguments)


@pytest.mark.parametrize(
    "arguments", [[], ["-m"], ["--"], ["--help"], ["-h"], ["--project-id", "x", "python"]]
)
def test_all_else_is_for_click(arguments):
    """Options, and command lines that are wrong."""
    assert [] == read_plain_command(arguments)
