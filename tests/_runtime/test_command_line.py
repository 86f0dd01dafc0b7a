"""The command line that `lupis runs` shows."""

import sys

import pytest

from lupis_instrument._redaction import Redactor
from lupis_instrument._runtime.command_line import describe_command


@pytest.fixture
def describe(monkeypatch):
    """Describes a command line."""

    def run(*words):
        monkeypatch.setattr(sys, "orig_argv", list(words), raising=False)
        return describe_command(Redactor("remove").redact_text)

    return run


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["/usr/bin/python3", "agent.py", "--fast"], "python3 agent.py --fast"),
        (["python", "/home/me/work/agent.py"], "python agent.py"),
        (["python", "-m", "agent", "--city", "Paris, please"], "python -m agent --city [\u2026]"),
        (["python", "-c", "import os; print(1)"], "python -c [\u2026]"),
        (["python", "a.py", "\u5929\u6c17\u306f"], "python a.py [\u2026]"),
        (["python", "a.py", "x" * 65], "python a.py [\u2026]"),
        (["python", *"abcdefghijklmnopqrs"], "python a b c d e f g h i j k l m n o [\u2026]"),
    ],
)
def test_words_that_may_be_content_are_left_out(words, shown, describe):
    """A prompt may be an argument."""
    assert shown == describe(*words)


def test_secrets_are_redacted(describe):
    """By the value's form, and by the name of the option."""
    key = "sk-proj-" + "a1B2" * 12
    shown = describe("python", "agent.py", "--api-key", "hunter2hunter2", f"--x={key}")
    assert not any(secret in shown for secret in ("hunter2", key))
    assert shown.startswith("python agent.py --api-key")


def test_older_pythons_have_the_programs_arguments(monkeypatch):
    """Before 3.10, the interpreter's options are not known."""
    monkeypatch.delattr(sys, "orig_argv", raising=False)
    monkeypatch.setattr(sys, "argv", ["agent.py", "x"])
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert "python3 agent.py x" == describe_command(str)


def test_a_process_without_arguments_has_no_command(monkeypatch):
    """An embedded interpreter may have none; a program may set any value."""
    monkeypatch.setattr(sys, "orig_argv", [None], raising=False)
    assert describe_command(str) is None
