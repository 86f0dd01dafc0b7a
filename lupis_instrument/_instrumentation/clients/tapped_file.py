"""The file object of an `HTTPResponse`, showing us the body's bytes as the program reads them."""

from __future__ import annotations

import sys
from http.client import IncompleteRead
from io import BufferedReader, IOBase, RawIOBase
from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import guarded, report_fault

if TYPE_CHECKING:
    from types import FrameType

    from lupis_instrument._tracing.http_call import ResponseBody

_MOST = 256 * 1024  # bytes read at one go, so that a large read needs little memory of ours


class TappedFile(BufferedReader):
    """Stands in for `HTTPResponse.fp`; reads, closes and fails exactly as what it stands for.

    It is the same kind of object, so that a read from its buffer costs what it always did. The tap
    lies below the buffer and sees the bytes as they come off the wire, a chunked body's framing
    included.
    """

    def __init__(self, file: Any, body: ResponseBody, length: int | None) -> None:
        super().__init__(Tap(file, body, length))

    def close(self) -> None:
        """Close as the file does."""
        if not self.closed:
            guarded("ending a body", self._end_body)
        super().close()

    def _end_body(self) -> None:
        tap: Any = self.raw
        if tap.body.outcome is None:
            tap.shut = True
            try:
                unread = len(self.peek(1))
            except RuntimeError:
                tap.shut = False
                return  # a signal's handler closes what is being read, which will fail
            tap.leave(unread, "dropped" if _is_collected() else "closed")

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.raw.__reduce_ex__(protocol)  # a file can't be copied, and says so


class Tap(RawIOBase):
    """What fills the buffer, from the file that is tapped.

    Attributes:
        body: what is shown the bytes.
        shut: whether nothing more is to be read.
        closed: whether it was closed; the buffer asks that at every read.
    """

    closed = False

    def __init__(self, file: Any, body: ResponseBody, length: int | None) -> None:
        self.body = body
        self.shut = False
        self._file = file
        self._length = length
        self._came = 0

    def readable(self) -> bool:
        """Say that it can be read from, as a buffer has to know."""
        return True

    def fileno(self) -> int:
        """Return the connection's number."""
        number: int = self._file.fileno()
        return number

    def readinto(self, buffer: Any, /) -> int:
        """Read what there is, at most once, as a connection's file does."""
        if self.shut:
            return 0
        view = memoryview(buffer).cast("B")
        try:
            data: bytes = self._file.read1(min(len(view), _MOST))
        except Exception as error:  # an interrupted program may read on
            self.body.end("error", error)
            raise
        view[: len(data)] = data
        try:
            if data:
                self.take(data)
            elif len(view):
                self.end()
        except Exception as fault:
            report_fault("reading a body", fault)
        return len(data)

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self.closed = True
            self._file.close()

    def leave(self, unread: int, outcome: str) -> None:
        """End the body where the program leaves it, with `unread` bytes still in the buffer."""
        beyond = self._came - self._length if self._length is not None else 0
        self.body.reader.drop_unread(max(0, unread - max(0, beyond)))
        whole = self._length is not None and unread <= beyond
        self.body.end("complete" if whole else outcome)

    def take(self, data: bytes) -> None:
        """Show the body what of `data` belongs to it."""
        length, before = self._length, self._came
        self._came += len(data)
        if length is None or length >= self._came:
            self.body.feed(data)
        elif length > before:
            self.body.feed(data[: length - before])

    def end(self) -> None:
        """The connection was closed, as happens after a body that has no other end."""
        whole = self._came >= (self._length or 0)
        decoder = self.body.reader.finish().chunked_decoder if self.body.reader.chunked else None
        if decoder is not None:
            whole = decoder.ended
        self.body.end("complete" if whole else "error", None if whole else IncompleteRead(b""))

    def __getattr__(self, name: str) -> Any:
        # Some programs reach through the buffer for the socket. What IOBase keeps in attributes of
        # its own, such as whether it is closed, is of this object.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.__dict__["_file"].raw, name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._file.__reduce_ex__(protocol)


_CLOSING = ("close", "_close_conn")
"""Functions by which a response closes its file, whichever library's it is; the second is
http.client's own, seen in CPython 3.8 to 3.14."""
_BETWEEN = (*_CLOSING, "_end_body", "guarded")


def _is_collected() -> bool:
    """Tell whether a response is being closed because nobody holds it any more.

    `IOBase` closes itself then, and says so first in an attribute of its own; seen as
    `_finalizing` in CPython 3.8 to 3.14. Only frames of closing are looked into: to ask one for
    its variables keeps those alive, before 3.13, until the frame ends.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name in _BETWEEN:
        if frame.f_code.co_name in _CLOSING:
            owner = frame.f_locals.get("self")
            if issubclass(type(owner), IOBase) and getattr(owner, "_finalizing", False) is True:
                return True
        frame = frame.f_back
    return False
