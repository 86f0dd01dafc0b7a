"""Messages of `lupis-run` go to stderr, without secrets."""

from __future__ import annotations

import io
import sys

import pytest

from lupis_instrument._cli.run.messages import report_problem, write_message

KEY = "sk-" + "1234567890abcdef" * 2


def test_each_line_has_the_command_name(capsys):
    """A message of two lines has the name before both."""
    write_message("one\ntwo")
    assert "lupis-run: one\nlupis-run: two\n" == capsys.readouterr().err


def test_control_characters_are_escaped(capsys):
    """A line with the name of a file cannot steer the terminal."""
    write_message("\x1b[2J\r\u2028: not found")
    assert "lupis-run: \\x1b[2J\\r\\u2028: not found\n" == capsys.readouterr().err


def test_reported_problem_shows_no_secret(capsys):
    """A key in a message is masked."""
    report_problem(ValueError(f"{KEY}: command not found"))
    errors = capsys.readouterr().err
    assert KEY not in errors
    assert errors.endswith(": command not found\n")


@pytest.mark.parametrize("stream", [None, io.TextIOWrapper(io.BytesIO())])
def test_closed_stderr_is_ignored(monkeypatch, capsys, stream):
    """A message that nobody can read does not keep the program from starting."""
    if stream is not None:
        stream.close()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        write_message("one")
    write_message("two")
    errors = capsys.readouterr().err
    assert "two" in errors
    assert "one" not in errors
