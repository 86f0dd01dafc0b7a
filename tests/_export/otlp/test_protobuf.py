"""Messages in protobuf's wire format are read field by field."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from lupis_instrument._export.otlp.encoding import (
    bytes_field,
    flags_field,
    int_field,
    text_field,
    time_field,
)
from lupis_instrument._export.otlp.protobuf import read_fields


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\x08\x96\x01", [(1, 150)]),
        (b"\x12\x07testing", [(2, b"testing")]),
        (b"\x1d\x01\x00\x00\x00", [(3, b"\x01\x00\x00\x00")]),
        (b"\x21\x01\x00\x00\x00\x00\x00\x00\x00", [(4, b"\x01\x00\x00\x00\x00\x00\x00\x00")]),
        (b"\x08\x01\x08\x02", [(1, 1), (1, 2)]),
        (b"\x80\x01\x05", [(16, 5)]),
    ],
)
def test_each_wire_type_is_read(data, expected):
    """A varint becomes an int; everything longer stays bytes."""
    assert expected == list(read_fields(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x0b", "wire type 3 at byte 1"),
        (b"\x12\x07test", "cut off at byte 6"),
        (b"\x08", "no number at byte 1"),
        (b"\x08\xff", "no number at byte 2"),
        (b"\x08" + b"\xff" * 11, "no number at byte 11"),
        (b"\x1d\x01\x00", "cut off at byte 3"),
        (b"\x00\x00", "field number 0 before byte 1"),
    ],
)
def test_an_error_names_the_byte(data, message):
    """Groups are a wire type that OTLP does not use."""
    with pytest.raises(ValueError, match=message):
        list(read_fields(data))


def test_a_message_of_protobufs_own_library_is_read():
    """Fields come in the order of their numbers."""
    span = Span(name="trip", kind=3, start_time_unix_nano=7, flags=256)
    assert [
        (5, b"trip"),
        (6, 3),
        (7, (7).to_bytes(8, "little")),
        (16, (256).to_bytes(4, "little")),
    ] == list(read_fields(span.SerializeToString()))


@given(st.integers(1, 16), st.integers(1, 2**64 - 1))
def test_encoded_numbers_are_read_back(number, value):
    """Numbers have up to 64 bits."""
    assert [(number, value)] == list(read_fields(int_field(number, value)))


@given(st.binary(max_size=5000))
def test_encoded_bytes_are_read_back(data):
    """The length may take several bytes."""
    assert [(3, data)] == list(read_fields(bytes_field(3, data)))


def test_encoded_texts_times_and_flags_are_read_back():
    """A text is UTF-8; times and flags are little-endian."""
    message = text_field(1, "città") + time_field(2, 2**40) + flags_field(3, 0x300)
    assert [
        (1, "città".encode()),
        (2, (2**40).to_bytes(8, "little")),
        (3, (0x300).to_bytes(4, "little")),
    ] == list(read_fields(message))


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_reading_ends_for_any_bytes(data):
    """It ends with the data, or with an error."""
    try:
        fields = list(read_fields(data))
    except ValueError:
        return
    assert len(fields) <= len(data)
