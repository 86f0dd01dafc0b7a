"""The endpoints of spans and events, and the requests to them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Callable, Iterator, NamedTuple, Protocol, Sequence
from urllib.parse import urlsplit

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import warn
from lupis_instrument._export.otlp.encoded_items import SPAN
from lupis_instrument._export.otlp.encoding import Origin, encode_log_record, encode_request
from lupis_instrument._export.otlp.responses import ExportResponse, ExportResult
from lupis_instrument._export.otlp.target import Target

if TYPE_CHECKING:
    from typing import Mapping, TypeVar

    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._export.otlp.probe import EndpointProbe
    from lupis_instrument._export.otlp.sending import Sender

    AnyItem = TypeVar("AnyItem", bound="Item")

MAX_REQUEST_BYTES = 4 << 20
"""The size of a request before compression; receivers refuse requests of about 20 MB."""
_TAKES_NONE = frozenset((404, 405))
"""Statuses by which backends for spans alone answer to events: MLflow 404, Phoenix 405."""
_MAX_SPLITS = 32
"""How often the items of one export are halved to find the item that an endpoint refuses."""
_DAMAGED = ExportResponse(ExportResult.SPLIT, "damaged in the store")
"""The outcome for items that cannot be encoded."""


class Item(Protocol):
    """An item to send, from memory or from the store."""

    @property
    def origin(self) -> Origin:
        """The resource and the scope of the item."""

    @property
    def body(self) -> bytes:
        """A span as an OTLP message, or an event as JSON."""


class WireFormat(NamedTuple):
    """The form of requests.

    Attributes:
        content_type: the media type of the body.
        encode_body: makes the body of a request from items.
        max_items: the largest number of items in a request.
        compressible: whether requests may be compressed.
    """

    content_type: str
    encode_body: Callable[[Sequence[Item]], bytes]
    max_items: int
    compressible: bool = True


def _encode_spans(items: Sequence[Item]) -> bytes:
    return encode_request((item.origin, item.body) for item in items)


def _encode_log_records(items: Sequence[Item]) -> bytes:
    return encode_request((item.origin, encode_log_record(json.loads(item.body))) for item in items)


def _encode_json_array(items: Sequence[Item]) -> bytes:
    return b"[" + b",".join(item.body for item in items) + b"]"


WIRE_FORMATS = {
    "traces": WireFormat("application/x-protobuf", _encode_spans, 512),
    "logs": WireFormat("application/x-protobuf", _encode_log_records, 50),
    "events": WireFormat("application/json", _encode_json_array, 50, compressible=False),
}
"""By the name that the store keeps with each target."""


class Destination(NamedTuple):
    """An endpoint together with the headers of the requests to it.

    Attributes:
        target: the endpoint.
        headers: the headers of each request.
    """

    target: Target
    headers: Mapping[str, str]

    def takes_no_events(self, response: ExportResponse) -> bool:
        """Return whether the endpoint, for events, has answered that it takes none at all."""
        return self.target.wire_format != "traces" and response.status in _TAKES_NONE

    def send_items(
        self,
        sender: Sender,
        items: Sequence[AnyItem],
        max_seconds: Callable[[], float | None] = lambda: None,
    ) -> Iterator[tuple[ExportResponse, list[AnyItem]]]:
        """Send `items` in as many requests as needed; yield each response with its items.

        Where an endpoint does not accept a request as a whole, the two halves of it are tried. When
        a request is to be retried later, the remaining items get its response without being sent.

        Args:
            sender: sends the requests.
            items: the items to send, in order.
            max_seconds: returns how long the next request may take; None sets no limit.
        """
        wire_format = WIRE_FORMATS[self.target.wire_format]
        headers = {**self.headers, "content-type": wire_format.content_type}
        splits = _MAX_SPLITS
        groups = list(_group_items(items, wire_format.max_items))[::-1]  # a stack, first item last
        while groups:
            group = groups.pop()
            try:
                body = wire_format.encode_body(group)
            except Exception:  # an item of a damaged store; its bytes raise errors of many types
                response = _DAMAGED
            else:
                response = sender.send_request(
                    self.target.url or "",
                    body,
                    headers,
                    compress=wire_format.compressible,
                    max_seconds=max_seconds(),
                )
            # One bad item spoils its whole request. Halving finds it in few requests; the limit
            # is for an endpoint that accepts nothing at all.
            if response.result is ExportResult.SPLIT and len(group) > 1 and splits:
                splits -= 1
                middle = len(group) // 2
                groups += [group[middle:], group[:middle]]
                continue
            yield response, group
            if response.result is ExportResult.RETRY:
                yield from ((response, unsent) for unsent in reversed(groups))
                return


def _group_items(items: Sequence[AnyItem], max_items: int) -> Iterator[list[AnyItem]]:
    """Yield groups that fit into one request; an item that is too big makes a group by itself."""
    group: list[AnyItem] = []
    size = 0
    for item in items:
        if group and (len(group) >= max_items or size + len(item.body) > MAX_REQUEST_BYTES):
            yield group
            group, size = [], 0
        group.append(item)
        size += len(item.body)
    if group:
        yield group


def span_destination(config: LupisConfig, redact_text: Callable[[str], str]) -> Destination:
    """Return the destination of spans.

    Args:
        config: the settings.
        redact_text: removes secrets from the address and the project that the store keeps.
    """
    return _make_destination(config, config.otlp_endpoint, "traces", redact_text)


def event_destination(config: LupisConfig, redact_text: Callable[[str], str]) -> Destination | None:
    """Return the destination of events; None if neither a setting nor a rule gives their endpoint.

    Args:
        config: the settings.
        redact_text: removes secrets from the address and the project that the store keeps.
    """
    url = config.events_url
    if url is None:
        return None
    takes_logs = urlsplit(url).path.rstrip("/").endswith("/v1/logs")
    return _make_destination(config, url, "logs" if takes_logs else "events", redact_text)


def _make_destination(
    config: LupisConfig, url: str, wire_format: str, redact_text: Callable[[str], str]
) -> Destination:
    headers = {_semconv.HEADER_PROJECT_ID: config.project_id}
    if config.api_key is not None:
        headers[_semconv.HEADER_API_KEY] = config.api_key
    target = Target(url, wire_format, redact_text(config.project_id), redact_text(url))
    return Destination(target, {**headers, **config.otlp_headers})


class Router:
    """Chooses a destination for each batch; its turn may come long after it was made."""

    def __init__(
        self,
        exporter: str,
        spans: Destination,
        events: Destination | None,
        probe: EndpointProbe | None,
        *,
        keeps_events: bool = False,
    ) -> None:
        """Make a router.

        Args:
            exporter: `LUPIS_EXPORTER`: `otlp`, `local` or `auto`.
            spans: the endpoint of spans.
            events: the endpoint of events; None if it is unknown.
            probe: looks for the desktop app at the default endpoint; None if the user set the
                endpoint.
            keeps_events: whether the user wants events to stay in the store.
        """
        self._keeps_events = keeps_events
        self._exporter = exporter
        self._spans = spans
        self._events = events
        self._probe = probe

    def choose_destination(self, kind: int) -> Destination | None:
        """Return the destination of spans or events now; None stands for the store.

        Args:
            kind: `SPAN` or `EVENT`.
        """
        if not self._has_endpoint():
            return None
        if kind == SPAN:
            return self._spans
        if self._events is None and not self._keeps_events:
            warn("events have no endpoint and are stored: set LUPIS_EVENTS_ENDPOINT")
        return self._events

    def _has_endpoint(self) -> bool:
        """Return whether items are sent: with `auto`, to an endpoint that is set or identified."""
        if self._exporter == "local":
            return False
        return self._exporter == "otlp" or self._probe is None or self._probe.is_receiver()
