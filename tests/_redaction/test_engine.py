"""The engine finds secrets in a text and its decoded levels, and replaces them by marks."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction.engine import Engine, UnsettledError
from lupis_instrument._redaction.hits import Hit
from lupis_instrument._redaction.modes import MODES, Mode
from lupis_instrument._redaction.names import NameList

KEY = "sk-" + "1234567890abcdef" * 2


@pytest.fixture(scope="module")
def engine():
    """An engine in mode remove."""
    return Engine(Mode("remove"), NameList())


def test_text_without_secrets_is_the_same_object(engine):
    """A text without a hit is returned as it is."""
    text = "the model answered in 412 ms"
    assert engine.redact_text(text) is text


def test_hit_has_positions_and_rule(engine):
    """A hit names its rule and covers the secret."""
    assert engine.find_hits(f"key {KEY}!") == [Hit(4, 4 + len(KEY), "sk-key")]


def test_overlapping_hits_become_one(engine):
    """A key that is also the value of a name is one hit, of the rule that knows the key."""
    assert engine.find_hits(f"cookie={KEY}") == [Hit(7, 7 + len(KEY), "sk-key")]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("password=s3cr3t", 9, 15),
        ("password%3Ds3cr3t", 11, 17),
        ("password%253Ds3cr3t", 13, 19),
        ("%70assword=s3cr3t", 11, 17),
        ("password=s3%63r3t", 9, 17),
        ("first\\npassword=s3cr3t", 16, 22),
        ("pass\u200bword=s3cr3t", 10, 16),
    ],
)
def test_positions_are_those_of_the_original_text(engine, text, start, end):
    """A secret of a decoded level has its positions in the text before decoding."""
    (hit,) = engine.find_hits(text)
    assert (hit.start, hit.end) == (start, end)


@pytest.mark.parametrize("levels", [1, 3, 5])
def test_nested_escapes_are_decoded_to_a_depth(engine, levels):
    """An escaped equals sign is found in up to five levels of escapes."""
    text = f"password%{'25' * (levels - 1)}3Ds3cr3t"
    assert "s3cr3t" not in engine.redact_text(text)


def test_escapes_beyond_the_depth_stay(engine):
    """A deeper level is not decoded, so that the time is bounded."""
    text = f"password%{'25' * 5}3Ds3cr3t"
    assert engine.find_hits(text) == []


@pytest.mark.parametrize("before", ["%51", "\\u0041", "&#65;", "%0A"])
def test_key_behind_an_escaped_character(engine, before):
    """An escaped letter may belong to the word before, so that a key begins behind it."""
    assert engine.redact_text(f"x{before}{KEY}").endswith("[REDACTED]")


@pytest.mark.parametrize(
    ("mode", "redacted"),
    [
        ("mask", "password: '***'"),
        ("remove", "password: [REDACTED]"),
        ("hash", "password: [HASHED]"),
    ],
)
def test_quotation_marks_of_an_unquoted_name(mode, redacted):
    """Modes remove and hash replace the quotation marks together with the value."""
    assert Engine(Mode(mode), NameList()).redact_text("password: 'hunter22'") == redacted


@pytest.mark.parametrize("mode", MODES)
def test_quotation_marks_of_data_stay(mode):
    """JSON keeps its syntax in every mode."""
    engine = Engine(Mode(mode), NameList())
    assert engine.redact_text('{"password": "hunter22"}').endswith('"}')


@pytest.mark.parametrize(
    ("mode", "value", "mark"),
    [
        ("mask", KEY, "sk-1***cdef"),
        ("mask", f"{KEY} and more", "***"),
        ("mask", f"a={KEY};b=1", "***"),
        ("remove", KEY, "[REDACTED]"),
        ("hash", "hunter22", "[HASHED]"),
    ],
)
def test_mark_of_a_value_that_its_name_hides(mode, value, mark):
    """The mark shows the ends only if a value rule matches the whole value."""
    assert Engine(Mode(mode), NameList()).mark_named_value(value) == mark


@pytest.mark.parametrize("mode", ["mask", "hash"])
def test_remembered_mark_is_the_same(mode):
    """A credential that comes again gets the same mark, another one its own."""
    engine = Engine(Mode(mode), NameList())
    first, second, again = map(engine.mark_named_value, [KEY, f"{KEY}0987", KEY])
    assert first == again != second


def test_remembered_marks_keep_no_secret():
    """The memory of a process that has marked a secret for its name does not hold the secret."""
    engine = Engine(Mode("mask"), NameList())
    secret = f"sk-ant-api03-{'ab12' * 20}"
    engine.mark_named_value(secret)
    assert not any(secret in repr(item) for item in engine._known_marks.items())


def test_few_marks_are_remembered():
    """A program with ever new credentials takes a limited amount of memory."""
    engine = Engine(Mode("mask"), NameList())
    for number in range(600):
        engine.mark_named_value(f"password {number}")
    assert len(engine._known_marks) <= 256


def test_prefilter_rules_out_texts_without_literals(engine):
    """No text needs a closer look if none holds a literal of a rule."""
    assert engine.prefilter_texts(["gpt-4o-mini", "stop", "text/event-stream"]) is None


@pytest.mark.parametrize("secret", [KEY, "password=x1", "a%3Db password", "4111 1111 1111 1111"])
def test_prefilter_suspects_the_text_with_a_literal(engine, secret):
    """Of many texts, the text with a secret needs a closer look, and plain words do not."""
    is_suspect = engine.prefilter_texts(["plain words", secret])
    assert is_suspect(secret)
    assert not is_suspect("plain words")


class RestlessFinder:
    """Finds a secret in every text, its own marks included."""

    def find_hits(self, text, lowered):
        """Yield the first character."""
        yield Hit(0, 1, "restless")


def test_text_that_never_settles_is_given_up():
    """An error ends the rounds, so that the caller drops the text."""
    engine = Engine(Mode("remove"), NameList(), [("", RestlessFinder())])
    with pytest.raises(UnsettledError):
        engine.redact_text("any text")
