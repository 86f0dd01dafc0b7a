"""requests: upstream's instrumentor around `Session.send`; its wire is http.client's."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.gate import Gate


def attach(module: ModuleType, gate: Gate) -> None:
    """Open `gate` at the first `Session.send`."""
    session = module.Session
    original = session.send

    @functools.wraps(original)
    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        if gate.dormant and gate.open():
            return session.send(self, *args, **kwargs)
        return original(self, *args, **kwargs)

    session.send = send


def instrument(provider: Any, gate: Gate) -> None:  # noqa: ARG001 - one shape for all clients
    """Lay upstream's instrumentor around the client."""
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(RequestsInstrumentor, provider)
