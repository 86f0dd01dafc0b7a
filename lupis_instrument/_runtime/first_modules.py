"""The modules that the first call loads, in parts, for programs with greenlets.

One import of all of them would stop the other greenlets for half a second on a busy machine.
"""

from __future__ import annotations

FIRST_MODULES = (
    "inspect",
    "lupis_instrument._config.config",
    "lupis_instrument._process.background_thread",
    "lupis_instrument._runtime.runtime",
    "lupis_instrument._runtime.current",
    "typing_extensions",
    "opentelemetry.context",
    "opentelemetry.baggage.propagation",
    "opentelemetry.trace",
    "asyncio.events",
    "wrapt",
    "packaging.version",
    "packaging.specifiers",
    "packaging.requirements",
    "opentelemetry.semconv._incubating.attributes.db_attributes",
    "opentelemetry.instrumentation._semconv",
    "opentelemetry.instrumentation.instrumentor",
    "opentelemetry.metrics",
    "lupis_instrument._export.batch_worker",
    "opentelemetry.sdk.resources",
    "opentelemetry.sdk.trace",
    "lupis_instrument._instrumentation.provider_observer",
    "lupis_instrument._llm.api.endpoints",
    "lupis_instrument._tracing.processor",
)
"""A module stands after the modules that it imports, so that each adds a few of its own."""
