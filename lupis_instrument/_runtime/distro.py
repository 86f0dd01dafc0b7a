"""What `opentelemetry-instrument` loads of ours where OTEL_PYTHON_DISTRO=lupis selects it.

Upstream takes the first distro and the first configurator it comes across where none is named, so
each stands back there: installed, but not selected, they leave all as it would be without them.
"""

from __future__ import annotations

import os
from importlib import metadata
from typing import Any

from opentelemetry.distro import OpenTelemetryConfigurator, OpenTelemetryDistro
from opentelemetry.instrumentation.environment_variables import (
    OTEL_PYTHON_CONFIGURATOR,
    OTEL_PYTHON_DISTRO,
)

from lupis_instrument._runtime import bootstrap as _bootstrap

_NAME = "lupis"
_GROUP = "opentelemetry_configurator"


class LupisDistro(OpenTelemetryDistro):
    """Watches for HTTP clients as below `lupis-run`."""

    def _configure(self, **kwargs: Any) -> None:  # noqa: ARG002 - upstream's signature
        _bootstrap.start()

    def load_instrumentor(self, entry_point: Any, **kwargs: Any) -> None:
        """Load none: ours lie around the clients that the program uses, from the first request."""


class LupisConfigurator(OpenTelemetryConfigurator):
    """Leaves the SDK to be set up at the first request, as below `lupis-run`."""

    def _configure(self, **kwargs: Any) -> None:  # noqa: ARG002 - upstream's signature
        _bootstrap.start()


def distro() -> LupisDistro | None:
    """Return ours if it is selected; upstream passes over what is no distro."""
    return LupisDistro() if os.environ.get(OTEL_PYTHON_DISTRO) == _NAME else None


def configurator() -> Any:
    """Return ours if it is selected, else the one that would have come first without it."""
    if os.environ.get(OTEL_PYTHON_CONFIGURATOR) == _NAME:
        return LupisConfigurator()  # type: ignore[no-untyped-call]
    for entry_point in _configurators():
        if entry_point.name != _NAME:
            return entry_point.load()()
    return OpenTelemetryConfigurator()  # type: ignore[no-untyped-call]


def _configurators() -> Any:
    found: Any = metadata.entry_points()
    # Python 3.8 and 3.9 have a dict of groups.
    return found.select(group=_GROUP) if hasattr(found, "select") else found.get(_GROUP, ())
