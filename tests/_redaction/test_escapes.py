"""Escapes are found, decoded, and mapped back to the original text."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction.escapes import (
    decode,
    decode_with_positions,
    find_escapes,
    keep_escaped_lines,
    stand_for_letters,
)


@pytest.mark.parametrize(
    ("text", "escapes"),
    [
        ("a%3Db%3D%20", {"%3D", "%20"}),
        ('{\\"a\\": \\u0041}', {"\\u0041"}),
        ("&quot;a&#61;&#x3A;", {"&quot;", "&#61;", "&#x3A;"}),
        ("\x1b[1;31mred\x1b[0m", {"\x1b[1;31m", "\x1b[0m"}),
        ("p\x00w", {"\x00"}),
        (
            "\\x41 \\101 \\U00000041 \\u{41} \\n",
            {"\\x41", "\\101", "\\U00000041", "\\u{41}", "\\n"},
        ),
        ("100% of a & b; c\\", set()),
    ],
)
def test_escapes_of_each_kind_are_found(text, escapes):
    """URLs, JSON, literals, HTML, terminals and UTF-16 have escapes of their own."""
    assert find_escapes(text) == escapes


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("a%3Db", "a=b"),
        ("a%253Db", "a%3Db"),
        ("\\u0041\\x42\\103", "ABC"),
        ("\\U00000041\\u{42}", "AB"),
        ("a\\nb\\/c", "a b/c"),
        ("&lt;a&gt;&amp;&#61;&#x3A;", "<a>&=:"),
        ("\x1b[31mred", " red"),
        ("p\x00w\x00", "pw"),
        ("pass\u200bword", "password"),
        ("\uff50w\u00a0x", "pw x"),
        ("p\u0430ss", "pass"),
        ("%C3%A4", "\ufffd\ufffd"),
        ("\\u00e4\\uD83D", "\ufffd\ufffd"),
        ("&#9999999;", "\ufffd"),
    ],
)
def test_one_level_is_decoded(text, decoded):
    """Each escape becomes its character; a character beyond ASCII becomes a separator."""
    assert decode(text, find_escapes(text)) == decoded


@pytest.mark.parametrize(
    "text", ["\u043f\u0430\u0440\u043e\u043b\u044c", "\u201cquoted\u201d words"]
)
def test_foreign_words_and_quotations_are_no_escapes(text):
    """A letter of another script counts beside an ASCII letter only, a quote beside a colon only."""
    assert find_escapes(text) == set()


def test_typographic_quotes_of_a_name_are_decoded():
    """A quotation mark beside a colon encloses a name or a value."""
    text = "\u201cname\u201d: \u201cvalue\u201d"
    assert decode(text, find_escapes(text)) == '\u201cname": "value\u201d'


@pytest.mark.parametrize(
    ("text", "decoded"), [("%41b", "\ufffdb"), ("%3Db", "=b"), ("\\u0031", "\ufffd")]
)
def test_letters_and_digits_as_separators(text, decoded):
    """In the second reading an escaped letter or digit ends the word before it."""
    assert decode(text, find_escapes(text), separate=True) == decoded


@pytest.mark.parametrize(
    ("escapes", "expected"),
    [({"%3D", "\\n"}, False), ({"%3D", "%41"}, True), ({"&#49;"}, True), ({"\x1b[0m"}, False)],
)
def test_escapes_that_stand_for_letters(escapes, expected):
    """One escaped letter or digit makes a second reading necessary."""
    assert stand_for_letters(escapes) is expected


@pytest.mark.parametrize(
    "text", ["a%3Db", "%41%42c", "x\\u0041y\\nz", "&quot;a&quot;", "\x00a\x00", "pass\u200bword"]
)
@pytest.mark.parametrize("separate", [False, True])
def test_positions_map_to_the_original_characters(text, separate):
    """The view's text is the decoded text, and its unescaped characters are where they came from."""
    view = decode_with_positions(text, find_escapes(text), separate=separate)
    assert view.text == decode(text, find_escapes(text), separate=separate)
    for position, character in enumerate(view.text):
        origin = view.map_position(position)
        assert text[origin] in {character, "%", "\\", "&", "\x00"}
    assert view.map_position(len(view.text)) == len(text)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one\n%41\nthree", "%41"),
        ("%41\n\\n\nthree", "%41\n\\n"),
        ("a%\n&b\n\\c\nd", "a%\n&b\n\\c"),
        ("\u00e9\npass\u200bword\n%41", "pass\u200bword\n%41"),
        ("only one line", "only one line"),
    ],
)
def test_lines_without_escapes_are_left_out(text, lines):
    """Decoding looks only at the lines that may have escapes."""
    assert keep_escaped_lines(text) == lines
