"""requests: upstream's instrumentor around `Session.send`; its wire is http.client's."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import guarded
from lupis_instrument._instrumentation.clients import redirects
from lupis_instrument._instrumentation.wrapping import wrap_method

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation


def attach(module: ModuleType, activation: Activation) -> None:
    """Open `activation` at the first `Session.send`, and see its redirects."""
    wrap_method(activation, module.Session, "send")
    _attach_redirects(module.Session, activation)


def _attach_redirects(session: Any, activation: Activation) -> None:
    """Wrap what `Session.send` calls with each request that it is redirected to."""
    owner = next(each for each in session.__mro__ if "rebuild_auth" in vars(each))
    original = owner.rebuild_auth

    @functools.wraps(original)
    def rebuild_auth(self: Any, prepared_request: Any, response: Any) -> Any:
        url, headers = prepared_request.url, prepared_request.headers
        guarded("choosing trace headers", redirects.follow, activation.http_call(), url, headers)
        return original(self, prepared_request, response)

    owner.rebuild_auth = rebuild_auth


def instrument(provider: Any, activation: Activation) -> None:
    """Lay upstream's instrumentor around the client."""
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(RequestsInstrumentor, provider, activation.wrappers)
