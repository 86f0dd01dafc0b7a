"""Undoing the chunked transfer coding."""

from __future__ import annotations

import pytest

from lupis_instrument._llm.body.chunked import ChunkedDecoder

TEXT = b'data: {"usage": {"prompt_tokens": 5}}\n\n' + bytes(range(256)) * 400
SIZES = [1, 2, 15, 16, 17, 4096]


def chunk(data, size, extension=b"", line_end=b"\r\n"):
    parts = (data[start : start + size] for start in range(0, len(data), size))
    return b"".join(b"%X%s%s%s\r\n" % (len(part), extension, line_end, part) for part in parts)


def unchunk(wire, cut):
    pieces = []
    framing = ChunkedDecoder(pieces.append)
    for start in range(0, len(wire), cut):
        framing.feed(wire[start : start + cut])
    return b"".join(pieces), framing


@pytest.mark.parametrize("cut", [1, 7, 1 << 30])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("end", [b"0\r\n\r\n", b"000;x\r\nx-trailer: 5\r\n\r\n", b"0\n"])
def test_chunks_are_put_together(cut, size, end):
    """Whatever their size, wherever they are cut; and counted."""
    text = TEXT[:4096]
    body, framing = unchunk(chunk(text, size) + end, cut)
    assert (text, -(-len(text) // size)) == (body, framing.count)
    assert (True, False) == (framing.ended, framing.broken)


@pytest.mark.parametrize("extension", [b";", b" ; name=value", b';name="a;b"', b"  "])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_chunk_extensions_are_passed_over(extension, line_end):
    """And a line may end as clients let it end."""
    wire = chunk(TEXT, 100, extension, line_end)
    assert TEXT == unchunk(wire, 9)[0]


def test_what_follows_the_last_chunk_is_no_body():
    """It is a trailer, or the next response."""
    body, _ = unchunk(chunk(b"abc", 2) + b"0\r\n\r\n5\r\nhello\r\n", 3)
    assert b"abc" == body


@pytest.mark.parametrize("size", [b"nonsense\r\n", b"\r\n", b"-5\r\n", b"x" * 99_999])
def test_chunks_without_a_size_are_broken(size):
    """What came before them counts."""
    body, framing = unchunk(chunk(b"abc", 3) + size + b"3\r\nabc\r\n", 5)
    assert (b"abc", True, False) == (body, framing.broken, framing.ended)


def test_chunks_that_are_cut_off_are_neither_whole_nor_broken():
    """More of them could come."""
    wire = chunk(b"abc" * 9, 5) + b"0\r\n"
    for end in range(len(wire)):
        body, framing = unchunk(wire[:end], 4)
        assert (b"abc" * 9)[: len(body)] == body
        assert (False, False) == (framing.ended, framing.broken)
