"""Reads the bodies of requests to the receiver, within limits, compressed or not."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, BinaryIO, Iterator

from lupis_instrument._viewer.replies import make_error

if TYPE_CHECKING:
    from email.message import Message

MAX_BODY_BYTES = 16 << 20
"""The size of a body, before and after decompression."""
_ENCODINGS = {"": 0, "identity": 0, "gzip": 31, "deflate": 15}
"""By content encoding: the window bits of `zlib`; 0 for none."""
_PIECE_BYTES = 256 << 10
_MAX_CHUNK_LINE = 1024
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_TOO_BIG = f"the body is bigger than {MAX_BODY_BYTES >> 20} MiB; send fewer items at once"


class BodyError(Exception):
    """A body cannot be read.

    Attributes:
        reply: the answer.
    """

    def __init__(self, status: int, text: str) -> None:
        """Make an error with its answer."""
        super().__init__(text)
        self.reply = make_error(status, text)


def read_body(headers: Message, file: BinaryIO) -> bytes:
    """Return the body of a request, as it was sent.

    Args:
        headers: the headers of the request.
        file: the connection.

    Raises:
        BodyError: the body is too big or incomplete, or has no length.
    """
    transfer = headers.get("Transfer-Encoding")
    length = headers.get("Content-Length")
    if transfer is not None:
        if transfer.strip().lower() != "chunked" or length is not None:
            raise BodyError(400, "the transfer encoding is not valid")
        return b"".join(_read_chunks(file))
    if length is None:
        raise BodyError(411, "expected the header Content-Length")
    if not (length.isascii() and length.isdigit()):
        raise BodyError(400, "the header Content-Length is not valid")
    if len(length) > len(str(MAX_BODY_BYTES)) or int(length) > MAX_BODY_BYTES:
        raise BodyError(413, _TOO_BIG)
    return b"".join(_read_pieces(file, int(length)))


def _read_pieces(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length:
        piece = file.read(min(length, _PIECE_BYTES))
        if not piece:
            raise BodyError(400, "the body is shorter than its length")
        length -= len(piece)
        yield piece


def _read_chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the pieces of a chunked body (RFC 9112, section 7.1)."""
    left = MAX_BODY_BYTES
    while True:
        digits = file.readline(_MAX_CHUNK_LINE).partition(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(digits):
            raise BodyError(400, "the body has a chunk without a size")
        size = int(digits, 16)
        left -= size
        if left < 0:
            raise BodyError(413, _TOO_BIG)
        if not size:
            break
        yield from _read_pieces(file, size)
        if file.readline(_MAX_CHUNK_LINE).strip():
            raise BodyError(400, "the body has a chunk that is too long")
    while file.readline(_MAX_CHUNK_LINE).strip():  # trailers, which the limits on time end
        left -= _MAX_CHUNK_LINE
        if left < 0:
            raise BodyError(413, _TOO_BIG)


def decompress_body(body: bytes, encoding: str) -> bytes:
    """Return a body without its content encoding.

    Raises:
        BodyError: the encoding is unknown, or the body is damaged or too big.
    """
    bits = _ENCODINGS.get(encoding.strip().lower())
    if bits is None:
        raise BodyError(415, "expected the content encoding gzip, deflate or identity")
    if not bits:
        return body
    inflater = zlib.decompressobj(bits)
    try:
        data = inflater.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error:
        raise BodyError(400, "the compressed body is damaged") from None
    if len(data) > MAX_BODY_BYTES:
        raise BodyError(413, _TOO_BIG)
    if not inflater.eof or inflater.unused_data:
        raise BodyError(400, "the compressed body is damaged")
    return data
