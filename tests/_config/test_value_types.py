"""Value types read texts, check values, and write values as text again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lupis_instrument._config import value_types
from lupis_instrument._config.value_types import (
    Choice,
    File,
    Flag,
    Globs,
    InvalidValueError,
    Items,
    Lines,
    Megabytes,
    Names,
    NamesOrAll,
    OptionalFlag,
    Pairs,
    ProviderHosts,
    Regexes,
    Seconds,
    Tags,
    Text,
    Token,
    Url,
)

CLIENTS = ("requests", "httpx")


def read(value_type, text):
    return value_type.check_value(value_type.parse_text(text))


def refuse(value_type, value):
    with pytest.raises(InvalidValueError) as caught:
        value_type.check_value(value_type.parse_text(value) if isinstance(value, str) else value)
    return caught.value


@pytest.mark.parametrize(
    ("value_type", "text", "value"),
    [
        (Text(), " a b ", "a b"),
        (File(), "~/x", "~/x"),
        (Token(), "key-1", "key-1"),
        (Flag(), "YES", True),
        (Flag(), "0", False),
        (OptionalFlag(), "Auto", None),
        (OptionalFlag(), "on", True),
        (Choice("mask", "hash"), "Hash", "hash"),
        (Seconds(), "2.5", 2.5),
        (Megabytes(), "1", 1.0),
        (Url(), "HTTPS://me:pw@[::1]:4318/v1?q", "HTTPS://me:pw@[::1]:4318/v1?q"),
        (Items(), "a, ,b", ("a", "b")),
        (Items(), '["a,b"]', ("a,b",)),
        (Lines(), "a,b\n\n c", ("a,b", "c")),
        (Names(*CLIENTS), "HTTPX", ("httpx",)),
        (NamesOrAll(*CLIENTS), "all", ()),
        (Regexes(), "[a-z]+,b", ("[a-z]+", "b")),
        (Globs(), "ALL", ("*",)),
        (Globs(), "none", ()),
        (Globs(), "x-*", ("x-*",)),
        (Pairs(), "A=1,b=x%2Cy,c=", {"a": "1", "b": "x,y", "c": ""}),
        (ProviderHosts(), "h:1=openai", {"h:1": "openai"}),
        (Tags(), "Team=a b, env.x=1=2", {"team": "a b", "env.x": "1=2"}),
    ],
)
def test_text_is_read(value_type, text, value):
    """A valid text becomes the value that is stored."""
    assert value == read(value_type, text)


@pytest.mark.parametrize(
    ("value_type", "value"),
    [
        (Text(), "two\nlines"),
        (Text(), " "),
        (Text(), 3),
        (Token(), "projekt-ä"),
        (Flag(), 1),
        (Choice("mask"), 3),
        (Seconds(), "nan"),
        (Seconds(), "inf"),
        (Seconds(), "soon"),
        (Seconds(), True),
        (Megabytes(), "0.5"),
        (Url(), "http://"),
        (Url(), "http://host:99999/"),
        (Url(), "http://host:0/"),
        (Url(), "http://ho st/"),
        (Url(), "ftp://host/"),
        (Items(), 3),
        (Items(), ["a", ""]),
        (Regexes(), "ok,("),
        (Regexes(), "[1]"),
        (Names(*CLIENTS), "all"),
        (Globs(), "all,x"),
        (Pairs(), "bad name=1"),
        (Pairs(), "a=%0D%0Ab"),
        (Pairs(), "a"),
        (Pairs(), {"a": 1}),
        (ProviderHosts(), "host="),
        (ProviderHosts(), "h:x=openai"),
        (Tags(), "key"),
        (Tags(), "key="),
        (Tags(), "a/b=1"),
        (Tags(), f"{'k' * 65}=1"),
        (Tags(), f"k={'v' * 257}"),
        (Tags(), ",".join(f"k{n}=1" for n in range(33))),
    ],
)
def test_invalid_value_is_refused(value_type, value):
    """A value that would break a request, a regular expression or a timer is refused."""
    assert str(refuse(value_type, value))


@pytest.mark.parametrize(
    ("value_type", "value", "valid_part"),
    [
        (Items(), ["a", 1], ("a",)),
        (Names(*CLIENTS), "httpx,htpx", ("httpx",)),
        (Regexes(), "ok,(", ("ok",)),
        (Pairs(), "a=1,b", {"a": "1"}),
        (Choice("mask"), "masked", None),
    ],
)
def test_error_has_the_valid_part(value_type, value, valid_part):
    """The error of a list holds the items that are valid."""
    assert valid_part == refuse(value_type, value).valid_part


@pytest.mark.parametrize(
    ("value_type", "value", "stored"),
    [
        (File(), Path("a") / "b", str(Path("a") / "b")),
        (Seconds(), 2, 2.0),
        (Items(), ["a"], ("a",)),
        (Globs(), ["all"], ("*",)),
        (Globs(), [], ()),
        (Pairs(), {"X-Team": "a"}, {"x-team": "a"}),
        (Pairs(), [("a", "b")], {"a": "b"}),
    ],
)
def test_value_given_in_code_is_stored_like_a_text(value_type, value, stored):
    """Paths, integers, lists and mappings become the form that a text gives."""
    assert stored == value_type.check_value(value)


@pytest.mark.parametrize(
    ("value_type", "value", "text"),
    [
        (Flag(), True, "true"),
        (OptionalFlag(), None, "auto"),
        (Seconds(), 3.0, "3"),
        (Seconds(), 0.1234567891, "0.1234567891"),
        (Items(), ("a", "b"), "a,b"),
        (Items(), ("a,b",), '["a,b"]'),
        (Lines(), ("a,b", "c"), '["a,b", "c"]'),
        (Globs(), ("*",), "all"),
        (Globs(), (), "none"),
        (Pairs(), {"a": "b,c %", "d": "e"}, "a=b%2Cc%20%25,d=e"),
    ],
)
def test_formatted_value_reads_as_itself(value_type, value, text):
    """`format_value` writes one line of text, from which the same value is read."""
    assert text == value_type.format_value(value)
    assert value == read(value_type, text)


@pytest.mark.parametrize(
    ("value_type", "texts", "joined"),
    [
        (Text(), ["a", "b"], "b"),
        (Items(), ["a,b", "c"], "a,b,c"),
        (Items(), ['["a,b"]'], '["a,b"]'),
        (Pairs(), ["a=1", "b=2"], "a=1,b=2"),
    ],
)
def test_option_given_several_times(value_type, texts, joined):
    """The texts of a repeatable option add up; of another one the last counts."""
    assert joined == value_type.join_texts(texts)


def test_lines_are_formatted_as_json():
    """One line of JSON fits into a shell command, a Dockerfile and a manifest."""
    assert ["a,b", "c\n"] == json.loads(Lines().format_value(("a,b", "c\n")))


def test_url_without_scheme_gets_a_suggestion():
    """The message suggests the URL with a scheme."""
    assert str(refuse(Url(), "host:1/x")).endswith("; did you mean 'http://host:1/x'?")


@pytest.mark.parametrize(
    ("word", "nearest"), [("htpx", "httpx"), ("REQUEST", "requests"), ("zzz", None)]
)
def test_nearest_word(word, nearest):
    """A typing error has a nearest word, in upper or lower case; another word has none."""
    assert nearest == value_types.find_nearest(word, CLIENTS)


@pytest.mark.parametrize(
    ("words", "prose"), [(("a",), "a"), (("a", "b"), "a or b"), (("a", "b", "c"), "a, b or c")]
)
def test_words_as_prose(words, prose):
    """The last word follows `or`, the others a comma."""
    assert prose == value_types.join_words(words)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("host", True),
        ("host:80", True),
        ("[::1]", True),
        ("[::1]:80", True),
        ("", False),
        (":80", False),
        ("host:65536", False),
        ("host:http", False),
    ],
)
def test_authority(text, valid):
    """A host with an optional port between 1 and 65535 is an authority."""
    assert valid == value_types.is_authority(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://c:4318", "http://c:4318/v1/traces"),
        ("http://c:4318/", "http://c:4318/v1/traces"),
        ("http://u:p@c?key=a/b", "http://u:p@c/v1/traces?key=a/b"),
        ("http://c/spans", "http://c/spans"),
        ("http://c/spans/", "http://c/spans/"),
    ],
)
def test_a_url_for_spans_gets_a_path(text, url):
    """The path of OTLP over HTTP, unless the user names another."""
    assert url == value_types.TracesUrl().check_value(text)


@pytest.mark.parametrize("text", ["none", " None "])
def test_a_url_may_be_none(text):
    """In upper or lower case."""
    assert "none" == value_types.UrlOrNone().check_value(text)
