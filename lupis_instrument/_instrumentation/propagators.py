"""Loads OpenTelemetry where OTEL_PROPAGATORS names a propagator that is not installed.

`opentelemetry.propagate` then raises a ValueError at its import (seen in 1.29 to 1.45), and with it
every instrumentor. Images set the variable for other programs than the one that runs.
"""

from __future__ import annotations

import os
from importlib import import_module

from lupis_instrument import _semconv

_MODULE = "opentelemetry.propagate"
_DEFAULT = "tracecontext,baggage"


def load_propagators() -> str | None:
    """Import the module of propagators, with the default ones where the named ones fail.

    Returns:
        The sentence for the user about names that fail; None if there are none.
    """
    try:
        import_module(_MODULE)
        return None
    except Exception:
        value = os.environ.get(_semconv.ENV_PROPAGATORS)
        if value is None:
            raise  # the variable is not the cause
    os.environ[_semconv.ENV_PROPAGATORS] = _DEFAULT
    try:
        import_module(_MODULE)
    finally:
        os.environ[_semconv.ENV_PROPAGATORS] = value
    return (
        f"{_semconv.ENV_PROPAGATORS}={value!r} names a propagator that is not installed;"
        f" {_DEFAULT} are used"
    )
