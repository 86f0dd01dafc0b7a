"""Paths of facts in responses, and patterns for the events that hold facts."""

from __future__ import annotations

import json

import pytest

from lupis_instrument._llm.api.field_paths import find_value, read_path, split_paths
from lupis_instrument._llm.api.response_fields import (
    FIELD_NAMES,
    FIELDS_BY_ROOT,
    RESPONSE_FIELDS,
    WHOLE_FIELDS,
    compile_report_patterns,
)

APIS = ("openai.chat", "openai.responses", "anthropic.messages", "gemini", "cohere.chat", "?")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("usage", "total"), 5),
        (("usage",), {"total": 5}),
        ((), {"usage": {"total": 5}, "list": [1], "null": None}),
        (("usage", "missing"), None),
        (("missing", "total"), None),
        (("list", "total"), None),
        (("null", "total"), None),
    ],
)
def test_path_is_read_in_nested_objects(path, value):
    """A path leads through objects only; a missing member gives None."""
    assert value == read_path({"usage": {"total": 5}, "list": [1], "null": None}, path)


def test_first_value_of_several_paths_is_found():
    """The first path with a value that is not empty counts."""
    value = {"a": {"b": ""}, "c": [], "d": {"e": 5}, "f": 6}
    assert find_value(value, split_paths("a.b", "c", "x.y", "d.e", "f")) == 5
    assert find_value(value, split_paths("a.b", "c.d", "x")) is None


def test_dotted_paths_are_split():
    """The tables write paths with dots."""
    assert (("usage", "total"), ("id",)) == split_paths("usage.total", "id")


@pytest.mark.parametrize("kind", RESPONSE_FIELDS)
def test_fields_are_indexed_by_their_first_name(kind):
    """Each path is found in the index by its first name, with the remaining path."""
    for path in RESPONSE_FIELDS[kind]:
        assert (kind, path[1:]) in FIELDS_BY_ROOT[path[0]]


@pytest.mark.parametrize("kind", RESPONSE_FIELDS)
def test_scan_keeps_all_names_of_a_path(kind):
    """A scan keeps each name of each path, so that it finds every fact."""
    assert {name for path in RESPONSE_FIELDS[kind] for name in path} <= FIELD_NAMES


@pytest.mark.parametrize("name", ["usage", "usageMetadata", "meta", "metrics", "details"])
def test_scan_keeps_whole_reports(name):
    """A scan keeps the whole value of a report, whatever names are in it."""
    assert name in WHOLE_FIELDS


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("event", "has_report"),
    [
        ({"error": {"code": "x"}}, True),
        ({"error": "x"}, True),
        ({"error": None}, False),
        ({"text": "usage"}, False),
        ({"text": '"error": {'}, False),
        ({"choices": []}, False),
    ],
)
def test_patterns_find_errors(api, event, has_report):
    """The patterns of each API find an error, but not null and not text in a string."""
    text = json.dumps(event).encode()
    assert has_report is any(pattern.search(text) for pattern in compile_report_patterns(api))


@pytest.mark.parametrize(
    ("api", "event"),
    [
        ("openai.chat", b'{"usage":{"prompt_tokens":5}}'),
        ("openai.chat", b'{"usage" : {"prompt_tokens":5}}'),
        ("openai.chat", b'{"choices":[{"finish_reason":"stop"}]}'),
        ("openai.responses", b'{"response":{"usage":{}}}'),
        ("anthropic.messages", b'{"delta":{"stop_reason":"end_turn"}}'),
        ("gemini", b'{"usageMetadata":{}}'),
        ("ollama.chat", b'{"eval_count":12}'),
        ("ollama.chat", b'{"done_reason":"stop"}'),
        ("bedrock.converse", b'{"stopReason":"end_turn"}'),
        ("?", b'{"amazon-bedrock-invocationMetrics":{}}'),
    ],
)
def test_patterns_find_reports(api, event):
    """The patterns of an API find its reports and its finish reasons."""
    assert any(pattern.search(event) for pattern in compile_report_patterns(api))


@pytest.mark.parametrize("value", [b"null", b"false", b"0", b"[]"])
def test_patterns_ignore_empty_values(value):
    """A member that reports nothing doesn't make an event worth parsing."""
    event = b'{"usage":' + value + b"}"
    assert not any(pattern.search(event) for pattern in compile_report_patterns("openai.chat"))
