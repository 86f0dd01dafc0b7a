"""Content-Encoding is undone as it comes, in bounded memory."""

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
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


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
    stages = build_decoders(header, pieces.append)
    for start in range(0, len(data), cut):
        stages[0].feed(data[start : start + cut])
    for stage in stages:
        stage.close()
    assert all(len(piece) <= encodings.MAX_PIECE_BYTES for piece in pieces)
    return b"".join(pieces)


@pytest.mark.parametrize("cut", [1, 7, 1 << 30])
@pytest.mark.parametrize("coding", CODINGS)
def test_coding_is_undone(coding, cut):
    """Each coding is undone wherever its bytes are cut."""
    assert TEXT == decode(coding, CODINGS[coding](TEXT), cut)


@pytest.mark.parametrize("coding", CODINGS)
def test_body_already_decoded_passes(coding):
    """Clients hand over decoded bodies with the header left standing."""
    text = b'{"usage": {"prompt_tokens": 5}, "choices": []}' * 50
    assert text == decode(coding, text, 5)


@pytest.mark.parametrize("text", [b"{}", b'{"a": 1}', b"data: x\n\n", b"[\n1]"])
@pytest.mark.parametrize("coding", CODINGS)
def test_short_body_already_decoded_passes(coding, text):
    """A body of a few bytes is enough to tell that it is not compressed."""
    assert text == decode(coding, text)


def test_deflate_without_its_header_is_undone():
    """Some servers send RFC 1951 where RFC 9110 asks for RFC 1950."""
    assert TEXT == decode("deflate", raw_deflate(TEXT), 9)


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_coding_with_a_magic_number_is_undone_unasked(compress):
    """A missing header doesn't hide what the first bytes say."""
    assert TEXT == decode(None, compress(TEXT))


def test_codings_are_undone_in_reverse_order():
    """The last coding named was put on last."""
    assert TEXT == decode("gzip, br", brotli.compress(gzip.compress(TEXT)), 11)


def test_members_of_gzip_are_read_one_after_another():
    """A gzip file may have several members; zeros after the last are padding."""
    assert TEXT + b"more" == decode(
        "gzip", gzip.compress(TEXT) + gzip.compress(b"more") + b"\0" * 9
    )


def test_frames_of_zstd_are_read_one_after_another():
    """A zstd file may have several frames."""
    assert TEXT + b"more" == decode("zstd", zstd(TEXT) + zstd(b"more"), 100)


def test_brotli_that_cannot_bound_its_output_is_fed_little_at_a_time():
    """Releases before 1.2 have no limit of what comes out."""
    pieces = []
    decoder = encodings.BrotliDecoder(pieces.append)
    decoder._bounded = False
    decoder.feed(brotli.compress(TEXT))
    assert TEXT == b"".join(pieces)


def test_cut_off_body_gives_what_came():
    """A stream that breaks off is decoded as far as it goes."""
    noise = bytes(random.Random(1).choices(range(256), k=9000))
    assert noise[:1000] == decode("gzip", gzip.compress(noise)[:-4000])[:1000]


@pytest.mark.parametrize("coding", ["gzip", "zstd", "deflate"])
def test_broken_body_is_refused(coding):
    """What stops being of its coding is not guessed at."""
    good = CODINGS[coding](bytes(random.Random(1).choices(range(256), k=200_000)))
    with pytest.raises(Exception, match=r"."):
        decode(coding, good[:90_000] + b"\xff" * 90_000)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_bomb_takes_little_memory(coding):
    """A few bytes that decode to very many are let out in small pieces."""
    bomb = CODINGS[coding](b"\0" * 30_000_000)
    stages = build_decoders(coding, len)
    stages[0].feed(bomb[:8])  # modules are loaded now
    tracemalloc.start()
    stages[0].feed(bomb[8:])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_body_without_end_is_given_up(monkeypatch):
    """Beyond what any answer can hold, decoding ends."""
    monkeypatch.setattr(encodings, "MAX_DECODED_BYTES", 100_000)
    with pytest.raises(EncodingError, match="100000 bytes"):
        decode("gzip", gzip.compress(b"\0" * 200_000))


def test_missing_decoder_is_refused():
    """A coding whose module is not there can't be read, and says so."""
    with pytest.raises(EncodingError, match="none of no_such_module, nor_this is installed"):
        encodings._import_first("no_such_module", "nor_this")


def test_unknown_coding_passes():
    """What nobody can undo is looked at as it is."""
    assert select_decoder("compress", b"{") is encodings.IdentityDecoder
