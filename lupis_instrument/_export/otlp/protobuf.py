"""Reads messages in protobuf's wire format.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from typing import Any, Iterator

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
"""Wire types, which stand in the lowest three bits of a field's tag."""
VARINT_MORE, VARINT_BITS, VARINT_SHIFT = 0x80, 0x7F, 7
"""A varint holds seven bits a byte, lowest first; the top bit says that another byte follows."""
_WIDTHS = {FIXED64: 8, FIXED32: 4}


def read_fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field: an int for a varint, otherwise bytes.

    Raises:
        ValueError: `data` is no protobuf message.
    """
    offset = 0
    while offset < len(data):
        tag, offset = read_varint(data, offset)
        wire_type = tag & 7
        if not tag >> 3:
            raise ValueError(f"field number 0 before byte {offset}")
        if wire_type == VARINT:
            value, offset = read_varint(data, offset)
            yield tag >> 3, value
            continue
        if wire_type == DELIMITED:
            width, offset = read_varint(data, offset)
        elif wire_type in _WIDTHS:
            width = _WIDTHS[wire_type]
        else:
            raise ValueError(f"wire type {wire_type} at byte {offset}")
        if offset + width > len(data):
            raise ValueError(f"cut off at byte {len(data)}")
        yield tag >> 3, data[offset : offset + width]
        offset += width


def read_varint(data: bytes, offset: int) -> tuple[int, int]:
    """Return the number at `offset`, and the offset behind it."""
    number = shift = 0
    while offset < len(data) and shift < 64:  # noqa: PLR2004 - bits
        byte = data[offset]
        offset += 1
        number |= (byte & VARINT_BITS) << shift
        if byte < VARINT_MORE:
            return number, offset
        shift += VARINT_SHIFT
    raise ValueError(f"no number at byte {offset}")
