"""The subcommands of `lupis`."""

import click
import pytest
from click.testing import CliRunner

from lupis_instrument._cli.lupis.commands import _COMMANDS, lupis
from lupis_instrument._export.store.database import FILE_NAME


def run_lupis(*arguments):
    """Run the command; returns its output."""
    done = CliRunner().invoke(lupis, arguments)
    assert 0 == done.exit_code, done.output
    return done.output


def test_help_lists_every_command():
    """The summary of each fits on its line."""
    lines = run_lupis("--help").partition("Commands:\n")[2].splitlines()
    assert [*_COMMANDS] == [line.split()[0] for line in lines]
    assert [] == [line for line in lines if line.endswith("...")]


@pytest.mark.parametrize("name", _COMMANDS)
def test_command_has_help(name):
    """Every option says its purpose."""
    command = lupis.get_command(None, name)
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert [] == [option.name for option in options if not option.help]
    assert command.help.split("\n")[0] in run_lupis(name, "--help").replace("\n  ", " ")


def test_unknown_command_is_refused():
    """The exit status is 2."""
    assert 2 == CliRunner().invoke(lupis, ["no-such-command"]).exit_code


@pytest.mark.parametrize(("typed", "meant"), [("reprot", "report"), ("run", "runs")])
def test_mistyped_command_gets_a_suggestion(typed, meant):
    """The message names the most similar commands."""
    done = CliRunner().invoke(lupis, [typed])
    assert 2 == done.exit_code
    assert f"Did you mean {meant}" in done.output


def test_a_command_like_no_other_gets_no_suggestion():
    """A wrong suggestion would not help."""
    assert "Did you mean" not in CliRunner().invoke(lupis, ["xyzzy"]).output


@pytest.mark.parametrize(
    ("words", "completed"),
    [("lupis re", {"report", "redact"}), ("lupis report --by pro", {"provider", "project"})],
)
def test_shell_completes_commands_and_properties(words, completed, monkeypatch):
    """Click does it, from the tables of this package."""
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    done = CliRunner().invoke(
        lupis, [], env={"_LUPIS_COMPLETE": "bash_complete"}, prog_name="lupis"
    )
    assert completed == {line.split(",")[1] for line in done.output.splitlines()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "{}"],
        ["redact", "{}"],
        ["{}"],
        ["--{}"],
        ["traces", "--{}"],
        ["show", "--run", "{}"],
    ],
)
def test_messages_about_arguments_have_no_control_characters(arguments):
    """An argument may come from another program, and its characters from anyone."""
    hostile = "x\x1b[31m\x07\u202e\x9b1m\nforged"  # click 8.0 takes other first letters for options
    done = CliRunner().invoke(lupis, [text.format(hostile) for text in arguments])
    assert 0 != done.exit_code
    assert [] == [line for line in done.output.splitlines() if not line.isprintable()]
    assert "forged" not in done.output.splitlines()


def test_data_dir_names_the_store(tmp_path, monkeypatch):
    """The option comes before the command and wins over the variable."""
    monkeypatch.setenv("LUPIS_DATA_DIR", str(tmp_path / "other"))
    done = CliRunner().invoke(lupis, ["--data-dir", str(tmp_path / "mine"), "report"])
    assert str(tmp_path / "mine" / FILE_NAME) in done.output
