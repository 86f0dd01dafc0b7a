"""Where spans and events are to go, and how a request there is put together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Callable, Iterator, NamedTuple, Protocol, Sequence
from urllib.parse import urlsplit

from lupis_instrument import _semconv
from lupis_instrument._export.otlp.encoding import Origin, compose, encode_log_record
from lupis_instrument._export.otlp.sending import LATER, UNFIT, Answer
from lupis_instrument._export.store.store import Target

if TYPE_CHECKING:
    from typing import Mapping, TypeVar

    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._export.otlp.sending import Sender

    AnyItem = TypeVar("AnyItem", bound="Item")

MOST_BYTES = 4 << 20
"""Of a request, before compression; receivers refuse those of 20 MB or so."""
_MOST_SPLITS = 32
"""How often a request is cut in two to find what an endpoint won't take of it."""


class Item(Protocol):
    """What can be sent: a parcel, or what the store holds."""

    @property
    def origin(self) -> Origin:
        """Where it comes from."""

    @property
    def body(self) -> bytes:
        """A span in OTLP's encoding, or an event as JSON."""


class WireFormat(NamedTuple):
    """How requests look.

    Attributes:
        content_type: of the body.
        compose: makes the body.
        most: items of one request.
        packed: whether requests may be compressed.
    """

    content_type: str
    compose: Callable[[Sequence[Item]], bytes]
    most: int
    packed: bool = True


def _spans(items: Sequence[Item]) -> bytes:
    return compose((item.origin, item.body) for item in items)


def _log_records(items: Sequence[Item]) -> bytes:
    return compose((item.origin, encode_log_record(json.loads(item.body))) for item in items)


def _json_array(items: Sequence[Item]) -> bytes:
    return b"[" + b",".join(item.body for item in items) + b"]"


WIRE_FORMATS = {
    "traces": WireFormat("application/x-protobuf", _spans, 512),
    "logs": WireFormat("application/x-protobuf", _log_records, 50),
    "events": WireFormat("application/json", _json_array, 50, packed=False),
}


class Destination(NamedTuple):
    """One way out.

    Attributes:
        target: where it leads.
        headers: of each request.
    """

    target: Target
    headers: Mapping[str, str]

    def post(
        self,
        sender: Sender,
        items: Sequence[AnyItem],
        seconds: Callable[[], float | None] = lambda: None,
    ) -> Iterator[tuple[Answer, list[AnyItem]]]:
        """Send `items` in as many requests as it takes; yields what became of which.

        Where an endpoint won't take a request as a whole, its halves are tried. What is left
        when one is to be tried later is not tried now.

        Args:
            sender: sends them.
            items: in order.
            seconds: asked before each request how long it may take.
        """
        form = WIRE_FORMATS[self.target.form]
        headers = {**self.headers, "content-type": form.content_type}
        splits = _MOST_SPLITS
        left = list(_cut(items, form.most))[::-1]
        while left:
            group = left.pop()
            url = self.target.url or ""
            body = form.compose(group)
            answer = sender.send(url, body, headers, packed=form.packed, seconds=seconds())
            if answer.outcome == UNFIT and len(group) > 1 and splits:
                splits -= 1
                middle = len(group) // 2
                left += [group[middle:], group[:middle]]
                continue
            yield answer, group
            if answer.outcome == LATER:
                yield from ((answer, rest) for rest in reversed(left))
                return


def _cut(items: Sequence[AnyItem], most: int) -> Iterator[list[AnyItem]]:
    """Yield groups that fit into one request; a bigger item is one by itself."""
    group: list[AnyItem] = []
    size = 0
    for item in items:
        if group and (len(group) >= most or size + len(item.body) > MOST_BYTES):
            yield group
            group, size = [], 0
        group.append(item)
        size += len(item.body)
    if group:
        yield group


def of_spans(config: LupisConfig, shown: Callable[[str], str]) -> Destination:
    """Return the way of spans; `shown` redacts."""
    return _route(config, config.otlp_endpoint, "traces", shown)


def of_events(config: LupisConfig, shown: Callable[[str], str]) -> Destination | None:
    """Return the way of events; None where no rule says which it is."""
    url = config.events_url
    if url is None:
        return None
    logs = urlsplit(url).path.rstrip("/").endswith("/v1/logs")
    return _route(config, url, "logs" if logs else "events", shown)


def _route(config: LupisConfig, url: str, form: str, shown: Callable[[str], str]) -> Destination:
    headers = {_semconv.HEADER_PROJECT_ID: config.project_id}
    if config.api_key is not None:
        headers[_semconv.HEADER_API_KEY] = config.api_key
    target = Target(url, form, config.project_id, shown(url))
    return Destination(target, {**headers, **config.otlp_headers})
