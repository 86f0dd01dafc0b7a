"""urllib3: upstream's instrumentor around `urlopen`; its bytes pass http.client."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lupis_instrument._instrumentation.wrapping import wrap_method

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation

_HEADERS_POSITION = 3
"""The index of `headers` among the arguments of `urlopen` after `self`."""


def wrap_client(module: ModuleType, activation: Activation) -> None:
    """Wrap `HTTPConnectionPool.urlopen`, through which all requests of urllib3 go."""
    wrap_method(activation, module.HTTPConnectionPool, "urlopen")
    _pass_default_headers(module.HTTPConnectionPool)


def _pass_default_headers(pool_class: Any) -> None:
    """Let calls without headers pass the default headers of their pool.

    Upstream's instrumentor, up to 0.66b1, gives such calls headers of its own instead.
    """
    start_call = pool_class.urlopen

    @functools.wraps(start_call)
    def urlopen(self: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) == _HEADERS_POSITION + 1 and "headers" not in kwargs:
            # Upstream's instrumentor, at 0.50b0, would pass them twice.
            kwargs["headers"] = args[_HEADERS_POSITION]
            args = args[:_HEADERS_POSITION]
        if len(args) <= _HEADERS_POSITION:
            if kwargs.get("headers") is None:
                kwargs["headers"] = getattr(self, "headers", None)
        elif args[_HEADERS_POSITION] is None:
            headers = getattr(self, "headers", None)
            args = (*args[:_HEADERS_POSITION], headers, *args[_HEADERS_POSITION + 1 :])
        return start_call(self, *args, **kwargs)

    pool_class.urlopen = urlopen


def instrument_client(provider: Any, activation: Activation) -> None:
    """Put upstream's instrumentor behind the wrapper."""
    from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor

    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(URLLib3Instrumentor, provider, activation.wrappers)
