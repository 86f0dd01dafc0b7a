"""Reads one response body while the program reads it, and keeps none of its bytes."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._process.import_lock import Lazy

if TYPE_CHECKING:
    from lupis_instrument._llm.api.endpoints import Endpoint
    from lupis_instrument._llm.body.decoding import ResponseDecoder

_MAX_HELD_BYTES = 128 * 1024  # memory that chunks may take before they are decoded
_CHUNK_OVERHEAD = 48  # bytes of memory that a chunk takes besides its data


class BodyReader:
    """Receives the bytes of one response body as the program reads them.

    `feed` only keeps a reference to the bytes. After 128 KiB, the next call decodes all of them at
    once and drops them. The decoder is imported when the first body is decoded; by then, the
    program usually has its answer.

    Attributes:
        chunk_count: the number of chunks that were fed.
        chunked: whether the bytes are in the chunked transfer coding.
        first_chunk: the time of the first chunk, of `perf_counter_ns`; None if none has come.
        held_bytes: memory that the chunks take which are not decoded yet.
    """

    __slots__ = (
        "_chunks", "_decoder", "_decoder_arguments", "_finished", "chunk_count", "chunked",
        "first_chunk", "held_bytes",
    )  # fmt: skip

    def __init__(
        self,
        endpoint: Endpoint,
        content_type: str | None,
        content_encoding: str | None,
        *,
        chunked: bool = False,
    ) -> None:
        self._chunks: list[bytes] = []
        self.held_bytes = self.chunk_count = 0
        self.first_chunk: int | None = None
        self._decoder_arguments = (endpoint, content_type, content_encoding)
        self.chunked = chunked
        self._decoder: ResponseDecoder | None = None
        self._finished: ResponseDecoder | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Receive a chunk of the body as it came from the network, cut anywhere; never fails."""
        try:
            if type(data) is not bytes:
                data = _copy_bytes(data)
            if self.held_bytes > _MAX_HELD_BYTES:
                self._decode_chunks()
            elif not self.chunk_count:
                self.first_chunk = perf_counter_ns()
            self._chunks.append(data)
            self.chunk_count += 1
            self.held_bytes += len(data) + _CHUNK_OVERHEAD
        except Exception as fault:
            report_fault("reading a body", fault)

    def drop_unread(self, count: int) -> None:
        """Remove the last `count` bytes of the last chunk, which the program didn't read."""
        if count and self._chunks:
            self._chunks[-1] = self._chunks[-1][:-count]

    def finish(self) -> ResponseDecoder:
        """Return the decoder with the facts of the body, which has ended or is abandoned."""
        if self._finished is None:
            self._finished = self._decode_chunks()
            self._finished.close()
        return self._finished

    def _decode_chunks(self) -> ResponseDecoder:
        decoder = self._decoder
        if decoder is None:
            decoder_class = (_decoder_class.made or _decoder_class.make())[0]
            decoder = decoder_class(*self._decoder_arguments, chunked=self.chunked)
            self._decoder = decoder
        data = b"".join(self._chunks)
        self._chunks = []
        self.held_bytes = 0
        decoder.feed(data)
        return decoder


def _import_decoder() -> type[ResponseDecoder]:
    from lupis_instrument._llm.body.decoding import ResponseDecoder

    return ResponseDecoder


_decoder_class = Lazy(_import_decoder)


def _copy_bytes(data: bytes | bytearray | memoryview) -> bytes:
    """Copy a buffer that the program may reuse; empty if a client passes no bytes at all."""
    try:
        return memoryview(data).tobytes()
    except TypeError:
        return b""
