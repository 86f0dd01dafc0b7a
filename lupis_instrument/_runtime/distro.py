"""The entry points that `opentelemetry-instrument` loads, selected by OTEL_PYTHON_DISTRO=lupis.

Where no distro is named, upstream takes the first distro and the first configurator that it finds.
The functions below then return the result that upstream would get without this package.
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

from lupis_instrument._runtime import bootstrap

_NAME = "lupis"
_GROUP = "opentelemetry_configurator"


class LupisDistro(OpenTelemetryDistro):
    """Watches for HTTP clients, as a process below `lupis-run` does."""

    def _configure(self, **kwargs: Any) -> None:  # noqa: ARG002 - upstream's signature
        bootstrap.start()

    def load_instrumentor(self, entry_point: Any, **kwargs: Any) -> None:
        """Load none: a client is instrumented by this package with its first request."""


class LupisConfigurator(OpenTelemetryConfigurator):
    """Sets up nothing: the SDK is set up at the first request, as below `lupis-run`."""

    def _configure(self, **kwargs: Any) -> None:  # noqa: ARG002 - upstream's signature
        bootstrap.start()


def distro() -> LupisDistro | None:
    """Return our distro if it is selected; upstream skips an entry point that returns None."""
    return LupisDistro() if os.environ.get(OTEL_PYTHON_DISTRO) == _NAME else None


def configurator() -> Any:
    """Return our configurator if it is selected, else the one that upstream would take."""
    if os.environ.get(OTEL_PYTHON_CONFIGURATOR) == _NAME:
        return LupisConfigurator()  # type: ignore[no-untyped-call]
    for entry_point in _configurators():
        if entry_point.name != _NAME:
            return entry_point.load()()
    return OpenTelemetryConfigurator()  # type: ignore[no-untyped-call]


def _configurators() -> Any:
    entry_points: Any = metadata.entry_points()
    if hasattr(entry_points, "select"):
        return entry_points.select(group=_GROUP)
    return entry_points.get(_GROUP, ())  # Python 3.8 and 3.9 return a dict of groups
