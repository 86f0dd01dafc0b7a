"""httpx2: wrapped like httpx; instrumented by upstream, or by this package where upstream can't."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument._instrumentation.clients.httpx import UPSTREAM, wrap_client

if TYPE_CHECKING:
    from lupis_instrument._instrumentation.activation import Activation

__all__ = ["instrument_client", "wrap_client"]


def instrument_client(provider: Any, activation: Activation) -> None:
    """Put an instrumentor behind the wrappers.

    `opentelemetry-instrumentation-httpx` covers httpx2 from 0.65b0 on; earlier releases do not.
    """
    from lupis_instrument._instrumentation.upstream import load_without, switch_on

    try:
        instrumentor_class = load_without("httpx", UPSTREAM).HTTPX2ClientInstrumentor
    except (ImportError, AttributeError):
        from lupis_instrument._instrumentation.clients.httpx2_spans import HTTPX2ClientInstrumentor

        instrumentor_class = HTTPX2ClientInstrumentor
    switch_on(instrumentor_class, provider, activation.wrappers)
