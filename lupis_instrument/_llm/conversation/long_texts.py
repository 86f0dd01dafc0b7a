"""Takes long texts such as pictures out of a JSON text, so that the other values parse quickly.

A conversation is recognised by hashes of its messages. So before a request is parsed, a stand-in of
600 bytes, which contains a hash, replaces each picture of some megabytes of base64.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Iterator

if TYPE_CHECKING:
    from typing import Tuple

    Span = Tuple[int, int]

_STEP_BYTES = 8 * 1024
"""Every string of twice this length without quotation marks contains a whole step."""
_CHECKED_BYTES = 64 * 1024
_MAX_SCHEME = 256
"""Bytes at the start of a text that may contain a comma: `data:image/png;base64,`."""
_OUTSIDE_STRINGS = (b",", b" ", b"\n", b"\r", b"\t", b"[", b"]", b"\\")
"""One of these is in every long part of JSON that is outside strings. The last is an escape."""
_LENGTH = 600
"""The length of a stand-in: longer than any id or name that is read."""
_STAND_IN = re.compile(rb"lupis-long-text:[0-9a-f]{16}:[0-9]{10}-*")

LongTexts = Dict[bytes, memoryview]
"""By stand-in: the text that it replaces."""


class RequestMembers(Dict[str, Any]):
    """The members of a request whose long texts are replaced.

    Attributes:
        long_texts: the texts. They are views of the request's body, which they keep in memory.
    """

    __slots__ = ("long_texts",)

    def __init__(self, members: dict[str, Any], long_texts: LongTexts) -> None:
        super().__init__(members)
        self.long_texts = long_texts


def replace_long_texts(body: bytes) -> tuple[bytes, LongTexts]:
    """Return a JSON text with stand-ins for its long texts, and the texts.

    Only texts that JSON writes without escapes are replaced, such as base64. Equal texts have equal
    stand-ins in this process.
    """
    long_texts: LongTexts = {}
    parts: list[bytes] = []
    position = 0
    view = memoryview(body)
    for start, end in _find_long_texts(body):
        text = view[start:end]
        stand_in = _make_stand_in(text)
        long_texts[stand_in] = text
        parts += (body[position:start], stand_in)
        position = end
    return (b"".join([*parts, body[position:]]) if parts else body), long_texts


def restore_long_texts(text: bytes, long_texts: LongTexts) -> Iterator[bytes | memoryview]:
    """Yield the parts of a text with the long texts instead of their stand-ins."""
    position = 0
    for match in _STAND_IN.finditer(text) if long_texts else ():
        yield text[position : match.start()]
        yield long_texts.get(match.group(), match.group())
        position = match.end()
    yield text[position:]


def _make_stand_in(text: memoryview) -> bytes:
    digits = hash(text) & 0xFFFF_FFFF_FFFF_FFFF
    return b"lupis-long-text:%016x:%010d" % (digits, len(text)) + b"-" * (_LENGTH - 43)


def _find_long_texts(body: bytes) -> Iterator[Span]:
    """Yield the positions of long strings that are surely inside quotation marks."""
    position = 0
    while position + _STEP_BYTES <= len(body):
        next_position = position + _STEP_BYTES
        if body.find(b'"', position, next_position) < 0:
            start = body.rfind(b'"', 0, position) + 1
            end = body.find(b'"', next_position)
            if end < 0:
                return
            if start and _is_plain(body, start, end):
                yield start, end
            next_position = end + 1
        position = next_position


def _is_plain(body: bytes, start: int, end: int) -> bool:
    """Return whether a part without quotation marks is a string of ASCII without escapes."""
    scheme_end = start + _MAX_SCHEME
    if any(body.find(mark, scheme_end, end) >= 0 for mark in _OUTSIDE_STRINGS):
        return False
    blocks = range(start, end, _CHECKED_BYTES)
    scheme = body[start:scheme_end]
    return (
        scheme.isascii()
        and b"\\" not in scheme
        and all(body[block : min(end, block + _CHECKED_BYTES)].isascii() for block in blocks)
    )
