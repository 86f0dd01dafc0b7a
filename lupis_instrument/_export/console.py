"""Renders spans as text, each trace as an indented tree, and events as lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Sequence

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import diagnostics

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_NANOSECONDS = 1e9


def render_spans(spans: Sequence[ReadableSpan]) -> str:
    """Return `spans` as lines, children below their parents, in the order of their start."""
    span_ids = {span.context.span_id for span in spans}
    children: dict[int | None, list[ReadableSpan]] = {}
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        parent_id = span.parent.span_id if span.parent is not None else None
        children.setdefault(parent_id if parent_id in span_ids else None, []).append(span)
    return "".join(_render_lines(children))


def _render_lines(children: dict[int | None, list[ReadableSpan]]) -> Iterator[str]:
    # A stack instead of recursion, because an agent may nest deeper than Python recurses.
    stack = [(span, "") for span in reversed(children.get(None, ()))]
    while stack:
        span, indent = stack.pop()
        yield f"{indent}{diagnostics.clean_line(describe_span(span))}\n"
        below = children.get(span.context.span_id, ())
        stack += [(child, indent + "  ") for child in reversed(below)]


def describe_span(span: ReadableSpan) -> str:
    """Return one line with the span's duration, name, provider or URL, usage and errors."""
    attributes = span.attributes or {}
    parts = [f"{_duration(span):7.2f} s  {span.name}"]
    texts = (_peer_name(attributes), _format_tokens(attributes), _format_cost(attributes))
    parts += [text for text in texts if text]
    chat = attributes.get(_semconv.LUPIS_CHAT_ID)
    parts += [f"chat {chat}"] if chat is not None else []
    parts += _list_errors(span, attributes)
    return "  ".join(parts)


def render_events(events: Sequence[Mapping[str, Any]]) -> str:
    """Return a line for each event, with its properties as JSON."""
    return "".join(
        f"  event  {diagnostics.clean_line(_describe_event(event))}\n" for event in events
    )


def _describe_event(event: Mapping[str, Any]) -> str:
    return f"{event['name']}  {json.dumps(event['properties'], ensure_ascii=False)}"


def _duration(span: ReadableSpan) -> float:
    return ((span.end_time or 0) - (span.start_time or 0)) / _NANOSECONDS


def _peer_name(attributes: Any) -> str:
    """Return the provider of an LLM call, or the URL of another call."""
    provider = attributes.get(_semconv.GEN_AI_PROVIDER_NAME)
    if provider is not None:
        return str(provider)
    return str(attributes.get(_semconv.URL_FULL, ""))


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
