"""The messages of the package on stderr, and the guards around its own errors."""

from contextlib import redirect_stderr

import pytest
from hypothesis import given, strategies

from lupis_instrument._diagnostics import (
    Diagnostics,
    diagnostics,
    escape_controls,
    internal_errors,
    report_fault,
)

SECRET = "sk-1234567890abcdef1234567890abcdef"


@pytest.fixture(autouse=True)
def _restored():
    """Every test begins without written messages, and changes no setting for the next."""
    before = diagnostics.level, diagnostics.redact, diagnostics.reraise
    diagnostics.reset()
    yield
    diagnostics.level, diagnostics.redact, diagnostics.reraise = before
    diagnostics.reset()


def test_a_message_names_the_package_and_its_severity(capsys):
    """The reader of a log sees who wrote the line."""
    Diagnostics().write_message("warning", "beware")
    assert ("", "lupis: warning: beware\n") == capsys.readouterr()


def test_a_message_is_written_once(capsys):
    """Repeated calls with the same text write nothing more."""
    messages = Diagnostics()
    for _ in range(3):
        messages.write_message("error", "again")
    assert 1 == capsys.readouterr().err.count("again")


def test_a_reset_lets_a_message_be_written_again(capsys):
    """A forked process starts without written messages."""
    messages = Diagnostics()
    messages.write_message("error", "again")
    messages.reset()
    messages.write_message("error", "again")
    assert 2 == capsys.readouterr().err.count("again")


@pytest.mark.parametrize(
    ("level", "expected"), [(10, ["debug", "info", "warning"]), (30, ["warning"]), (40, [])]
)
def test_messages_below_the_level_are_not_written(level, expected, capsys):
    """The levels are the numbers of `logging`."""
    messages = Diagnostics()
    messages.level = level
    for severity in ("debug", "info", "warning"):
        messages.write_message(severity, severity)
    assert expected == [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()]


def test_messages_are_redacted(capsys):
    """The redactor of the settings sees each message before stderr does."""
    messages = Diagnostics()
    messages.redact = lambda text: text.replace(SECRET, "***")
    messages.write_message("warning", f"key {SECRET}")
    assert "lupis: warning: key ***\n" == capsys.readouterr().err


def test_a_message_is_withheld_if_redaction_fails(capsys):
    """The line names the error of the redactor and nothing of the message."""
    messages = Diagnostics()
    messages.redact = lambda text: text[SECRET]
    messages.write_message("warning", f"key {SECRET}")
    expected = "lupis: warning: [REDACTED]: the filter failed (TypeError)\n"
    assert expected == capsys.readouterr().err


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ("plain", "plain"),
        ("caf\u00e9 \u6a21", "caf\u00e9 \u6a21"),
        (r"\x1b[2J", "\x1b[2J"),
        (r"a\nb", "a\nb"),
        (r"\u202e", "\u202e"),
        (r"\u200b", "\u200b"),
        (r"\x9b", "\x9b"),
        (r"\ud800", "\ud800"),
        (r"\u2028", "\u2028"),
        (r"\x7f", "\x7f"),
    ],
)
def test_invisible_characters_are_escaped(shown, text):
    """They could steer the terminal."""
    assert shown == escape_controls(text)


@given(strategies.text())
def test_escaped_text_has_only_visible_characters(text):
    """Escaping it again changes nothing."""
    shown = escape_controls(text)
    assert (True, shown) == (shown.isprintable(), escape_controls(shown))


def test_a_message_stays_on_one_line(capsys):
    """The words of a collector neither begin a line nor steer the terminal."""
    Diagnostics().write_message("warning", "refused: \x1b[2J\nlupis: all is well")
    expected = "lupis: warning: refused: \\x1b[2J\\nlupis: all is well\n"
    assert expected == capsys.readouterr().err


def test_secrets_are_removed_before_controls_are_escaped():
    """The redactor sees the text as the program wrote it."""
    messages = Diagnostics()
    messages.redact = lambda text: text.replace("\x07key", "***\x07")
    assert "a ***\\x07" == messages.clean_line("a \x07key")


def test_the_number_of_messages_is_limited(capsys):
    """An error whose text changes each time does not fill the program's stderr."""
    messages = Diagnostics()
    for number in range(1000):
        messages.write_message("warning", str(number))
    assert 100 == len(capsys.readouterr().err.splitlines())


class _FullDisk:
    def write(self, text):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, _FullDisk()], ids=["none", "full"])
def test_an_unusable_stderr_raises_nothing(capsys, stream):
    """Pythonw has no stderr, and a daemon's may be closed. Later messages are written."""
    messages = Diagnostics()
    with redirect_stderr(stream):
        messages.write_message("error", "unheard")
    messages.write_message("error", "heard")
    assert capsys.readouterr().err == "lupis: error: heard\n"


def test_an_error_is_reported_without_its_text(capsys):
    """The text may quote a body or a secret: the line has only the type and the line number."""
    with internal_errors("the test"):
        raise ValueError(SECRET)
    line = capsys.readouterr().err
    assert line.startswith("lupis: warning: the test failed (ValueError at ")
    assert line.endswith("); the program is not affected\n")
    assert SECRET not in line


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_interrupts_pass(interrupt):
    """They are meant for the program."""
    with pytest.raises(interrupt), internal_errors("the test"):
        raise interrupt


def test_errors_are_raised_in_tests_that_ask_for_it():
    """`reraise` shows an error with its text."""
    diagnostics.reraise = True
    with pytest.raises(ValueError, match=SECRET), internal_errors("the test"):
        raise ValueError(SECRET)


def test_an_error_that_was_never_raised_is_reported_without_a_line_number(capsys):
    """It has no traceback."""
    report_fault("the test", ValueError())
    expected = "lupis: warning: the test failed (ValueError); the program is not affected\n"
    assert expected == capsys.readouterr().err
