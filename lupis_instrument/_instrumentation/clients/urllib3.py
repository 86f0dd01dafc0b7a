"""urllib3: upstream's instrumentor around `urlopen`; its wire is http.client's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument._instrumentation.wrapping import hang

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Gate


def attach(module: ModuleType, gate: Gate) -> None:
    """Open `gate` at the first `urlopen`."""
    hang(gate, module.HTTPConnectionPool, "urlopen")


def instrument(provider: Any, gate: Gate) -> None:
    """Lay upstream's instrumentor around the client."""
    from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor

    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(URLLib3Instrumentor, provider, gate.doors)
