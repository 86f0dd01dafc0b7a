"""The prefilter chooses the finders whose literals occur in a text, and mostly none."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction.prefilter import SHAPE, Prefilter, find_card_positions

LITERALS = ["bearer", "!hook", "!:_", "!sig=", "://&@", "ghp_", "20 akia", "24 sess-", "+nral", "!+ast", "acdb&==", "=us6", "key", "token", "cookie", "ssn", "1//0"]  # fmt: skip
PREFILTER = Prefilter([(literal, literal) for literal in LITERALS])


@pytest.mark.parametrize(
    ("text", "literals"),
    [
        ("the bearer of", ["bearer"]),
        ("thebearerof", []),  # no character assigns a value
        ("hooks.example", ["!hook"]),
        ("a cookie, a token", ["token", "cookie"]),
        ("//host/:_auth", ["!:_"]),
        ("x?sig=1", ["!sig="]),
        ("postgres://h", []),
        ("postgres://u@h", ["://&@"]),
        ("ghp_7hq2mzx9kp4lwr8s", ["ghp_"]),
        ("xghp_7hq2mzx9kp4lwr8s", []),
        ("ghp_short", []),
        ("akia7hq2mzx9kp4lwr8s", ["20 akia"]),
        ("akia7hq2mzx9kp4lwr", []),
        ("sess-7hq2mzx9kp4lwr8stb3nvy6c", ["24 sess-"]),
        ("sess-7hq2mzx9kp4lwr8stb3nvy6", []),
        ("7hq2mz+ast", ["!+ast"]),
        ("7hq2mzacdb", []),
        ("7hq2mzacdb7h==", ["acdb&=="]),
        ("0123456789abcdefnral", ["+nral"]),
        ("0123456789abcdef-us6", ["=us6"]),
        ("0123456789abcdef-us67", []),
        ("id 1//0abc", ["1//0"]),
        ("mississippi lessons learnt", []),
    ],
)
def test_literals_choose_finders(text, literals):
    """The notation of a literal decides where it must occur."""
    assert sorted(literals) == sorted(literal for _, literal in PREFILTER.choose_finders(text))


def test_shape_stands_for_its_literal():
    """A shape has no literal, so its finder comes with a stand-in."""
    prefilter = Prefilter(
        [("#ssn", "ssn"), ("#digits", "card"), ("#dotted", "dotted"), ("#hex-groups", "hex")]
    )
    assert prefilter.choose_finders("id 123-45-6789") == [(SHAPE, "ssn")]
    assert prefilter.choose_finders("4111 1111 1111 1111") == [(SHAPE, "card")]
    assert prefilter.choose_finders("a" * 30 + "." + "b" * 30) == [(SHAPE, "dotted")]
    assert prefilter.choose_finders("a" * 32 + "-b0123456-b0123456") == [(SHAPE, "hex")]


@pytest.mark.parametrize("text", ["", "no literal at all"])
def test_finder_without_a_literal_always_runs(text):
    """An empty literal occurs in every text."""
    assert Prefilter([("", "custom")]).choose_finders(text) == [("", "custom")]


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("4111111111111111", [0]),
        ("card 4111 1111 1111 1111", [5]),
        ("378282246310005 5555-5555-5555-4444", [0, 16]),
        ("3782 822463 10005", [0]),
        ("a4111111111111111", []),
        ("4111-1111 1111-1111", []),
        ("12345", []),
    ],
)
def test_positions_of_card_numbers(text, positions):
    """A number in one of the usual groupings may be a card number; part of a word is none."""
    assert find_card_positions(text) == positions
