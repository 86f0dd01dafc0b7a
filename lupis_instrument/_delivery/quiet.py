"""What our threads run in: nothing they do is recorded, and upstream's log lines stay off stderr.

Upstream's exporter logs each failed attempt. In the program's log those lines would be noise
about something the program has no part in, so they are kept as the reason for a line of ours.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import Iterator

LOGGERS = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http._common",
    "opentelemetry.exporter.otlp.proto.common._internal",
    "opentelemetry.exporter.otlp.proto.common._internal.trace_encoder",
    "urllib3.connectionpool",
    "urllib3.util.retry",
)


class _Ours(threading.local):
    active = False
    reason = ""


_ours = _Ours()


def _keep_off(record: logging.LogRecord) -> bool:
    if not _ours.active:
        return True
    _ours.reason = record.getMessage()
    return False


@contextmanager
def quiet() -> Iterator[None]:
    """Run the block unrecorded and without upstream's log lines."""
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    for name in LOGGERS:
        logger = logging.getLogger(name)
        if _keep_off not in logger.filters:
            logger.addFilter(_keep_off)
    before = _ours.active
    _ours.active = True
    try:
        with suppress_instrumentation():
            yield
    finally:
        _ours.active = before


def take_reason() -> str:
    """Return, once, the last line upstream would have logged on this thread."""
    reason, _ours.reason = _ours.reason, ""
    return reason
