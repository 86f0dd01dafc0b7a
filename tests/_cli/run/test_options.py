"""Options of `lupis-run` set variables, print them, or print help."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from lupis_instrument._cli.run import options, start
from lupis_instrument._config.settings import SETTINGS
from lupis_instrument._version import __version__

KEY = "sk-" + "1234567890abcdef" * 2


@pytest.fixture
def started(monkeypatch):
    """The commands, variables and labels that are started; no command runs."""
    calls = []

    def start_command(command, environ, labels):
        variables = {name: text for name, text in environ.items() if name.startswith("LUPIS_")}
        calls.append((command, variables, labels))
        return 7

    monkeypatch.setattr(start, "start_command", start_command)
    for name in [name for name in os.environ if name.startswith("LUPIS_")]:
        monkeypatch.delenv(name)
    return calls


def run(*arguments):
    """Run with arguments and return the exit status."""
    with pytest.raises(SystemExit) as caught:
        options.run_with_options(arguments)
    return caught.value.code


@pytest.mark.parametrize(
    ("arguments", "variables", "labels"),
    [
        (["--chat-id", "a", "--chat-id", "b"], {"LUPIS_CHAT_ID": "b"}, ["--chat-id"]),
        (
            ["--instrument", "httpx", "--instrument", "requests"],
            {"LUPIS_INSTRUMENT": "httpx,requests"},
            ["--instrument"],
        ),
        (["--no-enabled"], {"LUPIS_ENABLED": "false"}, ["--enabled"]),
        (["--durable"], {"LUPIS_DURABLE": "true"}, ["--durable"]),
        (["--summary=auto"], {"LUPIS_SUMMARY": "auto"}, ["--summary"]),
        (["--durable", "--no-durable"], {"LUPIS_DURABLE": "false"}, ["--durable"]),
        (["--no-durable", "--durable=1"], {"LUPIS_DURABLE": "1"}, ["--durable"]),
        (["--chat-id", "--durable"], {"LUPIS_CHAT_ID": "--durable"}, ["--chat-id"]),
        (
            ["--chat-id=x", "--durable"],
            {"LUPIS_CHAT_ID": "x", "LUPIS_DURABLE": "true"},
            ["--chat-id", "--durable"],
        ),
        ([], {}, []),
    ],
)
def test_options_set_variables(started, arguments, variables, labels):
    """An option sets its variable; the last or all of several count, as its type says."""
    assert 7 == run(*arguments, "python", "a.py")
    assert [(["python", "a.py"], variables)] == [call[:2] for call in started]
    assert labels == list(started[0][2].values())


def test_option_overrides_its_variable(started, monkeypatch):
    """An option takes precedence; a variable without an option stays."""
    monkeypatch.setenv("LUPIS_CHAT_ID", "variable")
    monkeypatch.setenv("LUPIS_USER_ID", "ada")
    run("--chat-id", "option", "python")
    assert {"LUPIS_CHAT_ID": "option", "LUPIS_USER_ID": "ada"} == started[0][1]


def test_module_runs_with_this_interpreter(started):
    """`-m` after an option makes the command a module."""
    run("--chat-id", "c", "-m", "pkg", "--x")
    assert [sys.executable, "-m", "pkg", "--x"] == started[0][0]


@pytest.mark.parametrize(
    "command", [["auto", "python"], ["--", "true"], ["python", "--summary", "true"]]
)
def test_a_word_after_a_boolean_option_is_the_command(started, command):
    """Unless it looks like the option's value."""
    run("--durable", *command)
    assert [word for word in command if word != "--"] == started[0][0]
    assert {"LUPIS_DURABLE": "true"} == started[0][1]


def test_options_end_at_the_command(started):
    """Options after the command belong to the command."""
    run("--chat-id", "c", "python", "--chat-id", "d")
    assert ["python", "--chat-id", "d"] == started[0][0]
    assert {"LUPIS_CHAT_ID": "c"} == started[0][1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing COMMAND."),
        (["--chat-id", "c"], "Missing COMMAND."),
        (["--print-env", "python"], "--print-env takes no COMMAND."),
        (["--no-such-option"], "No such option"),
        (
            ["--summary", "true", "python"],
            "write --summary=true; to run the command 'true', write --summary -- true python",
        ),
        (["--no-durable", "Off", "python"], "write --durable=Off;"),
        (["--summary", "auto"], "write --summary=auto;"),
        (["--no-summary=true", "python"], "--no-summary takes no value"),
    ],
)
def test_wrong_usage_is_reported(started, capsys, arguments, message):
    """The exit status is 2, and stderr has the message."""
    assert 2 == run(*arguments)
    assert message in capsys.readouterr().err
    assert [] == started


def test_message_about_a_wrong_option_shows_no_secret(started, capsys):
    """A key given as an option's value is masked."""
    assert 2 == run("--format", KEY, "--print-env")
    assert KEY not in capsys.readouterr().err


def test_variables_are_printed(started, capfdbinary):
    """`--print-env` prints the given settings and the bootstrap, and starts nothing."""
    run("--chat-id", "c", "--print-env", "--format", "json")
    printed = json.loads(capfdbinary.readouterr().out)
    assert {"PYTHONPATH", "LUPIS_LAUNCHER_SITE", "LUPIS_CHAT_ID"} == set(printed)
    assert "c" == printed["LUPIS_CHAT_ID"]
    assert [] == started


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LUPIS_API_KEY", "short-key"),
        ("LUPIS_HASH_KEY", "another-short-key"),
        ("LUPIS_OTLP_HEADERS", "authorization=Basic%20eA=="),
        ("LUPIS_OTLP_ENDPOINT", "https://bob:pass@otel.example/v1/traces"),
        ("LUPIS_OTLP_ENDPOINT", f"https://otel.example/v1/traces?key={KEY}"),
    ],
)
def test_manifest_has_no_secret(variable, value, started, monkeypatch, capfdbinary):
    """It refers to the key of a Kubernetes Secret instead."""
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("LUPIS_PROJECT_ID", "shop")
    run("--print-env", "--format", "k8s")
    printed = capfdbinary.readouterr().out.decode()
    assert f"        name: lupis\n        key: {variable}\n" in printed
    assert value not in printed
    assert '  - name: LUPIS_PROJECT_ID\n    value: "shop"\n' in printed


def test_invalid_setting_is_not_printed(started, capfd):
    """The exit status is 2, and stderr names the option."""
    assert 2 == run("--exporter", "x", "--print-env")
    output, errors = capfd.readouterr()
    assert "" == output
    assert errors.startswith("lupis-run: --exporter='x': expected auto,")


def test_printed_variables_have_one_line_each(started):
    """A setting of several lines is printed as one line, and the run id is left out."""
    environ = {"LUPIS_SENSITIVE_DATA_PATTERNS": "a\nb", "LUPIS_RUN_ID": "1"}
    variables = options.list_variables(environ, {})
    assert '["a", "b"]' == variables["LUPIS_SENSITIVE_DATA_PATTERNS"]
    assert "LUPIS_RUN_ID" not in variables


def test_help_has_every_setting_under_its_group(started, capsys, monkeypatch):
    """Help shows option, description, variable and default of each setting."""
    monkeypatch.setenv("COLUMNS", "200")
    assert 0 == run("--help")
    text = capsys.readouterr().out
    words = " ".join(text.split())
    for row in SETTINGS:
        assert f"\n{row.group}:\n" in text
        assert f"{row.option} " in words
        assert f"{row.description} [{row.variable}; default: {row.default_text}]" in words


def test_version_is_printed(started, capsys):
    """`--version` prints the package's version."""
    assert 0 == run("--version")
    assert f"lupis-run {__version__}\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "completed"),
    [("--on-limit b", ["block"]), ("--exporter con", ["console"]), ("--on-l", ["--on-limit"])],
)
def test_shell_completes_options_and_their_valid_words(words, completed):
    """The words come from the table of settings."""
    environ = {
        **os.environ,
        "_LUPIS_RUN_COMPLETE": "bash_complete",
        "COMP_WORDS": f"lupis-run {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    code = "import sys; sys.argv = ['lupis-run']; from lupis_instrument._cli.run import launcher"
    command = [sys.executable, "-c", f"{code}; launcher.main()"]
    shown = subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=False)
    assert completed == [line.split(",")[1] for line in shown.stdout.decode().splitlines()]
