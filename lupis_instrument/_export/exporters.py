"""Where the spans and events of this process go, as `LUPIS_EXPORTER` says."""

from __future__ import annotations

import json
import sys
from threading import get_ident
from typing import TYPE_CHECKING, Any, Callable, Mapping, NamedTuple, Protocol, Sequence

from opentelemetry.instrumentation.utils import suppress_instrumentation

from lupis_instrument._diagnostics import warn
from lupis_instrument._export.console import render
from lupis_instrument._export.export_worker import ExportBatch, ExportWorker
from lupis_instrument._export.otlp import destinations
from lupis_instrument._export.otlp.encoded_items import SpanEncoder
from lupis_instrument._export.otlp.probe import Probe
from lupis_instrument._export.otlp.sending import Sender
from lupis_instrument._export.retry_manager import RetryManager
from lupis_instrument._export.store.database import StoreUnavailable
from lupis_instrument._export.store.store import Process, Store

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._export.accounting import Account
    from lupis_instrument._export.otlp.destinations import Destination
    from lupis_instrument._export.otlp.encoded_items import EncodedItem

_REST_SECONDS = 0.2


class Exporter(Protocol):
    """What takes finished spans and events; called on the workers' threads."""

    def spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Take filtered spans."""

    def events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Take filtered events."""


class NoopExporter:
    """Takes everything and keeps nothing."""

    def spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Do nothing."""

    def events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Do nothing."""


class ConsoleExporter:
    """Writes to stderr: spans as trees, an event a line."""

    def __init__(self, account: Account) -> None:
        """Count in `account` what is written."""
        self._account = account

    def spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Write spans."""
        self._write(len(spans), render(spans))

    def events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Write events."""
        lines = (
            f"  event  {event['name']}  {json.dumps(event['properties'], ensure_ascii=False)}\n"
            for event in events
        )
        self._write(len(events), "".join(lines))

    def _write(self, count: int, text: str) -> None:
        self._account.create(count)
        sys.stderr.write(text)
        sys.stderr.flush()
        self._account.deliver(count)


class OtlpExporter:
    """Gives spans and events to the courier, each kind with its way to go."""

    def __init__(
        self,
        packer: SpanEncoder,
        export_worker: ExportWorker,
        account: Account,
        of_spans: Callable[[], Destination | None],
        of_events: Callable[[], Destination | None],
    ) -> None:
        """Ask `of_spans` and `of_events`, late, where to go; None is the store."""
        self._packer = packer
        self._export_worker = export_worker
        self._account = account
        self._of_spans = of_spans
        self._of_events = of_events

    def spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Encode spans and give them to the courier."""
        self._put(self._packer.spans(spans), self._of_spans)

    def events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Encode events and give them to the courier."""
        self._put(self._packer.events(events), self._of_events)

    def _put(self, items: Sequence[EncodedItem], choose: Callable[[], Destination | None]) -> None:
        self._account.create(len(items))
        self._export_worker.put(ExportBatch(items, choose, sum(len(each.body) for each in items)))


class CaptureExporter(NamedTuple):
    """Functions that take spans and events instead of a way out."""

    spans: Callable[[Sequence[ReadableSpan]], None]
    events: Callable[[Sequence[Mapping[str, Any]]], None]


class Delivery:
    """All ways out of this process, and what became of what took them.

    Attributes:
        account: counts everything.
        store: the file for what is not delivered.
        way: what takes spans and events.
    """

    def __init__(
        self,
        config: LupisConfig,
        resource: Resource,
        shown: Callable[[str], str],
        process: Process,
        account: Account,
        *,
        default_endpoint: bool,
    ) -> None:
        """Deliver as `config` says.

        Args:
            config: the settings in force.
            resource: of events, filtered.
            shown: redacts an address.
            process: whose items are stored.
            account: counts everything.
            default_endpoint: whether nobody has set the endpoint.
        """
        self.account = account
        self.store = Store(config.data_dir, int(config.store_max_mb * (1 << 20)), process)
        self._retry_manager = RetryManager(self.store, self.account, Sender())
        self._export_worker = ExportWorker(self._retry_manager, suppress_instrumentation)
        self._exporter = config.exporter if config.enabled else "none"
        self._packer = SpanEncoder(resource)
        self._probe = Probe(config.otlp_endpoint) if default_endpoint else None
        self._span_route = destinations.of_spans(config, shown)
        self._event_route = destinations.of_events(config, shown)
        self._closed: dict[int, bool] = {}
        self.way = self._way()

    def _way(self) -> Exporter:
        if self._exporter == "none":
            return NoopExporter()
        if self._exporter == "console":
            return ConsoleExporter(self.account)
        return OtlpExporter(
            self._packer, self._export_worker, self.account, self._spans_go, self._events_go
        )

    def _spans_go(self) -> Destination | None:
        return self._span_route if self._goes_out() else None

    def _events_go(self) -> Destination | None:
        if not self._goes_out():
            return None
        if self._event_route is None:
            warn("events have no endpoint and are stored: set LUPIS_EVENTS_ENDPOINT")
        return self._event_route

    def _goes_out(self) -> bool:
        """Tell whether there is an endpoint to send to: for `auto`, one that is set or runs."""
        if self._exporter == "local":
            return False
        return self._exporter == "otlp" or self._probe is None or self._probe.answers()

    def store_now(self, span: ReadableSpan) -> bool:
        """Store a span before the program goes on; returns False where that cannot be done."""
        if not isinstance(self.way, OtlpExporter):
            return False
        destination = self._spans_go()
        try:
            self.store.add(
                self._packer.spans([span]), destination.target if destination is not None else None
            )
        except StoreUnavailable:
            return False
        self.account.create(1)
        self.account.store(1)
        if destination is not None:
            self._export_worker.expect(destination)
        return True

    def flush(self, seconds: float) -> bool:
        """Send what was given; returns whether all of it arrived, in time."""
        return self._export_worker.flush(seconds)

    def finish(self, seconds: float) -> bool:
        """Send what was given, or store it; returns whether none of it is lost."""
        self.store.database.busy_seconds = min(self.store.database.busy_seconds, 0.3)
        return self._export_worker.finish(seconds)

    # Forks

    def before_fork(self) -> None:
        """Come to rest, so that no lock of ours is held when the process is doubled."""
        self._export_worker.rest(_REST_SECONDS)
        self._closed[get_ident()] = self.store.database.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self.store.database.after_fork(closed=self._closed.pop(get_ident(), False))
        self._export_worker.wake()

    def after_fork_in_child(self) -> None:
        """Leave the file to the parent, and so all that is on its way; this object ends here."""
        if self._closed.pop(get_ident(), False):
            self.store.database.after_fork(closed=True)
        else:
            self.store.database.leave_to_parent()
