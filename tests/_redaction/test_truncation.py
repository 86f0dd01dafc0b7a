"""A truncated text loses a piece of a secret at its end."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction import drop_truncated_word, truncate_text


@pytest.mark.parametrize(
    ("truncated", "kept"),
    [
        ("the key is AIzaSy7hQ2mZx9Kp4LwR8sTb3NvY6c", "the key is "),
        ("https://h/?a=b&key=AIzaSy7hQ2mZ", "https://h/?a=b&key="),
        ("card 4111111111111", "card "),
        ("a sentence that en", "a sentence that en"),
        ("a sentence.", "a sentence."),
        ("abcdefghijklmnopqrst", ""),
        ("", ""),
        ("x " + "y1" * 400, "x " + "y1" * 400),
    ],
)
def test_last_word_that_may_be_a_piece_of_a_key(truncated, kept):
    """The end of a sentence or of one very long word stays; a piece of a key does not."""
    assert kept == drop_truncated_word(truncated)


@pytest.mark.parametrize(("length", "kept"), [(99, "code E4217"), (10, "code E4217"), (9, "code ")])
def test_text_that_is_not_truncated_stays(length, kept):
    """Only a text that is longer than the length loses its last word."""
    assert kept == truncate_text("code E4217", length)
