"""Has trace headers chosen anew where a client sends a redirected request under the same span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lupis_instrument._tracing.http_call import Exchange


def follow(exchange: Exchange | None, url: str, headers: Any) -> None:
    """Put into `headers`, those of the first request still, what the host of `url` may have."""
    if exchange is not None and exchange.span is not None:
        from opentelemetry.propagate import inject
        from opentelemetry.trace import set_span_in_context

        exchange.url = url
        inject(headers, set_span_in_context(exchange.span))
