"""What this package says about itself: lines on stderr, and guards that keep faults from the host.

The program we run in must never notice a fault of ours, so every hook runs inside `guarded` or
calls `report_fault` from its own `except`. Tests set `reraise` to see such faults as errors.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # `typing` costs a millisecond that a program without calls needn't pay
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    Result = TypeVar("Result")

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class Diagnostics:
    """Writes lines to stderr, each text once, those below `level` never.

    Attributes:
        level: the least severe number that is written, as in `logging`.
        redact: applied to each line before it is written.
        reraise: raise faults of ours instead of reporting them; for tests only.
    """

    def __init__(self) -> None:
        self.level = LEVELS["warning"]
        self.redact: Callable[[str], str] = _keep
        self.reraise = False
        self._said: set[str] = set()

    def say(self, severity: str, message: str) -> None:
        """Write `message` to stderr unless it was written before or is not severe enough."""
        if LEVELS[severity] < self.level or message in self._said:
            return
        if len(self._said) < _MOST_LINES:
            self._said.add(message)
            _write(f"lupis: {severity}: {self._filter(message)}\n")

    def _filter(self, message: str) -> str:
        try:
            return self.redact(message)
        except Exception as fault:  # what cannot be filtered is not said
            return f"[REDACTED]: the filter failed ({type(fault).__name__})"

    def forget(self) -> None:
        """Let every line be written again."""
        self._said.clear()


_MOST_LINES = 100
"""A fault that words itself anew each time must not fill the program's stderr."""


def _keep(message: str) -> str:
    return message


def _write(line: str) -> None:
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except Exception:
        pass  # stderr is closed, full or None: there is nowhere left to say so


diagnostics = Diagnostics()


def warn(message: str) -> None:
    """Say something the user should act on."""
    diagnostics.say("warning", message)


def report_fault(where: str, fault: BaseException) -> None:
    """Say once that `where` failed.

    Raises:
        BaseException: `fault` itself, in tests that set `diagnostics.reraise`.
    """
    if diagnostics.reraise:
        raise fault
    warn(describe(where, fault))


def describe(where: str, fault: BaseException) -> str:
    """Return a sentence that says that `where` failed.

    Only the fault's type and place are named: its message may quote a body or a secret.
    """
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{where} failed ({type(fault).__name__}{place}); the program is not affected"


class internal_errors:  # noqa: N801 - a context manager, named as it reads after `with`
    """Keeps errors of this package inside a `with` block: reports them, and the program goes on.

    Where the block sets a name that is used after it, give the name a default before the block.
    """

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        """Guard a block.

        Args:
            where: the words for the block in the report, such as "reading a body".
        """
        self._where = where

    def __enter__(self) -> None:
        """Enter the block."""

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> bool:
        """Report an error of the block; exits of the program, such as SystemExit, pass."""
        if error is None or not isinstance(error, Exception):
            return False
        report_fault(self._where, error)
        return True


def guarded(
    where: str, function: Callable[..., Result], *args: Any, default: Any = None, **kwargs: Any
) -> Result | Any:
    """Call `function`; on a fault report it and return `default`."""
    try:
        return function(*args, **kwargs)
    except Exception as fault:
        report_fault(where, fault)
        return default
