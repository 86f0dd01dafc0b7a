"""Chooses trace headers anew where a client sends a redirected request under the same span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lupis_instrument._tracing.http_call import HttpCall


def replace_trace_headers(http_call: HttpCall | None, url: str, headers: Any) -> None:
    """Replace the trace headers of the first request by the headers that the new host may get.

    Args:
        http_call: the call, if it is recorded.
        url: the URL that the request is redirected to.
        headers: the headers of the new request, copied from the first one; changed in place.
    """
    if http_call is not None and http_call.span is not None:
        from lupis_instrument._tracing.api import inject, set_span_in_context

        http_call.url = url
        inject(headers, set_span_in_context(http_call.span))
