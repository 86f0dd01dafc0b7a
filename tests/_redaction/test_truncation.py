"""What is left of a secret where a text was cut goes, too."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction import drop_truncated_word, truncate_text


@pytest.mark.parametrize(
    ("cut", "left"),
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
def test_last_word(cut, left):
    """A last word that may be a piece of a key; not the end of a sentence, or of one long word."""
    assert left == drop_truncated_word(cut)


@pytest.mark.parametrize(("length", "kept"), [(99, "code E4217"), (10, "code E4217"), (9, "code ")])
def test_only_a_text_that_is_cut_loses_its_last_word(length, kept):
    """Of one that is whole all stays, be its end like a key's beginning."""
    assert kept == truncate_text("code E4217", length)
