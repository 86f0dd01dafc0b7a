"""httpx2: wrapped as httpx is; upstream's instrumentor where it knows httpx2, else ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument._instrumentation.clients.httpx import UPSTREAM, attach

if TYPE_CHECKING:
    from lupis_instrument._instrumentation.activation import Activation

__all__ = ["attach", "instrument"]


def instrument(provider: Any, activation: Activation) -> None:
    """Lay an instrumentor around the client.

    `opentelemetry-instrumentation-httpx` covers httpx2 from 0.65b0 on; releases before
    don't.
    """
    from lupis_instrument._instrumentation.upstream import load_without, switch_on

    try:
        instrumentor = load_without("httpx", UPSTREAM).HTTPX2ClientInstrumentor
    except (ImportError, AttributeError):
        from lupis_instrument._instrumentation.clients.httpx2_spans import HTTPX2ClientInstrumentor

        instrumentor = HTTPX2ClientInstrumentor
    switch_on(instrumentor, provider, activation.wrappers)
