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
_NAMES = (
    "headers",
    "retries",
    "redirect",
    "assert_same_host",
    "timeout",
    "pool_timeout",
    "release_conn",
    "chunked",
    "body_pos",
)
"""The names of the arguments from there on, in urllib3 1.25 to 2.x."""


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
        args, kwargs = _name_arguments(args, kwargs)
        if len(args) <= _HEADERS_POSITION and kwargs.get("headers") is None:
            kwargs["headers"] = getattr(self, "headers", None)
        return start_call(self, *args, **kwargs)

    pool_class.urlopen = urlopen


def _name_arguments(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments with names for `headers` and all after it.

    Upstream's instrumentor, at 0.50b0, would pass headers without a name twice. Arguments that
    `urlopen` does not take stay as they are, so that its own error names them.
    """
    named = dict(zip(_NAMES, args[_HEADERS_POSITION:]))
    if len(args) > _HEADERS_POSITION + len(_NAMES) or named.keys() & kwargs.keys():
        return args, kwargs
    return args[:_HEADERS_POSITION], {**named, **kwargs}


def instrument_client(provider: Any, activation: Activation) -> None:
    """Put upstream's instrumentor behind the wrapper."""
    from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor

    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(URLLib3Instrumentor, provider, activation.wrappers)
