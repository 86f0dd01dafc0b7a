"""Switches on an OpenTelemetry instrumentor beside the one the program may use itself."""

from __future__ import annotations

from typing import Any


def switch_on(instrumentor: Any, provider: Any, **options: Any) -> None:
    """Instrument with an instance of our own.

    Instrumentor classes keep one instance each; were ours that one, the program's own
    `instrument()` would do nothing but warn, and its provider would get no spans.

    Raises:
        RuntimeError: the instrumentor declined, saying why on its own logger only.
    """
    from opentelemetry.metrics import NoOpMeterProvider

    ours = object.__new__(instrumentor)
    ours.instrument(
        tracer_provider=provider,
        # The global one is the program's: its metrics must not count each call twice.
        meter_provider=NoOpMeterProvider(),
        skip_dep_check=True,
        **options,
    )
    if not ours.is_instrumented_by_opentelemetry:
        raise RuntimeError(f"{instrumentor.__name__} declined")
