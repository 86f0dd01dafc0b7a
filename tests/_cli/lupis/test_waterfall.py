"""The waterfall of a trace's spans."""

import sys
from io import BytesIO, TextIOWrapper

import pytest

from lupis_instrument._cli.lupis.waterfall import draw_waterfall
from lupis_instrument._export.otlp.encoded_items import SPAN
from lupis_instrument._query.items import Item

WIDTH = 60


def make_span(name, number, *, at=0, duration=100, parent=None, **columns):
    """Return a span whose id is one byte."""
    ids = {"id": number, "span": bytes([number]), "parent": parent and bytes([parent])}
    empty = {**dict.fromkeys(Item._fields), "kind": SPAN, "trace": b"t"}
    return Item(**{**empty, **ids, "name": name, "at": at, "duration": duration, **columns})


def draw(*spans, width=WIDTH):
    """Return the lines of a waterfall."""
    return [line for line, _ in draw_waterfall(list(spans), width)]


def read_bar(line):
    """Return the columns where the bar of a line starts and ends."""
    return line.index("\u2588"), line.rindex("\u2588") + 1


@pytest.fixture(autouse=True)
def output(monkeypatch):
    """Standard output is a pipe in UTF-8."""
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(BytesIO(), encoding="utf-8"))


def test_children_are_indented():
    """They follow their parents."""
    lines = draw(make_span("child", 2, parent=1), make_span("root", 1))
    assert ["root", "  child"] == [line.split("\u2588")[0].rstrip() for line in lines]


def test_bar_shows_start_and_length():
    """The first span starts at the left end, and the last one ends at the right end."""
    first, second = draw(
        make_span("a", 1, at=0, duration=50), make_span("b", 2, at=50, duration=50)
    )
    (start, middle), (second_start, end) = read_bar(first), read_bar(second)
    assert middle == second_start
    assert middle - start == end - second_start


def test_short_span_has_a_bar():
    """One block is the minimum."""
    _, line = draw(make_span("long", 1, duration=10**9), make_span("short", 2, at=5, duration=1))
    assert 1 == line.count("\u2588")


def test_span_without_length_fills_no_more_than_its_line():
    """The whole trace may have no length."""
    (line,) = draw(make_span("instant", 1, duration=0))
    assert len(line) <= WIDTH


def test_lines_have_the_width_of_the_terminal():
    """Long names are cut off to keep it."""
    lines = draw(make_span("n" * 200, 1), make_span("b", 2, error="429"), width=120)
    assert max(map(len, lines)) == 120


def test_bar_keeps_ten_columns():
    """A line is wider than a terminal that is too narrow."""
    (line,) = draw(make_span("name", 1), width=1)
    assert 10 == line.count("\u2588")


def test_figures_follow_the_bar():
    """They are duration, tokens and cost; an error ends the line."""
    columns = {"provider": "openai", "input_tokens": 12, "output_tokens": 3, "cost": 0.5}
    (line,) = draw(make_span("chat", 1, duration=1_500_000, error="429", **columns))
    assert line.endswith("1.5 ms  12 -> 3  $0.5000  error 429")


def test_ascii_output_has_ascii_bars(monkeypatch):
    """The output cannot encode the block character."""
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(BytesIO(), encoding="ascii"))
    (line,) = draw(make_span("a", 1))
    assert "#" in line
    assert line.isascii()


@pytest.mark.parametrize("width", [60, 80])
def test_error_and_cost_stay_on_a_narrow_terminal(width):
    """The tokens make room for them."""
    figures = {"input_tokens": 123456, "output_tokens": 9876, "cost": 0.0012345}
    lines = draw(
        make_span("chat a-model-with-a-long-name", 1, error="openai.APIConnectionError", **figures),
        make_span("chat b", 2, **figures),
        width=width,
    )
    assert width >= max(map(len, lines))
    assert all("$0.001234" in line or "$0.001235" in line for line in lines)
    assert "error" in "".join(lines)
    assert (width == 80) is ("9,876" in "".join(lines))
