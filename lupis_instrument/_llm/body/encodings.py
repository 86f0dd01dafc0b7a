"""Undoes the Content-Encoding of a body piece by piece, in bounded memory.

Whether a body is encoded is told by its first bytes as well as by the header: clients hand over
some bodies already decoded with the header left standing.
"""

from __future__ import annotations

import re
import zlib
from importlib import import_module
from typing import Any, Callable

PIECE = 64 * 1024
"""The most that is decoded at one go, in bytes."""
MOST_DECODED = 1 << 30
"""Decoded bytes after which a body is given up: no answer is that long, but a bomb is."""
_LARGEST_WINDOW = 8 << 20  # RFC 9659: what a zstd decoder of the web has to support
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SNIFFED = 8
# How JSON and server-sent events begin; compressed data could, but hardly ever does.
_TEXT = re.compile(rb"\s*(?:[\[{]|data:|event:|id:|retry:|:)")

Write = Callable[[bytes], object]


class EncodingError(ValueError):
    """The bytes are not of the encoding they were taken for, or decode to too many."""


class Decoder:
    """Undoes one encoding: bytes in by `feed`, decoded pieces out by the `write` given."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def feed(self, data: bytes) -> None:
        """Decode a piece; raises what its module raises where that can't be."""
        raise NotImplementedError

    def close(self) -> None:
        """Let out what is held back; nothing, as a rule."""

    def _put(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            self._write(data[start : start + PIECE])


class Zlib(Decoder):
    """gzip (also of several members), and deflate with or without zlib's header."""

    _window = zlib.MAX_WBITS

    def __init__(self, write: Write) -> None:
        super().__init__(write)
        self._stream = zlib.decompressobj(self._window)

    def feed(self, data: bytes) -> None:
        """Decode a piece; what follows the last gzip member is padding."""
        while data:
            piece = self._stream.decompress(data, PIECE)
            if piece:
                self._write(piece)
            data = self._stream.unconsumed_tail
            if self._stream.eof:
                data = self._stream.unused_data
                if not data.startswith(_GZIP):
                    return
                self._stream = zlib.decompressobj(self._window)


class Gzip(Zlib):
    """RFC 1952."""

    _window = zlib.MAX_WBITS | 16


class RawDeflate(Zlib):
    """RFC 1951, which some servers send as deflate."""

    _window = -zlib.MAX_WBITS


class Brotli(Decoder):
    """RFC 7932, by whichever of brotli and brotlicffi the program has.

    The format has no magic number, so that a body already decoded is told by failing as brotli
    before anything came out; it then passes unchanged.
    """

    def __init__(self, write: Write) -> None:
        super().__init__(write)
        module = _import_first("brotli", "brotlicffi")
        self._error = module.error
        self._stream = module.Decompressor()
        self._bounded = hasattr(self._stream, "can_accept_more_data")
        self._doubtful: bytes | None = b""
        self._plain = False

    def feed(self, data: bytes) -> None:
        """Decode a piece."""
        if self._plain:
            self._write(data)
            return
        if self._doubtful is not None:
            self._doubtful += data
        try:
            self._decode(data)
        except self._error as error:
            self._give_up(error)
        if self._doubtful is not None and len(self._doubtful) > PIECE:
            self._doubtful = None

    def close(self) -> None:
        """Pass on a short body that brotli waited for more of."""
        if self._doubtful and not self._plain and _TEXT.match(self._doubtful):
            self._write(self._doubtful)

    def _give_up(self, error: Exception) -> None:
        if not self._doubtful:
            raise EncodingError(str(error)) from None
        self._plain = True
        self._put(self._doubtful)

    def _decode(self, data: bytes) -> None:
        """Older releases can't bound what comes out, so that less goes in at once."""
        if not self._bounded:
            for start in range(0, len(data), 256):
                self._emit(self._stream.process(data[start : start + 256]))
            return
        piece = self._stream.process(data, output_buffer_limit=PIECE)
        while piece:
            self._emit(piece)
            piece = self._stream.process(b"", output_buffer_limit=PIECE)

    def _emit(self, piece: bytes) -> None:
        if piece:
            self._doubtful = None
            self._put(piece)


class Zstd(Decoder):
    """RFC 8878, by whichever of the standard library's and PyPI's modules the program has."""

    def __init__(self, write: Write) -> None:
        super().__init__(write)
        self._module = _import_first("compression.zstd", "backports.zstd", "zstandard")
        self._stream: Any = None
        if not hasattr(self._module, "DecompressionParameter"):
            decoder = self._module.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
            sink = _Sink(self._put)
            self._stream = decoder.stream_writer(sink, write_size=PIECE, closefd=False)

    def feed(self, data: bytes) -> None:
        """Decode a piece; the zstandard package bounds by what it writes, the others if asked."""
        if hasattr(self._stream, "write"):
            self._stream.write(data)
            return
        more = True
        while more:
            stream = self._stream = self._stream or self._open_frame()
            self._put(stream.decompress(data, max_length=PIECE))
            data = stream.unused_data
            if stream.eof:
                self._stream = None
            more = bool(data) if stream.eof else not stream.needs_input

    def _open_frame(self) -> Any:
        parameter = self._module.DecompressionParameter.window_log_max
        window_log = _LARGEST_WINDOW.bit_length() - 1
        return self._module.ZstdDecompressor(options={parameter: window_log})


class _Sink:
    """The file-like end that zstandard's writer wants."""

    def __init__(self, write: Write) -> None:
        self._put = write

    def write(self, data: bytes) -> int:
        """Pass a piece on."""
        self._put(bytes(data))
        return len(data)


def _import_first(*names: str) -> Any:
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    raise EncodingError(f"none of {', '.join(names)} is installed")


class Chunked(Decoder):
    """Undoes the chunked transfer coding (RFC 9112 section 7.1) as leniently as clients do.

    Attributes:
        count: how many chunks have begun.
        ended: whether the last chunk came, which is empty.
        broken: whether something stood where a chunk's size should.
    """

    def __init__(self, write: Write) -> None:
        super().__init__(write)
        self.count = 0
        self.ended = self.broken = False
        self._size = b""  # the part of a size's line that came
        self._ahead = 0  # bytes until the next size's line

    def feed(self, data: bytes) -> None:
        """Pass on what is in the chunks."""
        if self.ended or self.broken:
            return
        data = self._size + data
        parts = [data[: max(0, self._ahead - _LINE_BREAK)]]
        place = self._split(data, self._ahead, parts)
        self.count += len(parts) - 1
        self._ahead = max(0, place - len(data))
        self._size = data[place:]
        self._write(b"".join(parts))

    def _split(self, data: bytes, place: int, parts: list[bytes]) -> int:
        """Add what is in the chunks from `place` on; return where the next size's line starts."""
        length = len(data)
        while place < length:
            end = data.find(b"\n", place) + 1
            if not end:
                self.broken = length - place > _LONGEST_SIZE
                break
            try:
                size = int(data[place:end], 16)
            except ValueError:
                size = _read_size(data[place:end])
            if size <= 0:
                self.ended, self.broken = size == 0, size < 0
                break
            parts.append(data[end : end + size])
            place = end + size + _LINE_BREAK
        return place


_LINE_BREAK = 2  # the CR LF after a chunk's data, which clients don't look at
_LONGEST_SIZE = 64 * 1024  # http.client's own bound of a line


def _read_size(line: bytes) -> int:
    """The size of a chunk that has extensions; -1 where there is none."""
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        return -1


class Bounded(Decoder):
    """Identity in small pieces, which gives up a body of more than `MOST_DECODED` bytes."""

    def __init__(self, write: Write) -> None:
        super().__init__(write)
        self._left = MOST_DECODED

    def feed(self, data: bytes) -> None:
        """Pass a piece on."""
        self._left -= len(data)
        if self._left < 0:
            raise EncodingError(f"the body decodes to more than {MOST_DECODED} bytes")
        self._put(data)


class Sniffing(Decoder):
    """Undoes the one coding it is told of if the first bytes bear it out; else changes nothing.

    gzip and zstd are undone unasked too, since no text begins with their magic numbers.
    """

    def __init__(self, write: Write, coding: str = "") -> None:
        super().__init__(write)
        self._coding = coding
        self._decoder: Decoder | None = None
        self._start = b""

    def feed(self, data: bytes) -> None:
        """Decode a piece, once enough has come to tell the coding."""
        if self._decoder is not None:
            self._decoder.feed(data)
            return
        self._start += data
        if len(self._start) >= _SNIFFED:
            self._choose()

    def close(self) -> None:
        """Let out what was held back."""
        if self._decoder is None and self._start:
            self._choose()
        if self._decoder is not None:
            self._decoder.close()

    def _choose(self) -> None:
        data, self._start = self._start, b""
        self._decoder = find_decoder(self._coding, data)(self._write)
        self._decoder.feed(data)


def find_decoder(coding: str, start: bytes) -> type[Decoder]:
    """The decoder for a body that begins with `start` and is said to be of `coding`."""
    if start.startswith(_GZIP):
        return Gzip
    if start.startswith(_ZSTD):
        return Zstd
    if coding == "br":
        return Brotli
    if coding == "deflate" and not _TEXT.match(start):
        return Zlib if int.from_bytes(start[:2], "big") % 31 == 0 else RawDeflate
    return Bounded


def build_decoders(content_encoding: str | None, write: Write) -> list[Decoder]:
    """The chain that undoes a Content-Encoding header's codings, the first to be fed first."""
    codings = [coding.strip().lower() for coding in (content_encoding or "").split(",")]
    stages: list[Decoder] = [Bounded(write)]
    for coding in codings:
        stages.insert(0, Sniffing(stages[0].feed, coding))
    return stages
