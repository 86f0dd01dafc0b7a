"""Decoding of the chunked transfer coding."""

from __future__ import annotations

import pytest

from lupis_instrument._llm.body.chunked import ChunkedDecoder

TEXT = b'data: {"usage": {"prompt_tokens": 5}}\n\n' + bytes(range(256)) * 400
SIZES = [1, 2, 15, 16, 17, 4096]


def encode(data, size, extension=b"", line_end=b"\r\n"):
    parts = (data[start : start + size] for start in range(0, len(data), size))
    return b"".join(b"%X%s%s%s\r\n" % (len(part), extension, line_end, part) for part in parts)


def decode(wire, cut):
    decoder = ChunkedDecoder()
    pieces = [decoder.decode(wire[start : start + cut]) for start in range(0, len(wire), cut)]
    return b"".join(pieces), decoder


@pytest.mark.parametrize("cut", [1, 7, 1 << 30])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("end", [b"0\r\n\r\n", b"000;x\r\nx-trailer: 5\r\n\r\n", b"0\n"])
def test_chunks_are_joined_and_counted(cut, size, end):
    """Chunks of any size, cut anywhere, are joined and counted."""
    text = TEXT[:4096]
    body, decoder = decode(encode(text, size) + end, cut)
    assert (text, -(-len(text) // size)) == (body, decoder.count)
    assert (True, False) == (decoder.ended, decoder.broken)


@pytest.mark.parametrize("extension", [b";", b" ; name=value", b';name="a;b"', b"  "])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_chunk_extensions_are_ignored(extension, line_end):
    """Extensions after the size are ignored, and a line may end with CR LF or LF."""
    wire = encode(TEXT, 100, extension, line_end)
    assert TEXT == decode(wire, 9)[0]


def test_bytes_after_the_last_chunk_are_ignored():
    """Bytes after the last chunk are a trailer or the next response, not the body."""
    body, _ = decode(encode(b"abc", 2) + b"0\r\n\r\n5\r\nhello\r\n", 3)
    assert b"abc" == body


@pytest.mark.parametrize("size", [b"nonsense\r\n", b"\r\n", b"-5\r\n", b"x" * 99_999])
def test_chunk_without_size_is_broken(size):
    """A size that can't be read makes the body broken; earlier chunks count."""
    body, decoder = decode(encode(b"abc", 3) + size + b"3\r\nabc\r\n", 5)
    assert (b"abc", True, False) == (body, decoder.broken, decoder.ended)


def test_cut_off_body_is_neither_ended_nor_broken():
    """A body that is cut off is neither ended nor broken: more could come."""
    wire = encode(b"abc" * 9, 5) + b"0\r\n"
    for end in range(len(wire)):
        body, decoder = decode(wire[:end], 4)
        assert (b"abc" * 9)[: len(body)] == body
        assert (False, False) == (decoder.ended, decoder.broken)
