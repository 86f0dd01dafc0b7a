"""The tracer providers of the program, observed once in a process."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import internal_errors
from lupis_instrument._runtime.launch import launch

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.provider_observer import ObservedProviders

_OPENTELEMETRY_SDK = "opentelemetry.sdk.trace"


def observe_providers(sdk: ModuleType) -> None:
    """Follow each provider that the program sets up from now on; a second call does nothing.

    Args:
        sdk: the module `opentelemetry.sdk.trace`.
    """
    from lupis_instrument._instrumentation import provider_observer

    if launch.providers is None:
        launch.providers = provider_observer.observe_providers(sdk)


def get_providers() -> ObservedProviders:
    """Return the observed providers; loads the OpenTelemetry SDK."""
    from lupis_instrument._instrumentation.provider_observer import ObservedProviders

    with internal_errors("observing tracer providers"):
        observe_providers(import_module(_OPENTELEMETRY_SDK))
    launch.providers = launch.providers or ObservedProviders()
    return launch.providers


def has_open_provider() -> bool:
    """Return whether the program has a tracer provider that is not shut down."""
    return launch.providers is not None and bool(launch.providers.list_open())


def find_original(span: Any) -> Any:
    """Return the span under way that `span` stands in for, or `span` itself."""
    return span if launch.providers is None else launch.providers.span_tree.resolve_span(span)
