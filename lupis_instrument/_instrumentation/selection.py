"""Which clients the settings want instrumented, and what is said of those that cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument.exceptions import LupisError

if TYPE_CHECKING:
    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._instrumentation.registry import Client


def is_wanted(client: Client, config: LupisConfig) -> bool:
    """Tell whether the settings leave a client to be instrumented."""
    return (not config.instrument or client.name in config.instrument) and (
        client.name not in config.disabled_instrumentations
    )


def report(client: Client, config: LupisConfig, fault: Exception) -> None:
    """Say that a client's calls will not be recorded."""
    from importlib import metadata

    if client.name in config.disabled_instrumentations:
        return
    try:
        version = " " + metadata.version(client.distribution)
    except (metadata.PackageNotFoundError, ValueError):
        version = ""
    reason = str(fault) if isinstance(fault, LupisError) else f"{type(fault).__name__}: {fault}"
    diagnostics.say(
        "error" if client.name in config.instrument else "warning",
        f"{client.distribution or client.name}{version} is not instrumented: {reason}",
    )


def look_for_missing(config: LupisConfig) -> None:
    """Say which clients that `LUPIS_INSTRUMENT` names are not there."""
    from importlib.util import find_spec

    from lupis_instrument._instrumentation.registry import CLIENTS

    for name in config.instrument:
        modules = [client.module.split(".")[0] for client in CLIENTS if client.name == name]
        if not any(find_spec(module) for module in modules):
            diagnostics.say("error", f"LUPIS_INSTRUMENT={name!r}: {name} is not installed")
