"""The distro that `opentelemetry-instrument` loads, selected by OTEL_PYTHON_DISTRO=lupis.

Where no distro is named, upstream takes the first distro that it finds, and skips an entry point
that returns none. This package registers no configurator: beside upstream's own, upstream would
write a line about one of the two in every process, also where this package is not selected.
"""

from __future__ import annotations

import os
from logging import getLogger
from typing import TYPE_CHECKING, Any

from opentelemetry.distro import OpenTelemetryDistro
from opentelemetry.instrumentation.environment_variables import (
    OTEL_PYTHON_CONFIGURATOR,
    OTEL_PYTHON_DISTRO,
)

from lupis_instrument._runtime import bootstrap

if TYPE_CHECKING:
    from logging import LogRecord

_NAME = "lupis"
_UPSTREAM_LOGGER = "opentelemetry.instrumentation.auto_instrumentation._load"


class LupisDistro(OpenTelemetryDistro):
    """Watches for HTTP clients, as a process below `lupis-run` does.

    The SDK is set up at the first request. OTEL_PYTHON_CONFIGURATOR=lupis keeps upstream from
    setting one up: there is no configurator of this name.
    """

    def _configure(self, **kwargs: Any) -> None:  # noqa: ARG002 - upstream's signature
        getLogger(_UPSTREAM_LOGGER).addFilter(_is_news)
        bootstrap.start()

    def load_instrumentor(self, entry_point: Any, **kwargs: Any) -> None:
        """Load none: a client is instrumented by this package with its first request."""


def _is_news(record: LogRecord) -> bool:
    """Return whether a line of upstream is not about the configurators that the user left out."""
    return record.args is None or tuple(record.args)[1:] != (_NAME, OTEL_PYTHON_CONFIGURATOR)


def distro() -> LupisDistro | None:
    """Return the distro if it is selected; upstream skips an entry point that returns None."""
    return LupisDistro() if os.environ.get(OTEL_PYTHON_DISTRO) == _NAME else None
