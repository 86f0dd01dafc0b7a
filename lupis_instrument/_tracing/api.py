"""The functions of OpenTelemetry's API that are needed while calls are made.

Functions that must not load OpenTelemetry too early import them from here. They get the same ones
at every call, also where the program has dropped OpenTelemetry from `sys.modules` since the first.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Callable

from opentelemetry import context
from opentelemetry.context import Context, attach
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.instrumentation import utils
from opentelemetry.propagate import inject
from opentelemetry.trace import (
    NoOpTracer,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    set_span_in_context,
)


def _find_get_current() -> Callable[[], Context]:
    """Return the quickest function that returns the current context.

    A call asks for the context about ten times. OpenTelemetry keeps it in a context variable under
    these private names, in releases 1.29 to 1.45, unless OTEL_PYTHON_CONTEXT names another place.
    """
    runtime_context = getattr(context, "_RUNTIME_CONTEXT", None)
    variable = getattr(runtime_context, "_current_context", None)
    if type(runtime_context) is ContextVarsRuntimeContext and isinstance(variable, ContextVar):
        return variable.get
    return context.get_current


get_current = _find_get_current()

__all__ = [
    "Context",
    "NoOpTracer",
    "SpanKind",
    "Status",
    "StatusCode",
    "attach",
    "get_current",
    "get_current_span",
    "inject",
    "set_span_in_context",
    "utils",
]
