"""Events: made on the program's thread, sent from ours."""

from __future__ import annotations

import json
import math
import sys
from http.client import HTTPException
from time import time
from typing import TYPE_CHECKING, Any, Dict, Mapping
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

from lupis_instrument._addresses import is_loopback
from lupis_instrument._context import metadata_of
from lupis_instrument._diagnostics import warn

if TYPE_CHECKING:
    from typing import Callable

    from lupis_instrument._config import LupisConfig
    from lupis_instrument._context import Conversation

Event = Dict[str, Any]

MOST_TEXT = 8 * 1024
"""Characters of one text; more is cut."""
MOST_ITEMS = 1000
"""Members of one list or dict; more are left out."""
MOST_DEPTH = 8
"""Levels of nesting; what lies deeper is left out."""
_SEND_SECONDS = 5.0


def make(name: str, properties: Mapping[str, Any] | None, conversation: Conversation) -> Event:
    """Return an event as it is sent; the program may change `properties` afterwards."""
    return {
        "name": str(name),
        "timestamp": int(time() * 1000),
        "properties": plain(properties or {}),
        "metadata": plain(metadata_of(conversation)),
    }


def plain(value: Any, depth: int = 0, inside: tuple[int, ...] = ()) -> Any:  # noqa: PLR0911
    """Return a copy of `value` that JSON can hold; what it cannot becomes a readable marker."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else f"[{value!r}]"
    if isinstance(value, str):
        return value if len(value) <= MOST_TEXT else f"{value[:MOST_TEXT]}[cut: {len(value)}]"
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        if id(value) in inside:
            return "[cyclic]"
        if depth >= MOST_DEPTH:
            return "[too deep]"
        return _plain_container(value, depth + 1, (*inside, id(value)))
    return f"[{type(value).__name__}]"


def _plain_container(value: Any, depth: int, inside: tuple[int, ...]) -> Any:
    if isinstance(value, Mapping):
        items = list(value.items())
        result = {str(key): plain(item, depth, inside) for key, item in items[:MOST_ITEMS]}
        if len(items) > MOST_ITEMS:
            result["[cut]"] = len(items)
        return result
    members = list(value)
    cut = [f"[cut: {len(members)}]"] if len(members) > MOST_ITEMS else []
    return [plain(item, depth, inside) for item in members[:MOST_ITEMS]] + cut


class EventSender:
    """Sends batches of events where spans go too: a JSON array, or OTLP log records.

    Attributes:
        sent: how many arrived.
        lost: how many did not.
    """

    def __init__(
        self, config: LupisConfig, headers: Mapping[str, str], resource: Mapping[str, Any]
    ) -> None:
        """Send where `config` says with `headers`; log records carry `resource` too."""
        self._endpoint = config.events_url
        self._headers = headers
        self._resource = resource
        self._ways: dict[str, Callable[[list[Event]], None]] = {
            "otlp": self._post,
            "console": self._write,
        }
        self._way = config.exporter
        self.sent = 0
        self.lost = 0

    def send(self, events: list[Event]) -> None:
        """Send one batch; what cannot be delivered is counted and said on stderr."""
        way = self._ways.get(self._way)
        if way is None:
            return
        try:
            way(events)
        except HTTPError as error:
            error.close()
            self._lose(events, f"status {error.code}")
        except (OSError, HTTPException) as error:
            self._lose(events, getattr(error, "reason", None) or type(error).__name__)
        else:
            self.sent += len(events)

    def _lose(self, events: list[Event], reason: object) -> None:
        self.lost += len(events)
        warn(f"cannot deliver events to {self._endpoint}: {reason}")

    def _write(self, events: list[Event]) -> None:
        lines = (
            f"  event  {event['name']}  {json.dumps(event['properties'], ensure_ascii=False)}\n"
            for event in events
        )
        sys.stderr.write("".join(lines))
        sys.stderr.flush()

    def _post(self, events: list[Event]) -> None:
        if self._endpoint is None:
            warn("events have no endpoint: set LUPIS_EVENTS_ENDPOINT")
            self.lost += len(events)
            return
        body, kind = self._encode(urlsplit(self._endpoint).path, events)
        request = Request(  # noqa: S310 - the user's own endpoint
            self._endpoint, data=body, headers={**self._headers, "content-type": kind}
        )
        with self._opener().open(request, timeout=_SEND_SECONDS) as response:
            response.read()

    def _encode(self, path: str, events: list[Event]) -> tuple[bytes, str]:
        if path.rstrip("/").endswith("/v1/logs"):
            from lupis_instrument._delivery.logs import encode

            return encode(events, self._resource), "application/x-protobuf"
        return json.dumps(events).encode(), "application/json"

    def _opener(self) -> OpenerDirector:
        host = urlsplit(self._endpoint or "").hostname or ""
        # A proxy has no way to this machine's own addresses.
        return build_opener(ProxyHandler({}) if is_loopback(host) else ProxyHandler())
