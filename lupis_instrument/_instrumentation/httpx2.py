"""httpx2: wrapped as httpx is; upstream's instrumentor where it knows httpx2, else ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument._instrumentation.httpx import attach

if TYPE_CHECKING:
    from lupis_instrument._instrumentation.gate import Gate

__all__ = ["attach", "instrument"]


def instrument(provider: Any, gate: Gate) -> None:
    """Lay an instrumentor around the client.

    `opentelemetry-instrumentation-httpx` covers httpx2 from 0.65b0 on; releases before
    don't.
    """
    from lupis_instrument._instrumentation.upstream import switch_on

    try:
        from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor as Instrumentor
    except ImportError:
        from lupis_instrument._instrumentation.httpx2_spans import (
            HTTPX2ClientInstrumentor as Instrumentor,
        )
    switch_on(Instrumentor, provider, gate.doors)
