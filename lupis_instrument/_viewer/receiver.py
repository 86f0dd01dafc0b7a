"""Takes spans and events of programs: redacts and prices them, and answers once they are stored."""

from __future__ import annotations

import os
from itertools import islice
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, NamedTuple, Sequence

from opentelemetry.sdk.resources import Resource

from lupis_instrument import _semconv
from lupis_instrument._config.config import resolve_settings
from lupis_instrument._diagnostics import internal_errors, report_fault
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.store.database import StoreUnavailable
from lupis_instrument._export.store.size_limit import split_items
from lupis_instrument._export.store.store import Process, Store
from lupis_instrument._query.origins import read_resource
from lupis_instrument._runtime.assembly import (
    make_exception_filter,
    make_redactor,
    read_catalog,
    read_own_prices,
)
from lupis_instrument._tracing.stages.redact import SpanRedactor
from lupis_instrument._viewer.agent_usage import make_call
from lupis_instrument._viewer.event_json import read_events
from lupis_instrument._viewer.otlp_logs import read_log_events
from lupis_instrument._viewer.otlp_requests import check_spans, decode_request, make_success
from lupis_instrument._viewer.otlp_spans import SpanPreparer
from lupis_instrument._viewer.readers import encode_json
from lupis_instrument._viewer.received_spans import BatchPreparer, list_spans
from lupis_instrument._viewer.replies import JSON, Reply, make_error
from lupis_instrument._viewer.request_body import BodyError, decompress_body

if TYPE_CHECKING:
    from email.message import Message

    from opentelemetry.sdk.trace import ReadableSpan

    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._export.otlp.encoded_items import EncodedItem
    from lupis_instrument._export.otlp.encoding import Origin
    from lupis_instrument._redaction import Redactor

_MAX_REQUESTS = 8
"""Requests that are held in memory at the same time; further ones are to come again."""
_SPANS_AT_ONCE = 512
"""Spans that are prepared and stored at once: a big request takes little more memory than a small
one."""
_WAIT_SECONDS = 5.0
_RETRY = ("Retry-After", "1")
_DEFAULT_PROJECT = "default"
_BAD_SPANS = "spans without valid ids, or that could not be redacted, were left out"
_NO_EVENTS = "log records without the name of an event, or with content, were left out"


class Batch(NamedTuple):
    """The items of a request.

    Attributes:
        spans: the spans, prepared.
        events: the events, prepared, each with its resource.
    """

    spans: list[ReadableSpan]
    events: list[tuple[Resource, dict[str, Any]]]


class StoreReceiver:
    """Stores the spans and events that programs send."""

    def __init__(self, store: Store, preparer: SpanPreparer, redact: Redact) -> None:
        """Make a receiver.

        Args:
            store: the store.
            preparer: prepares spans.
            redact: filters events and resources.
        """
        self._store = store
        self._preparer = preparer
        self._spans = BatchPreparer(redact.spans, preparer)
        self._redact = redact
        self._slots = BoundedSemaphore(_MAX_REQUESTS)
        self._writing = Lock()

    def receive(self, path: str, headers: Message, body: bytes) -> Reply:
        """Store the spans or events in a request, and return the response."""
        if not self._slots.acquire(timeout=_WAIT_SECONDS):
            return make_error(429, "too many requests at once", _RETRY)
        try:
            data = decompress_body(body, headers.get("Content-Encoding", ""))
            content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
            return _READERS[path](self, data, content_type, headers)
        except BodyError as error:
            return error.reply
        except StoreUnavailable as error:
            return make_error(503, str(error), _RETRY)
        except Exception as fault:
            report_fault("receiving spans", fault)
            return make_error(500, "the request could not be stored")
        finally:
            self._slots.release()

    def close(self) -> None:
        """Close the store's file."""
        self._store.database.close()

    def _receive_spans(self, data: bytes, content_type: str, headers: Message) -> Reply:  # noqa: ARG002 - as the table calls it
        received = stored = 0
        spans = list_spans(check_spans(data, content_type), self._redact.spans)
        while True:
            part = list(islice(spans, _SPANS_AT_ONCE))
            if not part:
                return make_success("spans", content_type, received - stored, _BAD_SPANS)
            items = self._spans.prepare_spans(part)
            self._add_items(items)
            received += len(part)
            stored += len(items)

    def _prepare_spans(self, spans: Iterable[ReadableSpan]) -> Iterator[ReadableSpan]:
        """Yield the spans, prepared; without the spans for which that fails."""
        for span in spans:
            with internal_errors("preparing a received span"):
                yield self._preparer.prepare_span(span)

    def _receive_logs(self, data: bytes, content_type: str, headers: Message) -> Reply:  # noqa: ARG002 - as above
        request = decode_request("log_records", data, content_type)
        batch = Batch([], [])
        rejected = 0
        for event in read_log_events(request):
            if event is None:
                rejected += 1
                continue
            call = make_call(event)
            if call is not None:
                batch.spans.extend(self._prepare_spans([call]))
            else:
                resource = self._redact.redact_resource(Resource(event.resource))
                batch.events.append((resource, self._redact.redact_event(event.make_event())))
        self._add_batch(batch)
        return make_success("log_records", content_type, rejected, _NO_EVENTS)

    def _receive_events(self, data: bytes, content_type: str, headers: Message) -> Reply:
        if content_type != JSON:
            raise BodyError(415, f"expected the content type {JSON}")
        events, rejected = read_events(data)
        project = headers.get(_semconv.HEADER_PROJECT_ID) or _DEFAULT_PROJECT
        resource = self._redact.redact_resource(Resource({_semconv.LUPIS_PROJECT_ID: project}))
        pairs = [(resource, self._redact.redact_event(event)) for event in events]
        self._add_batch(Batch([], pairs))
        return Reply(200, encode_json({"accepted": len(events), "rejected": rejected}))

    def _add_batch(self, batch: Batch) -> None:
        """Store items; returns once SQLite has committed them."""
        self._add_items(_encode_batch(batch))

    def _add_items(self, items: Sequence[EncodedItem]) -> None:
        with self._writing:
            for part in split_items(items):
                self._store.add_items(part)


_READERS: dict[str, Callable[[StoreReceiver, bytes, str, Message], Reply]] = {
    "/api/traces": StoreReceiver._receive_spans,
    "/v1/traces": StoreReceiver._receive_spans,
    "/api/events": StoreReceiver._receive_events,
    "/v1/logs": StoreReceiver._receive_logs,
}
"""By path."""


def _encode_batch(batch: Batch) -> list[EncodedItem]:
    encoder = ItemEncoder(Resource({}))
    items = encoder.encode_spans(batch.spans)
    encoders: dict[int, ItemEncoder] = {}
    for resource, event in batch.events:
        encoder = encoders.setdefault(id(resource), ItemEncoder(resource))
        items += encoder.encode_events([event])
    return items


class Redact:
    """Filters events and resources, by the rules of the settings."""

    def __init__(self, config: LupisConfig, redactor: Redactor | None) -> None:
        """Make a filter.

        Args:
            config: the settings.
            redactor: the filter for secrets; None where the settings switch it off.
        """
        self._redactor = redactor
        self._filter_exceptions = make_exception_filter(config)
        self.spans = SpanRedactor(
            redactor,
            keep_source=config.stacktrace_source,
            is_known_file=lambda name: name.endswith(".py"),
        )

    def redact_resource(self, resource: Resource) -> Resource:
        """Return a resource without secrets; an empty one if the filter fails."""
        try:
            return self.spans.redact_resource(resource)
        except Exception as fault:
            report_fault("filtering a resource", fault)
            return Resource({})

    def redact_event(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event without secrets; without its texts if the filter fails."""
        try:
            filtered = self._filter_exceptions(event)
            data = filtered if self._redactor is None else self._redactor.redact_data(filtered)
            if isinstance(data, dict):
                return data
        except Exception as fault:
            report_fault("filtering an event", fault)
        return {**event, "name": "[REDACTED]", "properties": {}, "metadata": {}}


def make_receiver() -> StoreReceiver:
    """Return a receiver for the store, with the rules and prices of the settings."""
    config = resolve_settings(os.environ, None, launched=True).config
    redactor = make_redactor(config)
    redact = Redact(config, redactor)
    preparer = SpanPreparer(redact.spans, read_own_prices(config), read_catalog(config))
    own = Process(config.project_id, None, os.getpid())
    max_bytes = int(config.store_max_mb * (1 << 20))
    store = Store(config.data_dir, max_bytes, own, _describe_origin)
    return StoreReceiver(store, preparer, redact)


def _describe_origin(origin: Origin) -> Process:
    """Return the process that an origin's resource describes."""
    attributes = read_resource(origin.resource)
    pid = attributes.get(_semconv.PROCESS_PID)
    names = (_semconv.LUPIS_PROJECT_ID, _semconv.OPENINFERENCE_PROJECT_NAME)
    project = next((attributes[name] for name in names if name in attributes), _DEFAULT_PROJECT)
    service, run = attributes.get(_semconv.SERVICE_NAME), attributes.get(_semconv.LUPIS_RUN_ID)
    return Process(
        str(project),
        run if isinstance(run, str) and run else None,
        pid if isinstance(pid, int) else 0,
        service=service if isinstance(service, str) else None,
    )
