"""Draws the spans of a trace as a waterfall: a bar for each span, from its start to its end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Iterator, NamedTuple

from lupis_instrument._cli.lupis.formatting import (
    cut_middle,
    describe_name,
    format_cost,
    format_duration,
    format_tokens,
    pad_text,
)
from lupis_instrument._cli.lupis.tables import style_text
from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._export.terminal import text_width
from lupis_instrument._query.traces import walk_span_tree

if TYPE_CHECKING:
    from lupis_instrument._query.items import Item

_MAX_NAME_WIDTH, _MAX_ERROR_WIDTH = 44, 24
_MIN_ERROR_WIDTH = 12
_MIN_NAME_WIDTH, _MIN_BAR_WIDTH = 8, 10
_MAX_INDENT_DEPTH = 12
_BLOCK, _ASCII_BLOCK = "\u2588", "#"

_FIGURES = (lambda span: format_duration(span.duration), format_tokens, format_cost)
"""The figures to the right of a bar."""
_TOKENS = 1
"""The figure that a narrow terminal leaves out."""


class _Scale(NamedTuple):
    """The time axis of the bars.

    Attributes:
        start: the left end, nanoseconds since the epoch.
        length: the length of the axis in nanoseconds.
        width: the width of the axis in terminal columns.
        block: the character that bars are made of.
    """

    start: int
    length: int
    width: int
    block: str

    def draw_bar(self, span: Item) -> str:
        """Return the bar of a span, at least one block, padded to the width of the axis."""
        offset = int((span.at - self.start) / self.length * self.width)
        offset = min(offset, self.width - 1)
        blocks = round(span.duration / self.length * self.width)
        blocks = max(1, min(blocks, self.width - offset))
        return (" " * offset + self.block * blocks).ljust(self.width)


def draw_waterfall(spans: list[Item], width: int) -> Iterator[tuple[str, Item]]:
    """Yield a line for each span, children below their parents.

    Args:
        spans: the spans of a trace, a run or a conversation, at least one.
        width: the width of a line in terminal columns; bars get the rest, at least ten columns.
    """
    rows = list(walk_span_tree(spans))
    names = [_indent_name(depth, span) for depth, span in rows]
    figures = [[format_figure(span) for format_figure in _FIGURES] for _, span in rows]
    errors = [f"error {escape_controls(span.error)}" if span.error else "" for _, span in rows]
    error_width = min(max(map(text_width, errors)), _MAX_ERROR_WIDTH)
    figure_widths = _measure_figures(figures)
    least_error_width = min(error_width, _MIN_ERROR_WIDTH)
    if _find_room(width, figure_widths, least_error_width) < _MIN_NAME_WIDTH + _MIN_BAR_WIDTH:
        figures = [row[:_TOKENS] + row[_TOKENS + 1 :] for row in figures]
        figure_widths = _measure_figures(figures)
    spare = _find_room(width, figure_widths, 0) - _MIN_NAME_WIDTH - _MIN_BAR_WIDTH
    error_width = max(min(error_width, spare), least_error_width)
    room = _find_room(width, figure_widths, error_width)
    longest_name = min(max(map(text_width, names)), _MAX_NAME_WIDTH)
    name_width = min(longest_name, max(room - _MIN_BAR_WIDTH, _MIN_NAME_WIDTH))
    scale = _make_scale(spans, max(room - name_width, _MIN_BAR_WIDTH))
    for (_, span), name, texts, error in zip(rows, names, figures, errors):
        padded = "  ".join(text.rjust(column) for text, column in zip(texts, figure_widths))
        bar = style_text(scale.draw_bar(span), fg=_choose_colour(span))
        failure = style_text(cut_middle(error, error_width), fg="red")
        shown = pad_text(cut_middle(name, name_width), name_width)
        yield "  ".join([shown, bar, *([padded, failure] if error else [padded.rstrip()])]), span


def _measure_figures(figures: list[list[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*figures)]


def _find_room(width: int, figure_widths: list[int], error_width: int) -> int:
    """Return the columns for names and bars."""
    # Two spaces before the bar, before each figure and before the error.
    gaps = 2 * (len(figure_widths) + 2)
    return width - sum(figure_widths) - error_width - gaps


def _indent_name(depth: int, span: Item) -> str:
    name = escape_controls(describe_name(span.name, span.host))
    return f"{'  ' * min(depth, _MAX_INDENT_DEPTH)}{name}"


def _make_scale(spans: list[Item], width: int) -> _Scale:
    start = min(span.at for span in spans)
    length = max(span.end for span in spans) - start
    return _Scale(start, max(length, 1), width, _choose_block())


def _choose_block() -> str:
    try:
        _BLOCK.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _ASCII_BLOCK
    return _BLOCK


def _choose_colour(span: Item) -> str:
    if span.error is not None:
        return "red"
    return "blue" if span.provider is None else "cyan"
