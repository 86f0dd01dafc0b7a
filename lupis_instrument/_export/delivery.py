"""The export of this process as its settings describe it: exporter, export worker and store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Callable, Mapping

from opentelemetry.instrumentation.utils import suppress_instrumentation

from lupis_instrument._config.value_types import NO_URL
from lupis_instrument._export.export_worker import ExportWorker
from lupis_instrument._export.exporters import (
    ConsoleExporter,
    Exporter,
    NoopExporter,
    OtlpExporter,
)
from lupis_instrument._export.otlp.destinations import Router, event_destination, span_destination
from lupis_instrument._export.otlp.encoded_items import SPAN, ItemEncoder
from lupis_instrument._export.otlp.probe import EndpointProbe
from lupis_instrument._export.otlp.sending import Sender
from lupis_instrument._export.retry_manager import RetryManager
from lupis_instrument._export.store.database import StoreUnavailable
from lupis_instrument._export.store.store import Process, Store

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._export.accounting import Account

_PAUSE_SECONDS = 0.2
_MAX_BUSY_SECONDS = 0.3
"""How long the end of the process waits for others that write to the store."""


class Delivery:
    """Exports the spans and events of one process under one configuration.

    Attributes:
        store: the file for items that are not delivered.
        exporter: takes finished spans and events.
    """

    def __init__(
        self,
        config: LupisConfig,
        resource: Resource,
        redact_text: Callable[[str], str],
        process: Process,
        account: Account,
        *,
        environ: Mapping[str, str] = os.environ,
        default_endpoint: bool,
    ) -> None:
        """Put the parts together that `config` asks for.

        Args:
            config: the settings.
            resource: the resource of events, redacted already.
            redact_text: removes secrets from an address, and from an endpoint's answer.
            process: the process whose items are stored.
            account: counts all items.
            environ: the variables of OpenTelemetry's exporter.
            default_endpoint: whether nobody has set the endpoint.
        """
        self._account = account
        self.store = Store(config.data_dir, int(config.store_max_mb * (1 << 20)), process)
        exporter = config.exporter if config.enabled else "none"
        self._router = Router(
            exporter,
            span_destination(config, redact_text),
            event_destination(config, redact_text),
            EndpointProbe(config.otlp_endpoint) if default_endpoint else None,
            keeps_events=config.events_endpoint == NO_URL,
        )
        retry_manager = RetryManager(self.store, account, Sender(environ, redact_text))
        self._export_worker = ExportWorker(retry_manager, self._router, suppress_instrumentation)
        self._encoder = ItemEncoder(resource)
        self.exporter = self._make_exporter(exporter)

    def _make_exporter(self, name: str) -> Exporter:
        if name == "none":
            return NoopExporter()
        if name == "console":
            return ConsoleExporter(self._account)
        return OtlpExporter(self._encoder, self._export_worker, self._account)

    def store_span(self, span: ReadableSpan) -> bool:
        """Store a span before the program goes on; returns False where that is impossible."""
        if not isinstance(self.exporter, OtlpExporter):
            return False
        destination = self._router.choose_destination(SPAN)
        try:
            self.store.add_items(
                self._encoder.encode_spans([span]),
                destination.target if destination is not None else None,
            )
        except StoreUnavailable:
            return False
        self._account.add_created(1)
        self._account.add_stored(1)
        if destination is not None:
            self._export_worker.send_stored(destination)
        return True

    def flush(self, seconds: float) -> bool:
        """Send all items; returns whether all of them arrived within `seconds`."""
        return self._export_worker.flush(seconds)

    def stop(self, seconds: float) -> bool:
        """Send or store all items within `seconds`; returns whether none is lost."""
        database = self.store.database
        database.busy_seconds = min(database.busy_seconds, _MAX_BUSY_SECONDS)
        return self._export_worker.stop(seconds)

    # Forks

    def before_fork(self) -> None:
        """Pause the worker and close the store: no lock may be held when the process forks."""
        self._export_worker.pause(_PAUSE_SECONDS)
        self.store.database.before_fork()

    def after_fork_in_parent(self) -> None:
        """Open the store and resume the worker."""
        self.store.database.after_fork_in_parent()
        self._export_worker.resume()

    def after_fork_in_child(self) -> None:
        """Leave the file and all items in transit to the parent; the child needs a new object."""
        self.store.database.after_fork_in_child()
