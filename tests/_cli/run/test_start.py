"""The start of a command: settings are checked, the program is found, and variables are set."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lupis_instrument._cli.run import execution, locations, start
from lupis_instrument.exceptions import LupisConfigError

PATH = {"PATH": str(Path(sys.executable).parent)}
COMMAND = [Path(sys.executable).name, "a.py"]


@pytest.fixture
def executed(monkeypatch):
    """The programs, commands and variables that are executed; none of them runs."""
    calls = []

    def execute_command(path, command, environ):
        calls.append((path, command, environ))
        return 3

    monkeypatch.setattr(execution, "execute_command", execute_command)
    return calls


def test_command_is_executed_with_the_bootstrap(executed):
    """The program gets the bootstrap, a run id and its own variables."""
    assert 3 == start.start_command(COMMAND, {**PATH, "A": "b"})
    ((path, command, environ),) = executed
    assert (sys.executable, COMMAND) == (path, command)
    assert {"PATH", "A", "PYTHONPATH", "LUPIS_LAUNCHER_SITE", "LUPIS_RUN_ID"} == set(environ)


def test_invalid_setting_stops_the_start(executed, capsys):
    """The exit status is 2, and stderr has one line for each setting."""
    environ = {**PATH, "LUPIS_EXPORTER": "x", "LUPIS_ENABLED": "y"}
    assert start.WRONG_USE == start.start_command(COMMAND, environ)
    assert 2 == len(capsys.readouterr().err.splitlines())
    assert [] == executed


def test_missing_command_has_the_status_of_a_shell(executed, capsys):
    """The exit status is 127, and stderr names the command."""
    assert 127 == start.start_command(["no-such-command"], PATH)
    assert "lupis-run: no-such-command: command not found\n" == capsys.readouterr().err
    assert [] == executed


def test_isolated_interpreter_is_reported_and_runs(executed, capsys):
    """`python -I` runs uninstrumented, and stderr has the reason."""
    start.start_command([COMMAND[0], "-I", "a.py"], PATH)
    assert "ignores PYTHONPATH: this program will not be instrumented" in capsys.readouterr().err
    assert 1 == len(executed)


def test_missing_bootstrap_is_reported(monkeypatch, capsys):
    """A broken installation changes no variable."""
    monkeypatch.setattr(locations, "find_bootstrap_folder", lambda: None)
    assert {"A": "b"} == start.prepare_environment({"A": "b"})
    assert "lacks the bootstrap" in capsys.readouterr().err


def test_errors_of_settings_are_raised_together():
    """The message has one line for each variable that is not valid."""
    with pytest.raises(LupisConfigError) as caught:
        start.read_settings({"LUPIS_EXPORTER": "x", "LUPIS_ENABLED": "y"})
    assert 2 == len(str(caught.value).splitlines())


@pytest.mark.parametrize(("run_id", "lines"), [("", 1), ("1", 0)])
def test_nested_launch_repeats_no_warning(run_id, lines, capsys):
    """The outer `lupis-run` has written the warnings already."""
    start.read_settings({"LUPIS_QQQ": "x", "LUPIS_RUN_ID": run_id})
    assert lines == len(capsys.readouterr().err.splitlines())


@pytest.mark.parametrize("name", ["LUPIS_RUN_ID", "LUPIS_LAUNCHER_SITE", "PATH"])
def test_variables_that_are_no_settings_are_not_read(name, monkeypatch):
    """Without a setting, the table of settings is not loaded."""
    monkeypatch.setattr(start, "read_settings", pytest.fail)
    start.check_settings({name: "x"})
