"""urllib3: upstream's instrumentor around `urlopen`; its bytes pass http.client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument._instrumentation.wrapping import wrap_method

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation


def wrap_client(module: ModuleType, activation: Activation) -> None:
    """Wrap `HTTPConnectionPool.urlopen`, through which all requests of urllib3 go."""
    wrap_method(activation, module.HTTPConnectionPool, "urlopen")


def instrument_client(provider: Any, activation: Activation) -> None:
    """Put upstream's instrumentor behind the wrapper."""
    from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor

    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(URLLib3Instrumentor, provider, activation.wrappers)
