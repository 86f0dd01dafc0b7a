"""The terminal behind stderr: its width, its colours, and texts that fit into its columns."""

from __future__ import annotations

import os
import stat
import sys
from typing import Any, NamedTuple
from unicodedata import combining, east_asian_width

_DEFAULT_WIDTH = 80
_MIN_WIDTH = 40
_SYMBOLS, _ASCII_SYMBOLS = ("…", "\u00d7"), ("...", "x")
"""An ellipsis and a multiplication sign."""
_COLORS = {"bold": "1", "dim": "2", "red": "31"}
"""The parameters of SGR by name of the style (ECMA-48, section 8.3.117)."""


class Terminal(NamedTuple):
    """The properties of an output stream.

    Attributes:
        width: the number of its columns; 80 if it has none.
        colored: whether it shows colours, and the user wants them.
        ellipsis: the text that stands for a part that was cut out.
        times: the multiplication sign.
        limited: whether longer lines would wrap; a pipe or a file takes any length.
    """

    width: int = _DEFAULT_WIDTH
    colored: bool = False
    ellipsis: str = _ASCII_SYMBOLS[0]
    times: str = _ASCII_SYMBOLS[1]
    limited: bool = True

    def style_text(self, text: str, style: str) -> str:
        """Return `text` in a style, "bold", "dim" or "red"; unchanged without colours."""
        code = _COLORS.get(style) if self.colored else None
        return f"\x1b[{code}m{text}\x1b[0m" if code and text else text

    def cut_middle(self, text: str, width: int) -> str:
        """Return `text` in at most `width` columns: both ends of a long text, and an ellipsis."""
        if text_width(text) <= width:
            return text
        room = max(width - len(self.ellipsis), 0)
        start, end = text, text
        while text_width(start) > room - room // 2:
            start = start[:-1]
        while text_width(end) > room // 2:
            end = end[1:]
        return f"{start}{self.ellipsis}{end}"


def describe_stderr() -> Terminal:
    """Return the properties of stderr."""
    stream = sys.stderr
    wants_color = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Terminal(
        read_width(stream),
        is_terminal(stream) and wants_color,  # https://no-color.org
        *(_SYMBOLS if _can_encode(stream, "".join(_SYMBOLS)) else _ASCII_SYMBOLS),
        limited=is_terminal(stream) or bool(os.environ.get("COLUMNS")),
    )


def is_terminal(stream: Any) -> bool:
    """Return whether a stream, which may be None, is a terminal."""
    try:
        return stream is not None and bool(stream.isatty())
    except (AttributeError, OSError, ValueError):  # closed, or replaced by the program
        return False


def is_pipe(stream: Any) -> bool:
    """Return whether a stream, which may be None, is a pipe."""
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (AttributeError, OSError, ValueError):
        return False


def is_ci() -> bool:
    """Return whether a CI service runs this process: all common ones set the variable CI."""
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false")


def read_width(stream: Any) -> int:
    """Return the columns of a stream; COLUMNS takes precedence, as in other programs."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns[:4]):
        return max(int(columns[:4]), _MIN_WIDTH)
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (AttributeError, OSError, ValueError):
        width = 0
    return max(width or _DEFAULT_WIDTH, _MIN_WIDTH)


def _can_encode(stream: Any, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (LookupError, UnicodeError):
        return False
    return True


def text_width(text: str) -> int:
    """Return the number of terminal columns that a text takes."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if combining(character):
        return 0
    # Wide and Fullwidth, https://www.unicode.org/reports/tr11/
    return 2 if east_asian_width(character) in "WF" else 1
