"""The table of phrases fits the libraries, and holds no words of ordinary sentences."""

import json
import socket
import zlib
from http.client import IncompleteRead

import pytest

from lupis_instrument._redaction.exception_phrases import CLASSES, PHRASES
from lupis_instrument._redaction.exception_text import filter_message


def test_each_phrase_stays_whole():
    """Also behind a type, with a number for each `#`."""
    messages = [phrase.replace("#", "111") for phrase in PHRASES]
    messages += [f"ValueError: {message}" for message in messages]
    assert messages == [filter_message(message) for message in messages]


def test_no_phrase_is_one_common_word():
    """Such a word may be content: a phrase has two words, or is the name of a class or a code."""
    words = {phrase for phrase in PHRASES if phrase.isalpha()}
    assert set() == words - {*CLASSES}
    assert set() == {name for name in CLASSES if name.islower()} - {"gaierror"}


def test_no_phrase_stands_twice():
    """A second one would hide that the first was changed."""
    assert len({*PHRASES}) == len(PHRASES)


def refuse_connection():
    """Connects to a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        socket.create_connection(listener.getsockname())


def run_out_of_bytes():
    """Fails as http.client does if a body is too short."""
    raise IncompleteRead(b"PLANTED", 9)


@pytest.mark.parametrize(
    ("fail", "expected"),
    [
        (lambda: int("PLANTED"), "invalid literal for int() with base 10 […]"),
        (lambda: 1 / 0, "division by zero"),
        (lambda: json.loads("PLANTED"), "Expecting value […]"),
        (lambda: zlib.decompress(b"PLANTED"), "decompressing data: incorrect header check"),
        (lambda: b"\xff".decode("utf-8"), "codec can't decode byte […] invalid start byte"),
        (lambda: None.PLANTED, "object has no attribute […]"),
        (lambda: {}[[]], "unhashable type […]"),
        (lambda: refuse_connection(PLANTED=1), "got an unexpected keyword argument […]"),
        (refuse_connection, "] Connection refused"),
        (run_out_of_bytes, "IncompleteRead(7 bytes read, 9 more expected)"),
    ],
)
def test_messages_of_this_python_are_known(fail, expected):
    """The table has the words of each version."""
    message = ""
    try:
        fail()
    except Exception as error:
        message = str(error)
    assert filter_message(message).endswith(expected)
