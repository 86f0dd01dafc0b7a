"""Has trace headers chosen anew where a client sends a redirected request under the same span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lupis_instrument._tracing.http_call import HttpCall


def follow(http_call: HttpCall | None, url: str, headers: Any) -> None:
    """Put into `headers`, those of the first request still, what the host of `url` may have."""
    if http_call is not None and http_call.span is not None:
        from opentelemetry.propagate import inject
        from opentelemetry.trace import set_span_in_context

        http_call.url = url
        inject(headers, set_span_in_context(http_call.span))
