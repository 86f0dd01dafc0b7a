"""The exporters that `LUPIS_EXPORTER` chooses from, and the one that `testing.capture` uses."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Mapping, Protocol, Sequence

from lupis_instrument._export.console import render_events, render_spans
from lupis_instrument._export.export_worker import ExportBatch, ExportWorker
from lupis_instrument._export.otlp.encoded_items import EVENT, SPAN, ItemEncoder
from lupis_instrument._export.terminal import describe_stderr, is_terminal
from lupis_instrument._process.native_threads import allocate_lock

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from lupis_instrument._export.accounting import Account
    from lupis_instrument._export.otlp.encoded_items import EncodedItem


class Exporter(Protocol):
    """Takes finished spans and events, redacted already, on the threads of the batch workers."""

    def export_spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Export redacted spans; may raise."""

    def export_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Export redacted events; may raise."""


class NoopExporter:
    """Accepts all spans and events, and keeps none of them."""

    def export_spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Accept spans without effect."""

    def export_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Accept events without effect."""


class ConsoleExporter:
    """Writes to stderr: spans as trees, and each event as a line."""

    def __init__(self, account: Account) -> None:
        """Make an exporter.

        Args:
            account: counts the spans and events that are written.
        """
        self._account = account

    def export_spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Write spans, children below their parents."""
        terminal = describe_stderr() if is_terminal(sys.stderr) else None
        self._write_text(len(spans), render_spans(spans, terminal))

    def export_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Write events with their properties as JSON."""
        self._write_text(len(events), render_events(events))

    def _write_text(self, count: int, text: str) -> None:
        self._account.add_created(count)
        sys.stderr.write(text)
        sys.stderr.flush()
        self._account.add_delivered(count)


class OtlpExporter:
    """Encodes spans and events, and passes them to the export worker.

    It serves `local` too: for that, the worker stores each item and sends nothing.
    """

    def __init__(self, encoder: ItemEncoder, export_worker: ExportWorker, account: Account) -> None:
        """Make an exporter.

        Args:
            encoder: encodes spans and events.
            export_worker: sends or stores the encoded items.
            account: counts the items.
        """
        self._encoder = encoder
        self._export_worker = export_worker
        self._account = account

    def export_spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Encode spans and queue them for export."""
        self._queue_items(SPAN, self._encoder.encode_spans(spans))

    def export_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Encode events and queue them for export."""
        self._queue_items(EVENT, self._encoder.encode_events(events))

    def _queue_items(self, kind: int, items: Sequence[EncodedItem]) -> None:
        self._account.add_created(len(items))
        size = sum(len(item.body) for item in items)
        self._export_worker.put_batch(ExportBatch(kind, items, size))


class CaptureExporter:
    """Keeps spans and events in memory, in the order in which they were exported."""

    def __init__(self) -> None:
        """Make an exporter that has kept nothing yet."""
        self._lock = allocate_lock()
        self._spans: list[ReadableSpan] = []
        self._events: list[Mapping[str, Any]] = []

    def export_spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Keep spans in memory."""
        with self._lock:
            self._spans.extend(spans)

    def export_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Keep events in memory."""
        with self._lock:
            self._events.extend(events)

    def get_spans(self) -> list[ReadableSpan]:
        """Return the spans kept until now."""
        with self._lock:
            return list(self._spans)

    def get_events(self) -> list[Mapping[str, Any]]:
        """Return the events kept until now."""
        with self._lock:
            return list(self._events)

    def clear(self) -> None:
        """Forget the spans and events kept until now."""
        with self._lock:
            self._spans.clear()
            self._events.clear()
