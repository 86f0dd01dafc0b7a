"""The file object of an `HTTPResponse`, showing us the body's bytes as the program reads them."""

from __future__ import annotations

import sys
from http.client import IncompleteRead
from io import IOBase
from typing import TYPE_CHECKING, Any, Iterator

from lupis_instrument._diagnostics import guarded

if TYPE_CHECKING:
    from lupis_instrument._exchange import Body


class TappedFile:
    """Stands in for `HTTPResponse.fp`; reads, closes and fails exactly as what it stands for.

    In a chunked body (RFC 9112 section 7.1) sizes and trailers are lines, got with `readline`, and
    everything else is data or the CRLF after it; http.client and urllib3 both read it so.
    """

    def __init__(self, file: Any, body: Body, chunked: bool, length: int | None) -> None:
        self._file = file
        self._body = body
        self._chunked = chunked
        self._left = 0 if chunked else length
        """Bytes to come: of this chunk, of the body, or None until the connection closes."""
        self._feed = body.feed
        self._read = file.read
        self._readline = file.readline

    def read(self, size: Any = -1, /) -> bytes:
        """Read as the file does."""
        try:
            data: bytes = self._read(size)
        except Exception as error:
            self._body.end("error", error)
            raise
        left = self._left
        if left is not None and size and len(data) == size:
            # What most reads bring is a part of what is to come: no more calls than needed.
            if size < left or (size == left and self._chunked):
                self._left = left - size
                self._feed(data)
                return data
            if not left and self._chunked:
                return data  # the line break after a chunk's data
        # A buffered file reads on until it has what was asked for, or there is no more.
        self._see(data, size is None or size < 0 or len(data) < size)
        return data

    def read1(self, size: Any = -1, /) -> bytes:
        """Read as the file does."""
        data: bytes = self._get(self._file.read1, size)
        left, count = self._left, len(data)
        if left and count and (count < left or (count == left and self._chunked)):
            self._left = left - count
            self._feed(data)
        else:
            self._see(data, not data and size != 0)
        return data

    def readinto(self, buffer: Any, /) -> int:
        """Read as the file does."""
        count: int = self._get(self._file.readinto, buffer)
        data = memoryview(buffer).cast("B")[:count].tobytes() if count else b""
        self._see(data, count < memoryview(buffer).nbytes)
        return count

    def readline(self, size: Any = -1, /) -> bytes:
        """Read as the file does."""
        try:
            line: bytes = self._readline(size)
        except Exception as error:
            self._body.end("error", error)
            raise
        if self._chunked:
            try:
                self._left = int(line, 16) or self._last_chunk()
            except Exception:  # an extension, a line break, a trailer, or no size at all
                guarded("reading a chunk's size", self._see_line, line)
        else:
            self._see(line, not line and size != 0)
        return line

    def close(self) -> None:
        """Close as the file does."""
        try:
            self._file.close()
        finally:
            if self._body.outcome is None:
                dropped = guarded("ending a body", _is_collected, default=False)
                self._body.end("dropped" if dropped else "closed")

    def _get(self, read: Any, argument: Any) -> Any:
        try:
            return read(argument)
        except Exception as error:  # an interrupted program may read on
            self._body.end("error", error)
            raise

    def _last_chunk(self) -> int:
        self._body.end("complete")
        return 0

    def _see(self, data: bytes, over: bool) -> None:
        if self._body.outcome is None:
            guarded("reading a body", self._see_data, data, over)

    def _see_data(self, data: bytes, over: bool) -> None:
        """Take what was read; `over` says that the file has no more."""
        part = data if self._left is None else data[: self._left]
        if part:
            self._body.feed(part)
        if self._left is not None:
            self._left -= len(part)
        if (self._left == 0 and not self._chunked) or (over and self._left is None):
            self._body.end("complete")
        elif over:
            self._body.end("error", IncompleteRead(b""))

    def _see_line(self, line: bytes) -> None:
        if self._body.outcome is not None:
            return
        size = line.split(b";", 1)[0].strip()
        if line and not size:
            return  # the line break after a chunk's data
        try:
            self._left = int(size, 16)
        except ValueError:
            self._body.end("error", IncompleteRead(b""))
        if self._left == 0:
            self._body.end("complete")

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> TappedFile:  # noqa: PYI034 - no Self in 3.8
        self._file.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._file.__reduce_ex__(protocol)  # a file can't be copied, and says so

    def __del__(self) -> None:
        self._body.end("dropped")


_FRAMES = 8
"""From a file's `close` to that of the response it belongs to, whichever library's it is."""


def _is_collected() -> bool:
    """Tell whether a response is being closed because nobody holds it any more.

    `IOBase` closes itself then, and says so first in an attribute of its own; seen as
    `_finalizing` in CPython 3.8 to 3.14.
    """
    frame = sys._getframe()
    for _ in range(_FRAMES):
        owner = frame.f_locals.get("self")
        if issubclass(type(owner), IOBase) and owner.__dict__.get("_finalizing") is True:
            return True
        if frame.f_back is None:
            break
        frame = frame.f_back
    return False
