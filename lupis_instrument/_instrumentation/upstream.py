"""Switches on an OpenTelemetry instrumentor beside the one the program may use itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument._instrumentation.doors import unhinged

if TYPE_CHECKING:
    from typing import Sequence

    from lupis_instrument._instrumentation.doors import Door


def switch_on(instrumentor: Any, provider: Any, doors: Sequence[Door] = (), **options: Any) -> None:
    """Instrument with an instance of our own, behind `doors`.

    Instrumentor classes keep one instance each; were ours that one, the program's own
    `instrument()` would do nothing but warn, and its provider would get no spans.

    Raises:
        RuntimeError: the instrumentor declined, saying why on its own logger only.
    """
    from opentelemetry.metrics import NoOpMeterProvider

    ours = object.__new__(instrumentor)
    with unhinged(doors):
        ours.instrument(
            tracer_provider=provider,
            # The global one is the program's: its metrics must not count each call twice.
            meter_provider=NoOpMeterProvider(),
            skip_dep_check=True,
            **options,
        )
    if not ours.is_instrumented_by_opentelemetry:
        raise RuntimeError(f"{instrumentor.__name__} declined")
