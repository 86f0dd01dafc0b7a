"""requests: upstream's instrumentor around `Session.send`; its wire is http.client's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument._instrumentation.doors import hang

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.gate import Gate


def attach(module: ModuleType, gate: Gate) -> None:
    """Open `gate` at the first `Session.send`."""
    hang(gate, module.Session, "send")


def instrument(provider: Any, gate: Gate) -> None:
    """Lay upstream's instrumentor around the client."""
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(RequestsInstrumentor, provider, gate.doors)
