"""A warning quotes the answer of an endpoint: few characters, without secrets."""

import pytest

from lupis_instrument._export.otlp.quotes import MAX_QUOTE_LENGTH, quote_answer
from lupis_instrument._redaction import Redactor

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


def quote(answer, content_type="text/plain", secrets=()):
    """Returns the quote of an answer."""
    return quote_answer(answer, content_type, secrets, Redactor("remove").redact_text)


@pytest.mark.parametrize(
    ("answer", "content_type", "expected"),
    [
        (b"404 page not found\n", "text/plain", "404 page not found"),
        (b'{"message":\n  "no"}', "application/json", '{"message": "no"}'),
        (
            b"<html><style>a {}</style><h1>Not</h1>found",
            "text/html",
            "Not found",
        ),
        (b"\x08\x05\x12\x07no path", "application/x-protobuf", "no path"),
        (b"404 page not found", "application/x-protobuf", ""),
        (b"", "text/plain", ""),
        (b"a\x1b[31mb", "text/plain", "a\\x1b[31mb"),
        (b"\xff", "text/plain", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_the_text_of_an_answer_is_quoted_on_one_line(answer, content_type, expected):
    """The text of a page, or of OTLP's own status message."""
    assert expected == quote(answer, content_type)


def test_a_long_answer_is_cut():
    """Nobody wants a page in a terminal."""
    assert "x" * (MAX_QUOTE_LENGTH - 1) + "…" == quote(b"x" * 1000)


def test_a_secret_at_the_cut_is_removed_first():
    """Half a key would be no key to the filter."""
    answer = ("x" * (MAX_QUOTE_LENGTH - 12) + " " + KEY).encode()
    assert KEY[:8] not in quote(answer)


def test_the_values_that_the_request_carried_are_removed():
    """A key of no known form is a secret all the same."""
    text = quote(b"bad key letmein2 of user", secrets=["Bearer letmein2"])
    assert "bad key [REDACTED] of user" == text
