"""The characters and lengths of the parts of a regular expression."""

import re

import pytest

from lupis_instrument._redaction.pattern_parts import (
    ALL_CHARACTERS,
    MANY_LENGTHS,
    MAX_SHORT,
    Part,
    add_lengths,
    fold_case,
    join_characters,
    multiply_lengths,
    read_class,
)

try:
    from re import _parser as parser  # Python 3.11 and newer
except ImportError:
    import sre_parse as parser

LETTERS = frozenset(map(ord, "ab"))


def parse_class(text):
    """Returns the items of a class, as the parser of `re` gives them."""
    ((_, items),) = parser.parse(text)
    return items


@pytest.mark.parametrize("text", ["[a-z_]", r"[\d,]", r"[^\W0]", r"[\s\S]", "[^ab]", r"[\-x]"])
def test_a_class_matches_these_characters(text):
    """In any case of the letters, because a flag may ignore it."""
    expected = {code for code in range(128) if re.match(text, chr(code), re.IGNORECASE)}
    characters = read_class(parse_class(text))
    # A negated class is never read as smaller than it is.
    assert expected <= characters
    assert characters - {-1} <= {*expected, *map(ord, "aAbB")}


@pytest.mark.parametrize(("text", "beyond"), [("[a-z]", False), ("[^ab]", True), ("[à-ü]", True)])
def test_a_class_may_match_characters_beyond_ascii(text, beyond):
    """The code -1 stands for all of them."""
    assert beyond is (-1 in read_class(parse_class(text)))


def test_a_letter_stands_for_both_cases():
    """A character beyond ASCII stands for all of these."""
    assert {ord("a"), ord("A")} == fold_case(ord("a"))
    assert {ord("7")} == fold_case(ord("7"))
    assert {-1} == fold_case(ord("ß"))


@pytest.mark.parametrize(
    ("part", "consumes", "single", "long"),
    [
        (Part(LETTERS, 1, 1), True, True, False),
        (Part(LETTERS, 0, 2), False, False, False),
        (Part(frozenset(), 1, 1), False, True, False),
        (Part(LETTERS, 1, MANY_LENGTHS, MANY_LENGTHS), True, False, True),
        (Part(LETTERS, 1, MAX_SHORT, MAX_SHORT), True, False, False),
        (Part(frozenset(), 1, 1, MANY_LENGTHS), False, False, False),
    ],
    ids=["character", "optional", "assertion", "unbounded repeat", "short repeat", "look-ahead"],
)
def test_kinds_of_parts(part, consumes, single, long):
    """A part may match always one character, one position, or very many characters."""
    assert (consumes, single, long) == (part.consumes, part.is_single_character, part.is_long)


def test_parts_are_joined():
    """Their characters are united; lengths multiply, and maximums add, up to a limit."""
    parts = [Part(LETTERS, 1, 3, 3), Part(frozenset({7}), 0, 5, 4)]
    assert LETTERS | {7} == join_characters(parts)
    assert 15 == multiply_lengths(parts)
    assert 7 == add_lengths(parts)
    many = [Part(ALL_CHARACTERS, 0, MANY_LENGTHS, MANY_LENGTHS)] * 3
    assert MANY_LENGTHS == multiply_lengths(many) == add_lengths(many)
