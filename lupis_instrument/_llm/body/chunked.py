"""Undoes the chunked transfer coding of a body (RFC 9112 section 7.1)."""

from __future__ import annotations

_LINE_BREAK_LENGTH = 2  # the CR LF after a chunk's data, which clients don't check
_MAX_SIZE_LINE = 64 * 1024  # bytes; the limit of http.client for one line


class ChunkedDecoder:
    """Undoes the chunked transfer coding as leniently as HTTP clients do.

    Each chunk is a line with its size in hexadecimal, the data, and CR LF. A chunk of size 0 ends
    the body.

    Attributes:
        count: how many chunks have begun.
        ended: whether the last chunk came, which is empty.
        broken: whether a chunk's size was not readable.
    """

    def __init__(self) -> None:
        self.count = 0
        self.ended = self.broken = False
        self._size_line = b""  # the part of a size line that has come
        self._until_size_line = 0  # bytes before the next size line

    def decode(self, data: bytes) -> bytes:
        """Return the chunks' data in a piece of the body, which is cut anywhere."""
        if self.ended or self.broken:
            return b""
        data = self._size_line + data
        parts = [data[: max(0, self._until_size_line - _LINE_BREAK_LENGTH)]]
        position = self._split_chunks(data, self._until_size_line, parts)
        self.count += len(parts) - 1
        self._until_size_line = max(0, position - len(data))
        self._size_line = data[position:]
        return b"".join(parts)

    def _split_chunks(self, data: bytes, position: int, parts: list[bytes]) -> int:
        """Append the data of the chunks from `position` on; return where the next size line is."""
        length = len(data)
        while position < length:
            end = data.find(b"\n", position) + 1
            if not end:
                self.broken = length - position > _MAX_SIZE_LINE
                break
            try:
                size = int(data[position:end], 16)
            except ValueError:
                size = _parse_extended_size(data[position:end])
            if size <= 0:
                self.ended, self.broken = size == 0, size < 0
                break
            parts.append(data[end : end + size])
            position = end + size + _LINE_BREAK_LENGTH
        return position


def _parse_extended_size(line: bytes) -> int:
    """Return the size in a size line with chunk extensions; -1 if it holds no size."""
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        return -1
