"""The costs of all LLM calls of one launch, in a file to which each of its processes appends.

A line of the file is the cost of one call in USD, or `?` for a call without a known price. The
system appends each line as a whole, so there is no lock, and a process that is killed loses no
line. No file stays open, so forks and programs that close all files do no harm.
"""

from __future__ import annotations

import os
from hashlib import sha256
from math import isfinite
from time import time
from typing import TYPE_CHECKING, Callable, Iterator, NamedTuple

from lupis_instrument._diagnostics import warn
from lupis_instrument._process.native_threads import RLock

if TYPE_CHECKING:
    from pathlib import Path

_PREFIX = "budget-"
_MAX_AGE_SECONDS = 7 * 86_400
"""A launch that has spent nothing for so long has ended."""
_READ_BYTES = 64 * 1024
_OWNER_ONLY = 0o600
_UNKNOWN = "?"


class Entry(NamedTuple):
    """The cost of one call.

    Attributes:
        cost: the cost in USD; None if it is unknown.
        own: whether this process has added it.
    """

    cost: float | None
    own: bool


class CostLedger:
    """Adds costs to the file of a launch, and reads the costs that all processes have added."""

    def __init__(self, make_folder: Callable[[], Path], launch_id: str) -> None:
        """Use the file of a launch; it is made with the first cost.

        Args:
            make_folder: returns the data folder; may raise OSError.
            launch_id: the id of the launch.
        """
        self._make_folder = make_folder
        self._name = _PREFIX + sha256(launch_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        self._path: Path | None = None
        self.reset()

    def reset(self) -> None:
        """Make a new lock; in a forked child, a thread of the parent may hold the old one."""
        self._lock = RLock()
        if not hasattr(self, "_offset"):
            self._offset = 0
            self._own_ends: set[int] = set()
            self._unwritten: list[Entry] = []

    def add_cost(self, cost: float | None) -> None:
        """Add the cost of a call in USD; None if it is unknown.

        If the file cannot be used, only this process knows the cost.
        """
        known = cost is not None and isfinite(cost) and cost >= 0
        line = f"{cost:.12g}\n" if known else f"{_UNKNOWN}\n"
        with self._lock:
            try:
                self._own_ends.add(_append_line(self._find_path(), line.encode()))
            except OSError as error:
                warn(f"the budget counts the calls of this process alone: {error}")
                self._unwritten.append(Entry(cost if known else None, own=True))

    def read_new(self) -> list[Entry]:
        """Return the costs that were added since the last call, in the same order everywhere."""
        with self._lock:
            entries, self._unwritten = self._unwritten, []
            try:
                return [*entries, *self._read_lines()]
            except OSError:  # nobody has added a cost yet, or the file is lost
                return entries

    def _read_lines(self) -> Iterator[Entry]:
        with self._find_path().open("rb") as file:
            file.seek(self._offset)
            while True:
                data = file.read(_READ_BYTES)
                end = data.rfind(b"\n") + 1
                if not end:
                    return
                for line in data[:end].splitlines(keepends=True):
                    self._offset += len(line)
                    own = self._offset in self._own_ends
                    self._own_ends.discard(self._offset)
                    yield from _parse_line(line, own=own)
                file.seek(self._offset)

    def _find_path(self) -> Path:
        if self._path is None:
            folder = self._make_folder()
            _remove_old_files(folder)
            self._path = folder / self._name
        return self._path


def _append_line(path: Path, line: bytes) -> int:
    """Append a line, and return the position of its end."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags, _OWNER_ONLY)
    try:
        if os.write(handle, line) < len(line):
            raise OSError("the disk is full")
        return os.lseek(handle, 0, os.SEEK_CUR)
    finally:
        os.close(handle)


def _parse_line(line: bytes, *, own: bool) -> Iterator[Entry]:
    text = line.decode("ascii", "replace").strip()
    if text == _UNKNOWN:
        yield Entry(None, own)
        return
    try:
        cost = float(text)
    except ValueError:
        return  # a full disk has cut a line off
    if isfinite(cost) and cost >= 0:
        yield Entry(cost, own)


def _remove_old_files(folder: Path) -> None:
    for path in folder.glob(f"{_PREFIX}*"):
        try:
            if path.stat().st_mtime < time() - _MAX_AGE_SECONDS:
                path.unlink()
        except OSError:
            pass  # another process was quicker
