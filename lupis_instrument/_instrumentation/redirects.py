"""Has trace headers chosen anew where a client sends a redirected request under the same span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument._context import CALL

if TYPE_CHECKING:
    from lupis_instrument._exchange import Exchange


def follow(exchange: Exchange | None, url: str, headers: Any) -> None:
    """Put into `headers`, those of the first request still, what the host of `url` may have."""
    from opentelemetry.context import get_value
    from opentelemetry.propagate import inject
    from opentelemetry.trace import Span, set_span_in_context

    if exchange is not None:
        exchange.url = url
        span = get_value(CALL)
        inject(headers, set_span_in_context(span) if isinstance(span, Span) else None)
