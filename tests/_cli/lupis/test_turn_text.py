"""The turns of an agent as text."""

import io
import json

import pytest
from servers.recorded import trace_id

from lupis_instrument._cli.lupis.turn_text import format_turns
from lupis_instrument._query.turns import Step, Turn

TOOLS = "lupis.response.tools"


def write_turn(*steps):
    """Return the lines of one turn."""
    return list(format_turns([Turn("a", steps)], 80))


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        (
            (Step("chat", 1, ("get_weather", "search")), Step("chat", 1)),
            "chat -> tools get_weather, search -> chat",
        ),
        ((Step("chat", 1, ("search", "search")),), "chat -> tools search x2"),
        ((Step("chat", 3, ("search",)),), "(chat -> tools search) x3"),
        ((Step("chat", 2, (), "429"), Step("chat", 1)), "chat (429) x2 -> chat"),
        ((Step("chat", 1, ("a\x1b",)),), r"chat -> tools a\x1b"),
    ],
)
def test_turn_is_a_line(steps, line, monkeypatch):
    """A terminal without Unicode gets ASCII."""
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert [line] == write_turn(*steps)


def test_turn_of_one_call_is_left_out():
    """The waterfall shows it."""
    assert [] == write_turn(Step("chat", 1))


def test_equal_turns_share_a_line():
    """The line counts them."""
    turn = Turn("a", (Step("embeddings", 1), Step("chat", 1)))
    (line,) = format_turns([turn, turn._replace(chat="b")], 80)
    assert line.endswith("2")


def test_lines_are_limited():
    """The last one counts the other turns."""
    turns = [Turn("a", (Step("chat", 1, (f"tool{number}",)),)) for number in range(8)]
    lines = list(format_turns(turns, 80))
    assert (6, "and 3 other turns") == (len(lines), lines[-1])


def test_long_turn_is_cut_to_the_width():
    """Both of its ends stay."""
    (line,) = format_turns([Turn("a", (Step("chat", 1, ("x" * 200,)), Step("chat", 1)))], 60)
    assert (60, True) == (len(line), line.endswith("chat"))


def test_show_tells_the_turn_above_the_waterfall(store, lupis):
    """Without spans of tools."""
    root = store.span("agent")
    store.call(parent=root, chat="a", ago=40, **{TOOLS: ["get_weather"]})
    store.call(parent=root, chat="a", ago=30)
    line = lupis("show", trace_id(root)).stdout.splitlines()[2]
    assert ["chat", "tools get_weather", "chat"] == line.replace("->", "\u2192").split(" \u2192 ")


def test_json_has_the_turns(store, lupis):
    """Each with its steps."""
    root = store.call(chat="a", **{TOOLS: ["search"]})
    shown = json.loads(lupis("show", "--format", "json", trace_id(root)).stdout)
    step = {"operation": "chat", "calls": 1, "tools": ["search"], "problem": None}
    assert [{"chat": "a", "steps": [step]}] == shown["turns"]
