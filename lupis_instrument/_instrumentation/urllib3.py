"""urllib3: upstream's instrumentor around `urlopen`; its wire is http.client's."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.gate import Gate


def attach(module: ModuleType, gate: Gate) -> None:
    """Open `gate` at the first `urlopen`."""
    pool = module.HTTPConnectionPool
    original = pool.urlopen

    @functools.wraps(original)
    def urlopen(self: Any, *args: Any, **kwargs: Any) -> Any:
        if gate.dormant and gate.open():
            return pool.urlopen(self, *args, **kwargs)
        return original(self, *args, **kwargs)

    pool.urlopen = urlopen


def instrument(provider: Any, gate: Gate) -> None:  # noqa: ARG001 - one shape for all clients
    """Lay upstream's instrumentor around the client."""
    from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor

    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(URLLib3Instrumentor, provider)
