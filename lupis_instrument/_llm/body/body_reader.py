"""Watches one response body while the program reads it, and drops the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lupis_instrument._process.import_lock import import_alone

if TYPE_CHECKING:
    from lupis_instrument._llm.api.endpoints import Endpoint
    from lupis_instrument._llm.body.decoding import Reading

_BLOCK = 64 * 1024  # bytes of memory that chunks may take before they are read
_CHUNK = 48  # what a chunk takes beside its bytes


class BodyReader:
    """Takes the bytes of one response body as they come.

    `feed` only keeps a reference until 64 KiB have come together; these are then read at once, and
    dropped. What reads is loaded for the first body that has to be read: the program mostly has
    its answer by then.

    Attributes:
        chunked: whether the bytes are in the chunked transfer coding.
    """

    __slots__ = ("_chunks", "_finished", "_reading", "_size", "_what", "chunked")

    def __init__(
        self,
        endpoint: Endpoint,
        content_type: str | None,
        content_encoding: str | None,
        *,
        chunked: bool = False,
    ) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._what = (endpoint, content_type, content_encoding)
        self.chunked = chunked
        self._reading: Reading | None = None
        self._finished: Reading | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take a chunk of the body as it came off the wire, cut anywhere."""
        if type(data) is not bytes:
            data = _copy(data)
        if self._size > _BLOCK:
            self._read()
        self._chunks.append(data)
        self._size += len(data) + _CHUNK

    def take_back(self, count: int) -> None:
        """Forget the last bytes of the last chunk, which the program left unread."""
        if count and self._chunks:
            self._chunks[-1] = self._chunks[-1][:-count]

    def finish(self) -> Reading:
        """Return what was read: the body has ended, or nobody reads on."""
        if self._finished is None:
            self._finished = self._read()
            self._finished.close()
        return self._finished

    def _read(self) -> Reading:
        if self._reading is None:
            self._reading = import_alone(self._make)
        data = b"".join(self._chunks)
        self._chunks = []
        self._size = 0
        self._reading.feed(data)
        return self._reading

    def _make(self) -> Reading:
        from lupis_instrument._llm.body.decoding import Reading

        return Reading(*self._what, chunked=self.chunked)


def _copy(data: bytes | bytearray | memoryview) -> bytes:
    try:
        return memoryview(data).tobytes()
    except TypeError:
        return b""
