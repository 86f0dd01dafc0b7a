"""Spans are rendered as text."""

import pytest

from lupis_instrument._export.console import describe_span, render_events, render_spans
from lupis_instrument._export.terminal import Terminal, text_width


def test_children_are_indented_below_their_parents(finished):
    """They come in the order in which they began, not in the order in which they ended."""
    root = finished("trip", start=1)
    second = finished("second", parent=root, start=3)
    first = finished("first", parent=root, start=2)
    leaf = finished("leaf", parent=second, start=4)
    lines = render_spans([leaf, second, first, root]).splitlines()
    assert ["trip", "first", "second", "leaf"] == [line.split()[-1] for line in lines]
    indents = [len(line) - len(line.lstrip()) for line in lines]
    assert [0, 2, 2, 4] == [indent - indents[0] for indent in indents]


def test_a_child_without_its_parent_is_a_root(finished):
    """The parent may not have ended yet, or belong to another process."""
    elsewhere = finished("elsewhere")
    assert ["here"] == [render_spans([finished("here", parent=elsewhere)]).split()[-1]]


def test_a_trace_may_be_deeper_than_python_recurses(finished):
    """An agent that calls itself nests without limit."""
    spans = [finished("0")]
    for depth in range(1, 1500):
        spans.append(finished(str(depth), parent=spans[-1]))
    assert 1500 == len(render_spans(spans).splitlines())


def test_no_spans_make_no_text():
    """There is not even a line break."""
    assert "" == render_spans([])


def test_the_line_of_an_llm_call(llm_call):
    """It has seconds, name, provider, tokens and chat id."""
    line = describe_span(llm_call("gpt-4o", 12, 34, chat="trip-7", seconds=1.5))
    assert "   1.50 s  chat gpt-4o  openai  12 -> 34 tokens  chat trip-7" == line


def test_the_line_of_another_call(finished):
    """It has the URL instead of a provider."""
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
def test_errors_stand_at_the_end_of_the_line(attributes, failed, expected, finished):
    """An error is named by its type, and an incomplete body by its outcome."""
    assert describe_span(finished("GET", attributes, failed=failed)).endswith(expected)


def test_missing_output_tokens_are_shown_as_0(finished):
    """Embeddings have no output tokens."""
    line = describe_span(finished("embeddings", {"gen_ai.usage.input_tokens": 8}))
    assert line.endswith("8 -> 0 tokens")


def test_a_name_stays_on_its_line(finished):
    """The names of models come from servers."""
    text = render_spans([finished("chat \x1b[2J\x9b31m\u202eo\nlupis: 0 LLM calls")])
    assert text.endswith("  chat \\x1b[2J\\x9b31m\\u202eo\\nlupis: 0 LLM calls\n")


@pytest.mark.parametrize("width", [60, 80])
def test_lines_fit_a_terminal(width, llm_call, finished):
    """Names and URLs lose their middle; the chat id and the provider give way, errors do not."""
    call = llm_call("ft:gpt-4o:" + "x" * 90, 123, 45, chat="trip-" + "7" * 40, error="429")
    url = {"url.full": "http://a.example/" + "b" * 100, "error.type": "500"}
    text = render_spans([call, finished("GET", url, parent=call)], Terminal(width))
    first, second = text.splitlines()
    assert width >= max(text_width(first), text_width(second))
    assert first.startswith("   1.00 s  chat ft:g")
    assert first.endswith("123 -> 45 tokens  error 429")
    assert second.endswith("bbbb  error 500")


def test_a_pipe_gets_whole_lines(llm_call):
    """A log is searched for names and ids."""
    text = render_spans([llm_call("m" * 100, chat="c" * 100)])
    assert text.endswith(f"  chat {'c' * 100}\n")


def test_errors_are_red_on_a_terminal_with_colors(llm_call):
    """A glance finds them."""
    text = render_spans([llm_call(error="429")], Terminal(80, colored=True))
    assert text.endswith("  \x1b[31merror 429\x1b[0m\n")


def test_an_event_is_a_line():
    """It has the name and the properties as JSON, without control characters."""
    event = {"name": "paid\n\x07", "properties": {"b\u202e": "\x85"}}
    assert '  event  paid\\n\\x07  {"b\\u202e": "\\x85"}\n' == render_events([event])
