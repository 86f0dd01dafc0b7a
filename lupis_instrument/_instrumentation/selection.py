"""Instruments the clients that the settings select, and reports clients that cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument.exceptions import LupisError

if TYPE_CHECKING:
    from lupis_instrument._config.clients import Client
    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._instrumentation.activation import Activation


def is_selected(client: Client, config: LupisConfig) -> bool:
    """Return whether `LUPIS_INSTRUMENT` and `LUPIS_DISABLED_INSTRUMENTATIONS` select a client."""
    return (not config.instrument or client.name in config.instrument) and (
        client.name not in config.disabled_instrumentations
    )


def instrument_client(
    client: Client, activation: Activation, provider: Any, config: LupisConfig
) -> None:
    """Put a client's instrumentor behind its wrappers; if that fails, report it.

    Args:
        client: the client.
        activation: the wrappers of the client.
        provider: the tracer provider of the spans.
        config: the current settings.
    """
    from importlib import import_module

    try:
        import_module(client.adapter).instrument_client(provider, activation)
    except Exception as fault:
        report_client(client, config, fault)


def report_client(client: Client, config: LupisConfig, fault: Exception) -> None:
    """Report that the calls of a client will not be recorded.

    It is an error if `LUPIS_INSTRUMENT` names the client, and otherwise a warning. Nothing is
    reported of a client that is disabled.
    """
    from importlib import metadata

    if client.name in config.disabled_instrumentations:
        return
    try:
        version = " " + metadata.version(client.distribution)
    except (metadata.PackageNotFoundError, ValueError):
        version = ""
    reason = str(fault) if isinstance(fault, LupisError) else f"{type(fault).__name__}: {fault}"
    diagnostics.write_message(
        "error" if client.name in config.instrument else "warning",
        f"{client.distribution or client.name}{version} is not instrumented: {reason}",
    )


def report_missing(config: LupisConfig) -> None:
    """Report the clients that `LUPIS_INSTRUMENT` names and that are not installed."""
    from importlib.util import find_spec

    from lupis_instrument._config.clients import CLIENTS

    for name in config.instrument:
        modules = [client.module.split(".")[0] for client in CLIENTS if client.name == name]
        if not any(find_spec(module) for module in modules):
            diagnostics.write_message(
                "error", f"LUPIS_INSTRUMENT={name!r}: {name} is not installed"
            )
