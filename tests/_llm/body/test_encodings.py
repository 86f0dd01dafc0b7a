"""Decoding of Content-Encoding piece by piece, in bounded memory."""

from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib

import brotli
import pytest

from lupis_instrument._llm.body import encodings
from lupis_instrument._llm.body.encodings import (
    EncodingError,
    build_decoders,
    select_decoder,
)

TEXT = b'data: {"usage": {"prompt_tokens": 5}}\n\n' + bytes(range(256)) * 400


def raw_deflate(data):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def zstd(data):
    return pytest.importorskip("zstandard").compress(data)


CODINGS = {
    "identity": lambda data: data,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd,
}


def decode(header, data, cut=1 << 30):
    pieces = []
    decoders = build_decoders(header, pieces.append)
    for start in range(0, len(data), cut):
        decoders[0].feed(data[start : start + cut])
    for stage in decoders:
        stage.close()
    assert all(len(piece) <= encodings.MAX_PIECE_BYTES for piece in pieces)
    return b"".join(pieces)


@pytest.mark.parametrize("cut", [1, 7, 1 << 30])
@pytest.mark.parametrize("coding", CODINGS)
def test_coding_is_decoded(coding, cut):
    """Each coding is decoded, wherever its bytes are cut."""
    assert TEXT == decode(coding, CODINGS[coding](TEXT), cut)


@pytest.mark.parametrize("coding", CODINGS)
def test_decoded_body_passes_unchanged(coding):
    """A body passes unchanged if the client has decoded it but kept the header."""
    text = b'{"usage": {"prompt_tokens": 5}, "choices": []}' * 50
    assert text == decode(coding, text, 5)


@pytest.mark.parametrize("text", [b"{}", b'{"a": 1}', b"data: x\n\n", b"[\n1]"])
@pytest.mark.parametrize("coding", CODINGS)
def test_short_decoded_body_passes_unchanged(coding, text):
    """A few bytes are enough to recognise that a body is not compressed."""
    assert text == decode(coding, text)


def test_raw_deflate_is_decoded():
    """Raw deflate (RFC 1951) is decoded, though RFC 9110 requires the zlib format (RFC 1950)."""
    assert TEXT == decode("deflate", raw_deflate(TEXT), 9)


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_magic_number_is_enough(compress):
    """A coding with a magic number is decoded even if the header is missing."""
    assert TEXT == decode(None, compress(TEXT))


def test_codings_are_decoded_in_reverse_order():
    """The coding that the header names last is decoded first."""
    assert TEXT == decode("gzip, br", brotli.compress(gzip.compress(TEXT)), 11)


def test_all_members_of_gzip_are_decoded():
    """All members of a gzip body are decoded; zeros after the last are padding."""
    assert TEXT + b"more" == decode(
        "gzip", gzip.compress(TEXT) + gzip.compress(b"more") + b"\0" * 9
    )


def test_all_frames_of_zstd_are_decoded():
    """All frames of a zstd body are decoded."""
    assert TEXT + b"more" == decode("zstd", zstd(TEXT) + zstd(b"more"), 100)


def test_brotli_without_output_limit_is_decoded():
    """Releases of brotli before 1.2 can't limit their output and get little input at a time."""
    pieces = []
    decoder = encodings.BrotliDecoder(pieces.append)
    decoder._can_limit_output = False
    decoder.feed(brotli.compress(TEXT))
    assert TEXT == b"".join(pieces)


def test_cut_off_body_is_decoded_to_its_end():
    """A body that is cut off is decoded as far as it came."""
    noise = bytes(random.Random(1).choices(range(256), k=9000))
    assert noise[:1000] == decode("gzip", gzip.compress(noise)[:-4000])[:1000]


@pytest.mark.parametrize("coding", ["gzip", "zstd", "deflate"])
def test_broken_body_raises(coding):
    """Bytes that are not in the coding raise an error."""
    good = CODINGS[coding](bytes(random.Random(1).choices(range(256), k=200_000)))
    with pytest.raises(Exception, match=r"."):
        decode(coding, good[:90_000] + b"\xff" * 90_000)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_decompression_bomb_takes_little_memory(coding):
    """A few bytes that decode to very many are written in small pieces."""
    bomb = CODINGS[coding](b"\0" * 30_000_000)
    decoders = build_decoders(coding, len)
    decoders[0].feed(bomb[:8])  # imports the module
    tracemalloc.start()
    decoders[0].feed(bomb[8:])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_body_beyond_the_limit_raises(monkeypatch):
    """Decoding ends with an error after more bytes than any answer has."""
    monkeypatch.setattr(encodings, "MAX_DECODED_BYTES", 100_000)
    with pytest.raises(EncodingError, match="100000 bytes"):
        decode("gzip", gzip.compress(b"\0" * 200_000))


def test_missing_module_raises():
    """A coding without an installed module raises an error that names the modules."""
    with pytest.raises(EncodingError, match="none of no_such_module, nor_this is installed"):
        encodings._import_first("no_such_module", "nor_this")


def test_unknown_coding_passes_unchanged():
    """A body in an unknown coding passes unchanged."""
    assert select_decoder("compress", b"{") is encodings.IdentityDecoder
