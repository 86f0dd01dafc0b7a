"""requests: upstream's instrumentor around `Session.send`; its bytes pass http.client."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import internal_errors
from lupis_instrument._instrumentation.clients import redirects
from lupis_instrument._instrumentation.wrapping import wrap_method

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation


def wrap_client(module: ModuleType, activation: Activation) -> None:
    """Wrap `Session.send`, and the method that it calls for each redirect."""
    wrap_method(activation, module.Session, "send")
    _wrap_redirects(module.Session, activation)


def _wrap_redirects(session: Any, activation: Activation) -> None:
    """Wrap `rebuild_auth`, which `Session.send` calls with each redirected request."""
    owner = next(base for base in session.__mro__ if "rebuild_auth" in vars(base))
    original = owner.rebuild_auth

    @functools.wraps(original)
    def rebuild_auth(self: Any, prepared_request: Any, response: Any) -> Any:
        url, headers = prepared_request.url, prepared_request.headers
        with internal_errors("choosing trace headers"):
            redirects.replace_trace_headers(activation.current_call(), url, headers)
        return original(self, prepared_request, response)

    owner.rebuild_auth = rebuild_auth


def instrument_client(provider: Any, activation: Activation) -> None:
    """Put upstream's instrumentor behind the wrapper."""
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(RequestsInstrumentor, provider, activation.wrappers)
