"""Lays the instrumentors around the clients that the program uses, each with its first request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lupis_instrument._instrumentation import selection
from lupis_instrument._runtime import runtime as _runtime

if TYPE_CHECKING:
    from lupis_instrument._instrumentation.activation import Activation, Calls
    from lupis_instrument._instrumentation.registry import Client


def activate(client: Client, activation: Activation, calls: Calls) -> bool:
    """Lay a client's instrumentor around it, and let the wires find the calls under way.

    Returns:
        Whether it was done; otherwise the client stays as it is.
    """
    runtime = _runtime.start()
    if runtime is None or not selection.is_wanted(client, runtime.config):
        return False
    calls.current = runtime.processor.current_http_call
    calls.underway = runtime.processor.has_open_call
    calls.apart = runtime.processor.client_context
    from importlib import import_module

    try:
        import_module(client.adapter).instrument(runtime.provider, activation)
    except Exception as fault:
        selection.report(client, runtime.config, fault)
        return False
    return True


def report_client(client: Client, fault: Exception) -> None:
    """Say that a client's calls will not be recorded."""
    runtime = _runtime.get()
    config = runtime.config if runtime is not None else _runtime.settings().config
    selection.report(client, config, fault)
