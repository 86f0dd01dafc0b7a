"""The standard variables of batching.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#batch-span-processor
"""

from __future__ import annotations

from typing import Any, Mapping


def read(environ: Mapping[str, str]) -> dict[str, Any]:
    """Read the standard variables of batching; what is unreadable or not positive is left out."""
    rows = (
        ("batch", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1),
        ("most", "OTEL_BSP_MAX_QUEUE_SIZE", 1),
        ("delay", "OTEL_BSP_SCHEDULE_DELAY", 1000),
    )
    found = {}
    for name, variable, divisor in rows:
        text = environ.get(variable, "").strip()
        if text.isdigit() and int(text) > 0:
            found[name] = int(text) if divisor == 1 else int(text) / divisor
    return found
