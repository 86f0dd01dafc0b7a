"""The terminal behind stderr: its width, its colours, and texts that fit into its columns."""

import io
import os

import pytest

from lupis_instrument._export import terminal
from lupis_instrument._export.terminal import Terminal, text_width


class Stream(io.StringIO):
    """A stderr that may be a terminal."""

    def __init__(self, tty, encoding="utf-8"):
        super().__init__()
        self._tty, self._encoding = tty, encoding

    @property
    def encoding(self):
        return self._encoding

    def isatty(self):
        return self._tty


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    """No variable of the tests' own terminal counts."""
    for name in ("NO_COLOR", "TERM", "COLUMNS", "CI"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("tty", "variables", "colored"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colors_need_a_terminal_that_wants_them(tty, variables, colored, monkeypatch):
    """Pipes, NO_COLOR and TERM=dumb want none."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stderr", Stream(tty))
    assert colored is terminal.describe_stderr().colored


@pytest.mark.parametrize(
    ("encoding", "ellipsis"), [("utf-8", "…"), ("ascii", "..."), (None, "...")]
)
def test_symbols_fit_the_encoding(encoding, ellipsis, monkeypatch):
    """An ASCII terminal would show escapes."""
    monkeypatch.setattr("sys.stderr", Stream(True, encoding))
    assert ellipsis == terminal.describe_stderr().ellipsis


@pytest.mark.parametrize(
    ("columns", "width"), [("120", 120), ("7", 40), ("0", 80), ("many", 80), ("", 80)]
)
def test_the_variable_sets_the_width(columns, width, monkeypatch):
    """A stream without columns has 80, and no text is narrower than 40."""
    monkeypatch.setenv("COLUMNS", columns)
    assert width == terminal.read_width(Stream(False))


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
@pytest.mark.parametrize(("columns", "width"), [(100, 100), (0, 80)])
def test_the_terminal_has_its_own_width(columns, width):
    """A terminal that does not know its width has 80 columns."""
    import fcntl
    import struct
    import termios

    main, side = os.openpty()
    try:
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        with open(side, "w", closefd=False) as stream:
            assert width == terminal.read_width(stream)
    finally:
        os.close(main)
        os.close(side)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("1", True), ("false", False), ("", False), ("0", False)],
)
def test_ci_is_known_by_its_variable(value, expected, monkeypatch):
    """All common services set it."""
    monkeypatch.setenv("CI", value)
    assert expected is terminal.is_ci()


def test_a_pipe_is_known(tmp_path):
    """A file is none, nor is a stream without a descriptor."""
    ends = [os.fdopen(end, mode) for end, mode in zip(os.pipe(), "rw")]
    with ends[0], ends[1], (tmp_path / "log").open("w") as file:
        assert [True, False, False, False] == [
            terminal.is_pipe(stream) for stream in (ends[1], file, Stream(False), None)
        ]


def test_an_unusable_stream_is_no_terminal():
    """A program may close or remove its stderr."""
    closed = io.StringIO()
    closed.close()
    assert [False, False] == [terminal.is_terminal(stream) for stream in (closed, None)]


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("gpt-4o", 6, "gpt-4o"),
        ("abcdefghij", 7, "abc…hij"),
        ("abcdefghij", 1, "…"),
        ("\u6a21\u578b\u6a21\u578b\u6a21", 7, "\u6a21…\u6a21"),
    ],
)
def test_a_long_text_loses_its_middle(text, width, shown):
    """Both ends of a model's name say which one it is."""
    cut = Terminal(ellipsis="…").cut_middle(text, width)
    assert shown == cut
    assert width >= text_width(cut)
