"""The messages of this package on stderr, and the guards that keep its errors from the program.

Also the function that makes any text safe to print, which the commands use too.

The program must never notice an error of this package. Every hook guards its work: by
`with internal_errors("reading a body"):`, or on the path of a call by its own `except` clause,
which calls `report_fault` and costs nothing while all goes well. Tests set `reraise` to see such
errors.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing `typing` takes a millisecond, also in programs without calls
if TYPE_CHECKING:
    from typing import Callable

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class Diagnostics:
    """Writes messages to stderr, each text once.

    Attributes:
        level: the lowest severity that is written, as a number of `logging`.
        redact: a function that removes secrets from a line before it is written.
        reraise: whether to raise errors of this package instead of reporting them; for tests.
    """

    def __init__(self) -> None:
        self.level = LEVELS["warning"]
        self.redact: Callable[[str], str] = str
        self.reraise = False
        self._written: set[str] = set()

    def write_message(self, severity: str, message: str) -> None:
        """Write a message to stderr, as one line.

        Does nothing if the message was written before, or is below the level.

        Args:
            severity: a key of `LEVELS`.
            message: one or more sentences; cleaned before they are written.
        """
        if LEVELS[severity] < self.level or message in self._written:
            return
        line = f"lupis: {severity}: {self.clean_line(message)}\n"
        if len(self._written) < _MAX_TEXTS and line not in self._written:
            self._written.update((message, line))  # two messages may be the same line, redacted
            _write_line(line)

    def clean_line(self, text: str) -> str:
        """Return `text` as it may be printed: without secrets, and on one line.

        All lines that this process writes to stderr go through this function.
        """
        return escape_controls(self._redact(text))

    def _redact(self, message: str) -> str:
        try:
            return self.redact(message)
        except Exception as fault:  # a message that cannot be redacted is not written
            return f"[REDACTED]: the filter failed ({type(fault).__name__})"

    def reset(self) -> None:
        """Allow every message to be written again."""
        self._written.clear()


_MAX_TEXTS = 200
"""Texts kept, two for each message.

There is a limit, because an error whose text changes each time must not fill the program's stderr.
"""


def escape_controls(text: object) -> str:
    """Return `text` with its invisible characters written as escapes, a newline as backslash n.

    Names come from programs, providers and collectors. Control characters in them could move the
    cursor, colour the terminal, begin a line or reverse the direction of the line.
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in shown
    )


def _write_line(line: str) -> None:
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except Exception:
        pass  # stderr is closed, full or None: there is no other place to write to


diagnostics = Diagnostics()


def warn(message: str) -> None:
    """Write a message that the user should act on."""
    diagnostics.write_message("warning", message)


def report_fault(action: str, fault: BaseException) -> None:
    """Report an error of this package, once.

    Args:
        action: the words for the failed work, such as "reading a body".
        fault: the error.

    Raises:
        BaseException: `fault` itself, in tests that set `diagnostics.reraise`.
    """
    if diagnostics.reraise:
        raise fault
    warn(describe_fault(action, fault))


def describe_fault(action: str, fault: BaseException) -> str:
    """Return a sentence about an error of this package.

    It has the text of an error that the package raises on purpose, such as a call with a wrong
    argument. Any other text may quote a body or a secret: then it names the error's type and the
    line that raised it.
    """
    if getattr(fault, "is_printable", False):
        return f"{action} failed: {fault}; the program is not affected"
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    location = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{action} failed ({type(fault).__name__}{location}); the program is not affected"


class internal_errors:  # noqa: N801 - a context manager, named as it reads after `with`
    """Keeps errors of this package inside a `with` block: reports them, and the program goes on.

    Where the block sets a name that is used after it, give the name a value before the block.
    """

    __slots__ = ("_action",)

    def __init__(self, action: str) -> None:
        """Guard a block.

        Args:
            action: the words for the work of the block, such as "reading a body".
        """
        self._action = action

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> bool:
        """Report an error of the block; let SystemExit and KeyboardInterrupt pass."""
        if error is None or not isinstance(error, Exception):
            return False
        report_fault(self._action, error)
        return True
