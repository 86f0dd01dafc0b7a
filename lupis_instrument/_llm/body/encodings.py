"""Undoes the Content-Encoding of a body piece by piece, in bounded memory.

The first bytes of a body decide together with the header: some clients pass on a decoded body
without removing the header.
"""

from __future__ import annotations

import re
import zlib
from importlib import import_module
from typing import Any, Callable

MAX_PIECE_BYTES = 64 * 1024
"""The size of the largest decoded piece, in bytes."""
MAX_DECODED_BYTES = 1 << 30
"""Decoded bytes after which decoding stops: no answer is that long, only a decompression bomb."""
_MAX_ZSTD_WINDOW = 8 << 20  # RFC 9659: the window that every zstd decoder for HTTP supports
# The magic numbers at the beginning of compressed data.
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SNIFFED_BYTES = 8
# The beginning of JSON and of server-sent events. Compressed data could begin like this too, but
# hardly ever does.
_TEXT = re.compile(rb"\s*(?:[\[{]|data:|event:|id:|retry:|:)")

Write = Callable[[bytes], object]


class EncodingError(ValueError):
    """The bytes can't be decoded, or decode to more than `MAX_DECODED_BYTES`."""


class Decoder:
    """Base of all decoders: `feed` takes encoded bytes, `write` receives the decoded pieces."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def feed(self, data: bytes) -> None:
        """Decode a piece; raises the error of the decoding module if that is impossible."""
        raise NotImplementedError

    def close(self) -> None:
        """Write the bytes that the decoder still holds; most decoders hold none."""

    def _write_pieces(self, data: bytes) -> None:
        for start in range(0, len(data), MAX_PIECE_BYTES):
            self._write(data[start : start + MAX_PIECE_BYTES])


class ZlibDecoder(Decoder):
    """Decodes deflate in the zlib format (RFC 1950); subclasses decode gzip and raw deflate."""

    # The format is part of the window size: https://docs.python.org/3/library/zlib.html
    _window = zlib.MAX_WBITS

    def __init__(self, write: Write) -> None:
        super().__init__(write)
        self._stream = zlib.decompressobj(self._window)

    def feed(self, data: bytes) -> None:
        """Decode a piece; gzip may have several members, and padding after the last one."""
        while data:
            piece = self._stream.decompress(data, MAX_PIECE_BYTES)
            if piece:
                self._write(piece)
            data = self._stream.unconsumed_tail
            if self._stream.eof:
                data = self._stream.unused_data
                if not data.startswith(_GZIP):
                    return
                self._stream = zlib.decompressobj(self._window)


class GzipDecoder(ZlibDecoder):
    """Decodes gzip (RFC 1952)."""

    _window = zlib.MAX_WBITS | 16


class RawDeflateDecoder(ZlibDecoder):
    """Decodes raw deflate (RFC 1951), which some servers send instead of the zlib format."""

    _window = -zlib.MAX_WBITS


class BrotliDecoder(Decoder):
    """Decodes brotli (RFC 7932) with the program's brotli or brotlicffi module.

    The format has no magic number. A body is recognised as already decoded if brotli fails before
    it has decoded anything; the body then passes unchanged.
    """

    def __init__(self, write: Write) -> None:
        super().__init__(write)
        module = _import_first("brotli", "brotlicffi")
        self._error = module.error
        self._stream = module.Decompressor()
        self._can_limit_output = hasattr(self._stream, "can_accept_more_data")  # brotli 1.2
        self._undecided: bytes | None = b""  # the body so far, until it proves to be brotli
        self._is_plain = False

    def feed(self, data: bytes) -> None:
        """Decode a piece, or pass it on if the body proved not to be brotli."""
        if self._is_plain:
            self._write(data)
            return
        if self._undecided is not None:
            self._undecided += data
        try:
            self._decode_piece(data)
        except self._error as error:
            self._pass_unchanged(error)
        if self._undecided is not None and len(self._undecided) > MAX_PIECE_BYTES:
            self._undecided = None

    def close(self) -> None:
        """Pass on a short text that brotli took for the beginning of its format."""
        if self._undecided and not self._is_plain and _TEXT.match(self._undecided):
            self._write(self._undecided)

    def _pass_unchanged(self, error: Exception) -> None:
        """Go on without decoding; raises if something was decoded already."""
        if not self._undecided:
            raise EncodingError(str(error)) from None
        self._is_plain = True
        self._write_pieces(self._undecided)

    def _decode_piece(self, data: bytes) -> None:
        """Decode a piece; older releases can't limit their output, so they get less input."""
        if not self._can_limit_output:
            for start in range(0, len(data), 256):
                self._write_decoded(self._stream.process(data[start : start + 256]))
            return
        piece = self._stream.process(data, output_buffer_limit=MAX_PIECE_BYTES)
        while piece:
            self._write_decoded(piece)
            piece = self._stream.process(b"", output_buffer_limit=MAX_PIECE_BYTES)

    def _write_decoded(self, piece: bytes) -> None:
        if piece:
            self._undecided = None
            self._write_pieces(piece)


class ZstdDecoder(Decoder):
    """Decodes zstd (RFC 8878) with the standard library's module (Python 3.14) or one from PyPI."""

    def __init__(self, write: Write) -> None:
        super().__init__(write)
        self._module = _import_first("compression.zstd", "backports.zstd", "zstandard")
        self._stream: Any = None
        # zstandard writes to a file-like object; the other two share another interface.
        if not hasattr(self._module, "DecompressionParameter"):
            decoder = self._module.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW)
            sink = _Sink(self._write_pieces)
            self._stream = decoder.stream_writer(sink, write_size=MAX_PIECE_BYTES, closefd=False)

    def feed(self, data: bytes) -> None:
        """Decode a piece; zstandard always writes small pieces, the other modules take a limit."""
        if hasattr(self._stream, "write"):
            self._stream.write(data)
            return
        has_more = True
        while has_more:
            stream = self._stream = self._stream or self._open_frame()
            self._write_pieces(stream.decompress(data, max_length=MAX_PIECE_BYTES))
            data = stream.unused_data
            if stream.eof:
                self._stream = None
            has_more = bool(data) if stream.eof else not stream.needs_input

    def _open_frame(self) -> Any:
        parameter = self._module.DecompressionParameter.window_log_max
        window_log = _MAX_ZSTD_WINDOW.bit_length() - 1
        return self._module.ZstdDecompressor(options={parameter: window_log})


class _Sink:
    """The file-like object that zstandard's writer needs."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        """Pass on a piece and return its length, as a file does."""
        self._write(bytes(data))
        return len(data)


def _import_first(*names: str) -> Any:
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    raise EncodingError(f"none of {', '.join(names)} is installed")


class IdentityDecoder(Decoder):
    """Passes bytes on in small pieces, up to `MAX_DECODED_BYTES` in all."""

    def __init__(self, write: Write) -> None:
        super().__init__(write)
        self._bytes_left = MAX_DECODED_BYTES

    def feed(self, data: bytes) -> None:
        """Pass on the bytes; raises `EncodingError` beyond the limit."""
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise EncodingError(f"the body decodes to more than {MAX_DECODED_BYTES} bytes")
        self._write_pieces(data)


class SniffingDecoder(Decoder):
    """Undoes one coding of the header if the first bytes confirm it; else changes nothing.

    gzip and zstd are undone even if the header names no coding, because no text begins with their
    magic numbers.
    """

    def __init__(self, write: Write, coding: str = "") -> None:
        super().__init__(write)
        self._coding = coding
        self._decoder: Decoder | None = None
        self._start = b""

    def feed(self, data: bytes) -> None:
        """Decode a piece, as soon as enough bytes have come to recognise the coding."""
        if self._decoder is not None:
            self._decoder.feed(data)
            return
        self._start += data
        if len(self._start) >= _SNIFFED_BYTES:
            self._choose_decoder()

    def close(self) -> None:
        """Write the bytes that are still held back."""
        if self._decoder is None and self._start:
            self._choose_decoder()
        if self._decoder is not None:
            self._decoder.close()

    def _choose_decoder(self) -> None:
        data, self._start = self._start, b""
        self._decoder = select_decoder(self._coding, data)(self._write)
        self._decoder.feed(data)


def select_decoder(coding: str, start: bytes) -> type[Decoder]:
    """Return the decoder for a body that begins with `start` under a header with this `coding`."""
    if start.startswith(_GZIP):
        return GzipDecoder
    if start.startswith(_ZSTD):
        return ZstdDecoder
    if coding == "br":
        return BrotliDecoder  # recognises a decoded body itself
    if coding == "deflate" and not _TEXT.match(start):
        # RFC 1950: the first two bytes of the zlib format are a multiple of 31.
        return ZlibDecoder if int.from_bytes(start[:2], "big") % 31 == 0 else RawDeflateDecoder
    return IdentityDecoder


def build_decoders(content_encoding: str | None, write: Write) -> list[Decoder]:
    """Return the decoders for the codings of a Content-Encoding header.

    Each decoder writes to the next one; feed the body to the first. The last one limits the size
    and calls `write`.
    """
    codings = [coding.strip().lower() for coding in (content_encoding or "").split(",")]
    decoders: list[Decoder] = [IdentityDecoder(write)]
    for coding in codings:
        decoders.insert(0, SniffingDecoder(decoders[0].feed, coding))
    return decoders
