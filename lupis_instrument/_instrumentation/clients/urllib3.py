"""urllib3: upstream's instrumentor around `urlopen`; its wire is http.client's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument._instrumentation.wrapping import wrap_method

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation


def attach(module: ModuleType, activation: Activation) -> None:
    """Open `activation` at the first `urlopen`."""
    wrap_method(activation, module.HTTPConnectionPool, "urlopen")


def instrument(provider: Any, activation: Activation) -> None:
    """Lay upstream's instrumentor around the client."""
    from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor

    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(URLLib3Instrumentor, provider, activation.wrappers)
