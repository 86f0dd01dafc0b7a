"""Lines on stderr, and guards around what is ours."""

from contextlib import redirect_stderr

import pytest

from lupis_instrument._diagnostics import Diagnostics, diagnostics, guarded, report_fault

SECRET = "sk-1234567890abcdef1234567890abcdef"


@pytest.fixture(autouse=True)
def _fresh():
    before = diagnostics.level, diagnostics.redact, diagnostics.reraise
    diagnostics.forget()
    yield
    diagnostics.level, diagnostics.redact, diagnostics.reraise = before
    diagnostics.forget()


def fail():
    raise ValueError(SECRET)


def test_a_line_names_us_and_its_severity(capsys):
    """So that the reader of a log knows who is speaking."""
    Diagnostics().say("warning", "beware")
    assert ("", "lupis: warning: beware\n") == capsys.readouterr()


def test_the_same_line_is_written_once(capsys):
    """However often it is said."""
    lines = Diagnostics()
    for _ in range(3):
        lines.say("error", "again")
    assert 1 == capsys.readouterr().err.count("again")


def test_forgotten_lines_may_be_written_again(capsys):
    """For tests, and for a process that begins anew."""
    lines = Diagnostics()
    lines.say("error", "again")
    lines.forget()
    lines.say("error", "again")
    assert 2 == capsys.readouterr().err.count("again")


@pytest.mark.parametrize(
    ("level", "expected"), [(10, ["debug", "info", "warning"]), (30, ["warning"]), (40, [])]
)
def test_lines_below_the_level_are_not_written(level, expected, capsys):
    """As in logging."""
    lines = Diagnostics()
    lines.level = level
    for severity in ("debug", "info", "warning"):
        lines.say(severity, severity)
    assert expected == [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()]


def test_lines_are_redacted(capsys):
    """By whatever filter is in force."""
    lines = Diagnostics()
    lines.redact = lambda text: text.replace(SECRET, "***")
    lines.say("warning", f"key {SECRET}")
    assert "lupis: warning: key ***\n" == capsys.readouterr().err


def test_lines_are_bounded(capsys):
    """A fault that words itself anew each time doesn't fill the program's stderr."""
    lines = Diagnostics()
    for number in range(1000):
        lines.say("warning", str(number))
    assert 100 == len(capsys.readouterr().err.splitlines())


class _Broken:
    def write(self, text):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, _Broken()], ids=["none", "full"])
def test_a_stderr_that_cannot_be_written_is_no_error(stream):
    """Under pythonw there is none, a daemon's may be closed."""
    lines = Diagnostics()
    with redirect_stderr(stream):
        lines.say("error", "unheard")
    assert {"unheard"} == lines._said


def test_a_fault_is_reported_without_its_message(capsys):
    """Its message may quote a body or a secret: only type and place are named."""
    assert "left" == guarded("the test", fail, default="left")
    said = capsys.readouterr().err
    assert said.startswith("lupis: warning: the test failed (ValueError at ")
    assert said.endswith("); the program is not affected\n")
    assert SECRET not in said


def test_what_is_guarded_gets_its_arguments():
    """And its result is handed back."""
    assert (1, 2) == guarded("the test", lambda one, two: (one, two), 1, two=2)


def test_interrupts_are_not_held_back():
    """KeyboardInterrupt and SystemExit are the program's."""

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded("the test", interrupt)


def test_faults_are_errors_in_tests_that_ask_for_it():
    """`reraise` shows them."""
    diagnostics.reraise = True
    with pytest.raises(ValueError, match=SECRET):
        guarded("the test", fail)


def test_a_fault_that_was_never_raised_can_be_reported(capsys):
    """It has no place then."""
    report_fault("the test", ValueError())
    expected = "lupis: warning: the test failed (ValueError); the program is not affected\n"
    assert expected == capsys.readouterr().err
