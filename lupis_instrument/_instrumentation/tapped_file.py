"""The file object of an `HTTPResponse`, showing us the body's bytes as the program reads them."""

from __future__ import annotations

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

    def read(self, size: Any = -1, /) -> bytes:
        """Read as the file does."""
        data: bytes = self._get(self._file.read, size)
        self._see(data, size != 0)
        return data

    def read1(self, size: Any = -1, /) -> bytes:
        """Read as the file does."""
        data: bytes = self._get(self._file.read1, size)
        self._see(data, size != 0)
        return data

    def readinto(self, buffer: Any, /) -> int:
        """Read as the file does."""
        count: int = self._get(self._file.readinto, buffer)
        self._see(memoryview(buffer)[:count].tobytes() if count else b"", len(buffer) != 0)
        return count

    def readline(self, size: Any = -1, /) -> bytes:
        """Read as the file does."""
        line: bytes = self._get(self._file.readline, size)
        if self._chunked:
            guarded("reading a chunk's size", self._see_line, line)
        else:
            self._see(line, size != 0)
        return line

    def close(self) -> None:
        """Close as the file does."""
        try:
            self._file.close()
        finally:
            self._body.end("closed")

    def _get(self, read: Any, argument: Any) -> Any:
        try:
            return read(argument)
        except BaseException as error:
            self._body.end("error", error)
            raise

    def _see(self, data: bytes, asked: bool) -> None:
        if self._body.outcome is None and asked:
            guarded("reading a body", self._see_data, data)

    def _see_data(self, data: bytes) -> None:
        if not data:
            # The other side closed: the end of a body of unknown length, too early for others.
            if self._left is None:
                self._body.end("complete")
            else:
                self._body.end("error", ConnectionResetError())
            return
        if self._left is None:
            self._body.feed(data)
            return
        part = data if len(data) <= self._left else data[: self._left]
        self._left -= len(part)
        if part:
            self._body.feed(part)
        if self._left == 0 and not self._chunked:
            self._body.end("complete")

    def _see_line(self, line: bytes) -> None:
        if self._body.outcome is not None:
            return
        if not line:
            self._body.end("error", ConnectionResetError())
            return
        size = line.split(b";", 1)[0].strip()
        if not size:
            return  # the line break after a chunk's data
        self._left = int(size, 16)
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

    def __del__(self) -> None:
        self._body.end("dropped")
