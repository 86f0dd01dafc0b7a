"""Spans as text: a readable tree a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Sequence

from lupis_instrument import _semconv

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


def render(spans: Sequence[ReadableSpan]) -> str:
    """Return `spans` as lines, children below their parents, in the order they began."""
    here = {span.context.span_id for span in spans}
    children: dict[int | None, list[ReadableSpan]] = {}
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        parent = span.parent.span_id if span.parent is not None else None
        children.setdefault(parent if parent in here else None, []).append(span)
    return "".join(_lines(children))


def _lines(children: dict[int | None, list[ReadableSpan]]) -> Iterator[str]:
    # A stack, for an agent may nest deeper than Python recurses.
    left = [(span, "") for span in reversed(children.get(None, ()))]
    while left:
        span, indent = left.pop()
        yield f"{indent}{describe(span)}\n"
        below = children.get(span.context.span_id, ())
        left += [(child, indent + "  ") for child in reversed(below)]


def describe(span: ReadableSpan) -> str:
    """Return one line on a span: what it was, how long it took, what it used, how it ended."""
    attributes = span.attributes or {}
    parts = [f"{_seconds(span):7.2f} s  {span.name}"]
    texts = (_place(attributes), _tokens(attributes), _cost(attributes))
    parts += [text for text in texts if text]
    chat = attributes.get(_semconv.LUPIS_CHAT_ID)
    parts += [f"chat {chat}"] if chat is not None else []
    parts += _troubles(span, attributes)
    return "  ".join(parts)


def _seconds(span: ReadableSpan) -> float:
    return ((span.end_time or 0) - (span.start_time or 0)) / 1e9


def _place(attributes: Any) -> str:
    provider = attributes.get(_semconv.GEN_AI_PROVIDER_NAME)
    if provider is not None:
        return str(provider)
    return str(attributes.get(_semconv.URL_FULL, ""))


def _tokens(attributes: Any) -> str:
    read = attributes.get(_semconv.GEN_AI_USAGE_INPUT_TOKENS)
    written = attributes.get(_semconv.GEN_AI_USAGE_OUTPUT_TOKENS)
    if read is None and written is None:
        return ""
    return f"{read or 0} -> {written or 0} tokens"


def _cost(attributes: Any) -> str:
    total = attributes.get(_semconv.LUPIS_COST_TOTAL)
    return "" if total is None else dollars(total)


def dollars(amount: float) -> str:
    """Return an amount in USD with enough digits to tell cheap calls apart."""
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.6f}"


def _troubles(span: ReadableSpan, attributes: Any) -> list[str]:
    troubles = []
    outcome = attributes.get(_semconv.LUPIS_RESPONSE_OUTCOME, "complete")
    if outcome != "complete":
        troubles.append(outcome)
    error = attributes.get(_semconv.ERROR_TYPE)
    if error is not None:
        troubles.append(f"error {error}")
    elif span.status.status_code.name == "ERROR":
        troubles.append("error")
    return troubles
