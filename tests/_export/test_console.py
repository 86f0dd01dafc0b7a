"""Spans as text."""

import pytest

from lupis_instrument._export.console import describe_span, render_spans


def test_children_stand_below_their_parents(finished):
    """Indented, in the order they began, whatever the order they ended in."""
    root = finished("trip", start=1)
    second = finished("second", parent=root, start=3)
    first = finished("first", parent=root, start=2)
    leaf = finished("leaf", parent=second, start=4)
    lines = render_spans([leaf, second, first, root]).splitlines()
    assert ["trip", "first", "second", "leaf"] == [line.split()[-1] for line in lines]
    indents = [len(line) - len(line.lstrip()) for line in lines]
    assert [0, 2, 2, 4] == [indent - indents[0] for indent in indents]


def test_a_child_whose_parent_is_elsewhere_stands_alone(finished):
    """The parent may still be under way, or in another process."""
    elsewhere = finished("elsewhere")
    assert ["here"] == [render_spans([finished("here", parent=elsewhere)]).split()[-1]]


def test_traces_deeper_than_python_recurses_are_shown(finished):
    """An agent that calls itself nests without bound."""
    spans = [finished("0")]
    for depth in range(1, 1500):
        spans.append(finished(str(depth), parent=spans[-1]))
    assert 1500 == len(render_spans(spans).splitlines())


def test_nothing_is_no_text():
    """Not even a line break."""
    assert "" == render_spans([])


def test_an_llm_call_says_what_it_used(llm_call):
    """Seconds, name, provider, tokens, conversation."""
    line = describe_span(llm_call("gpt-4o", 12, 34, chat="trip-7", seconds=1.5))
    assert "   1.50 s  chat gpt-4o  openai  12 -> 34 tokens  chat trip-7" == line


def test_another_call_says_where_it_went(finished):
    """By its URL."""
    line = describe_span(finished("GET", {"url.full": "http://a.example/b"}, seconds=0.25))
    assert "   0.25 s  GET  http://a.example/b" == line


@pytest.mark.parametrize(
    ("attributes", "failed", "expected"),
    [
        ({"error.type": "429"}, True, "error 429"),
        ({"lupis.response.outcome": "closed"}, False, "closed"),
        ({"lupis.response.outcome": "complete"}, False, "GET"),
        ({}, True, "error"),
        (
            {"lupis.response.outcome": "error", "error.type": "ReadError"},
            True,
            "error  error ReadError",
        ),
    ],
)
def test_troubles_are_named(attributes, failed, expected, finished):
    """An error by its type, an end before the end by its kind."""
    assert describe_span(finished("GET", attributes, failed=failed)).endswith(expected)


def test_tokens_that_only_one_side_has_are_shown(finished):
    """Embeddings write none."""
    line = describe_span(finished("embeddings", {"gen_ai.usage.input_tokens": 8}))
    assert line.endswith("8 -> 0 tokens")
