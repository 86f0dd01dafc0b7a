"""The functions of OpenTelemetry's API that are needed while calls are made.

Functions that must not load OpenTelemetry too early import them from here. They get the same ones
at every call, also where the program has dropped OpenTelemetry from `sys.modules` since the first.
"""

from opentelemetry.context import Context, attach, get_current
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
