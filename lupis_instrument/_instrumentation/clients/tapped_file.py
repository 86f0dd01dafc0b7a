"""Stands in for the file of an `HTTPResponse`, and feeds a body with the bytes that are read.

The stand-in is a `BufferedReader` over a `Tap`, as the client's own file is a `BufferedReader` over
a socket. The tap is below the buffer: it sees each byte once, as it comes from the wire, with the
framing of a chunked body. The bytes that are in the buffer when the program closes the file were
never read by it, and the tap takes them back from the body.
"""

from __future__ import annotations

import sys
from http.client import IncompleteRead
from io import BufferedReader, IOBase, RawIOBase
from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import internal_errors, report_fault

if TYPE_CHECKING:
    from types import FrameType

    from lupis_instrument._tracing.http_call import ResponseBody

_MAX_READ_BYTES = 256 * 1024
"""Bytes to read at once, so that a large read needs little memory beside the program's buffer."""


class TappedFile(BufferedReader):
    """Stands in for `HTTPResponse.fp`; reads, closes and fails exactly like it.

    It is the same kind of object, so that a read from its buffer costs the same.
    """

    def __init__(self, file: Any, body: ResponseBody, length: int | None) -> None:
        """Put a tap between `file` and a new buffer.

        Args:
            file: the client's own file.
            body: the body to feed.
            length: the length of the body in bytes; None if it is chunked, or ends with the
                connection.
        """
        super().__init__(Tap(file, body, length))

    def close(self) -> None:
        """Close the file, and end the body if the program has not read it to its end."""
        if not self.closed:
            with internal_errors("ending a body"):
                self._end_body()
        super().close()

    def _end_body(self) -> None:
        tap: Any = self.raw
        if tap.body.outcome is None:
            tap.stopped = True
            try:
                unread = len(self.peek(1))
            except RuntimeError:
                # A signal handler closes the file during a read. That close will fail, and the
                # read goes on.
                tap.stopped = False
                return
            tap.end_early(unread, "dropped" if _is_collected() else "closed")

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.raw.__reduce_ex__(protocol)  # raises the error that copying a file raises


class Tap(RawIOBase):
    """Fills the buffer from the tapped file, and feeds the body with the same bytes.

    Attributes:
        body: the body to feed.
        stopped: whether reads shall return nothing from now on.
        closed: whether the file was closed; the buffer reads this attribute before every read.
    """

    closed = False

    def __init__(self, file: Any, body: ResponseBody, length: int | None) -> None:
        self.body = body
        self.stopped = False
        self._file = file
        self._length = length
        self._received = 0

    def readable(self) -> bool:
        """Return True; a buffer checks this first."""
        return True

    def fileno(self) -> int:
        """Return the file descriptor of the connection."""
        number: int = self._file.fileno()
        return number

    def readinto(self, buffer: Any, /) -> int:
        """Read the available bytes, with at most one read of the connection."""
        if self.stopped:
            return 0
        view = memoryview(buffer).cast("B")
        try:
            data: bytes = self._file.read1(min(len(view), _MAX_READ_BYTES))
        except Exception as error:  # not KeyboardInterrupt: an interrupted program may read on
            self.body.end("error", error)
            raise
        view[: len(data)] = data
        try:
            if data:
                self.feed_body(data)
            elif len(view):
                self.end_at_eof()
        except Exception as fault:
            report_fault("reading a body", fault)
        return len(data)

    def close(self) -> None:
        """Close the tapped file, once."""
        if not self.closed:
            self.closed = True
            self._file.close()

    def feed_body(self, data: bytes) -> None:
        """Feed the body with its part of `data`; the rest belongs to the next response."""
        length, before = self._length, self._received
        self._received += len(data)
        if length is None or length >= self._received:
            self.body.feed(data)
        elif length > before:
            self.body.feed(data[: length - before])

    def end_early(self, unread: int, outcome: str) -> None:
        """End the body where the program stops reading.

        Args:
            unread: bytes in the buffer that the program has not read; some may be beyond the body.
            outcome: the outcome of the body, if the program has not read it to its end.
        """
        beyond = self._received - self._length if self._length is not None else 0
        self.body.reader.drop_unread(max(0, unread - max(0, beyond)))
        is_complete = self._length is not None and unread <= beyond
        self.body.end("complete" if is_complete else outcome)

    def end_at_eof(self) -> None:
        """End the body because the connection was closed, which is the only end of some bodies."""
        is_complete = self._received >= (self._length or 0)
        decoder = self.body.reader.finish().chunked_decoder if self.body.reader.chunked else None
        if decoder is not None:
            is_complete = decoder.ended
        if is_complete:
            self.body.end("complete")
        else:
            self.body.end("error", IncompleteRead(b""))

    def __getattr__(self, name: str) -> Any:
        # Some programs reach through the buffer for the socket. IOBase keeps attributes of its own
        # under double underscores, such as whether it is closed: they belong to this object.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.__dict__["_file"].raw, name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._file.__reduce_ex__(protocol)


_CLOSING = ("close", "_close_conn")
"""Functions by which the response of any library closes its file; the second one is http.client's
own, in CPython 3.8 to 3.14."""
_BETWEEN = (*_CLOSING, "_end_body")
"""Functions that may be on the stack between `_is_collected` and the response's `close`."""


def _is_collected() -> bool:
    """Return whether a response is being closed because nothing refers to it any more.

    `IOBase` closes itself then, and first sets an attribute of its own, `_finalizing` in CPython
    3.8 to 3.14. Only the frames of functions that close are inspected: before Python 3.13, reading
    the variables of a frame keeps them alive until the frame ends.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name in _BETWEEN:
        if frame.f_code.co_name in _CLOSING:
            owner = frame.f_locals.get("self")
            if issubclass(type(owner), IOBase) and getattr(owner, "_finalizing", False) is True:
                return True
        frame = frame.f_back
    return False
