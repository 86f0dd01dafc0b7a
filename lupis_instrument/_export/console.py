"""Renders spans as text, each trace as an indented tree, and events as lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Iterator, Mapping, NamedTuple, Sequence

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._export.terminal import text_width

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from lupis_instrument._export.terminal import Terminal

_NANOSECONDS = 1e9
_GAP = "  "
_MIN_CUT_WIDTH = 16


class _Field(NamedTuple):
    """One piece of a span's line.

    Attributes:
        text: the text.
        rank: on a narrow terminal, fields with the highest rank give way first; rank 0 stays.
        may_cut: whether the middle may be cut out.
        style: "", "bold", "dim" or "red".
    """

    text: str
    rank: int = 0
    may_cut: bool = False
    style: str = ""


def render_spans(spans: Sequence[ReadableSpan], terminal: Terminal | None = None) -> str:
    """Return `spans` as lines, children below their parents, in the order of their start.

    Args:
        spans: the spans.
        terminal: the terminal that the lines have to fit; None for a pipe or a file.
    """
    span_ids = {span.context.span_id for span in spans}
    children: dict[int | None, list[ReadableSpan]] = {}
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        parent_id = span.parent.span_id if span.parent is not None else None
        children.setdefault(parent_id if parent_id in span_ids else None, []).append(span)
    return "".join(_render_lines(children, terminal))


def _render_lines(
    children: dict[int | None, list[ReadableSpan]], terminal: Terminal | None
) -> Iterator[str]:
    # A stack instead of recursion, because an agent may nest deeper than Python recurses.
    stack = [(span, "") for span in reversed(children.get(None, ()))]
    while stack:
        span, indent = stack.pop()
        yield f"{indent}{_render_line(span, terminal, len(indent))}\n"
        below = children.get(span.context.span_id, ())
        stack += [(child, indent + "  ") for child in reversed(below)]


def _render_line(span: ReadableSpan, terminal: Terminal | None, indent: int) -> str:
    """Return the line of a span, which fits a terminal behind an indent."""
    if terminal is None:
        return diagnostics.clean_line(describe_span(span))
    fields = [
        field._replace(text=diagnostics.clean_line(field.text)) for field in _list_fields(span)
    ]
    fields = _fit_fields(fields, terminal, terminal.width - indent)
    plain = _GAP.join(field.text for field in fields)
    cleaned = diagnostics.clean_line(plain)
    if cleaned != plain:  # the filter finds more in the whole line
        return cleaned
    return _GAP.join(terminal.style_text(field.text, field.style) for field in fields)


def _fit_fields(fields: list[_Field], terminal: Terminal, width: int) -> list[_Field]:
    """Return the fields cut to fit a width, and without the last ranks if that is not enough."""
    kept = list(fields)
    while True:
        excess = sum(text_width(field.text) + len(_GAP) for field in kept) - len(_GAP) - width
        for index, field in enumerate(kept):
            if excess > 0 and field.may_cut:
                room = max(text_width(field.text) - excess, _MIN_CUT_WIDTH)
                text = terminal.cut_middle(field.text, room)
                excess -= text_width(field.text) - text_width(text)
                kept[index] = field._replace(text=text)
        last = max(kept, key=lambda field: field.rank)
        if excess <= 0 or last.rank == 0:
            return kept
        kept = [field for field in fields if field.rank < last.rank]


def describe_span(span: ReadableSpan) -> str:
    """Return one line with the span's duration, name, provider or URL, usage and errors."""
    return _GAP.join(field.text for field in _list_fields(span))


def _list_fields(span: ReadableSpan) -> list[_Field]:
    attributes = span.attributes or {}
    chat = attributes.get(_semconv.LUPIS_CHAT_ID)
    fields = [
        _Field(f"{_duration(span):7.2f} s", style="dim"),
        _Field(span.name, may_cut=True, style="bold"),
        _Field(str(attributes.get(_semconv.GEN_AI_PROVIDER_NAME) or ""), rank=2),
        _Field(_find_url(attributes), may_cut=True),
        _Field(_format_tokens(attributes), rank=1),
        _Field(_format_cost(attributes)),
        _Field("" if chat is None else f"chat {chat}", rank=3),
        *(_Field(text, style="red") for text in _list_errors(span, attributes)),
    ]
    return [field for field in fields if field.text]


def render_events(events: Sequence[Mapping[str, Any]]) -> str:
    """Return a line for each event, with its properties as JSON."""
    return "".join(
        f"  event  {diagnostics.clean_line(_describe_event(event))}\n" for event in events
    )


def _describe_event(event: Mapping[str, Any]) -> str:
    return f"{event['name']}  {json.dumps(event['properties'], ensure_ascii=False)}"


def _duration(span: ReadableSpan) -> float:
    return ((span.end_time or 0) - (span.start_time or 0)) / _NANOSECONDS


def _find_url(attributes: Any) -> str:
    """Return the URL of a call; the provider of an LLM call says more."""
    is_llm_call = attributes.get(_semconv.GEN_AI_PROVIDER_NAME) is not None
    return "" if is_llm_call else str(attributes.get(_semconv.URL_FULL, ""))


def _format_tokens(attributes: Any) -> str:
    read = attributes.get(_semconv.GEN_AI_USAGE_INPUT_TOKENS)
    written = attributes.get(_semconv.GEN_AI_USAGE_OUTPUT_TOKENS)
    if read is None and written is None:
        return ""
    return f"{read or 0} -> {written or 0} tokens"


def _format_cost(attributes: Any) -> str:
    total = attributes.get(_semconv.LUPIS_COST_TOTAL)
    return "" if total is None else format_dollars(total)


def format_dollars(amount: float) -> str:
    """Return an amount in USD with enough digits to tell cheap calls apart."""
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.6f}"


def _list_errors(span: ReadableSpan, attributes: Any) -> list[str]:
    """Return words for a body that was not read to its end, and for an error."""
    errors = []
    outcome = attributes.get(_semconv.LUPIS_RESPONSE_OUTCOME, "complete")
    if outcome != "complete":
        errors.append(outcome)
    error_type = attributes.get(_semconv.ERROR_TYPE)
    if error_type is not None:
        errors.append(f"error {error_type}")
    elif span.status.status_code.name == "ERROR":
        errors.append("error")
    return errors
