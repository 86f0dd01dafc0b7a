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
MOST_SIZE = 256 * 1024
"""Characters of one event, roughly; what comes later is left out."""
_MOST_BITS = 1000
_SEND_SECONDS = 5.0


def make(name: str, properties: Mapping[str, Any] | None, conversation: Conversation) -> Event:
    """Return an event as it is sent; the program may change `properties` afterwards."""
    copy = _Copy()
    named = properties if isinstance(properties, Mapping) else {"value": properties}
    return {
        "name": copy.text(name),
        "timestamp": int(time() * 1000),
        "properties": copy.members(named if properties is not None else {}),
        "metadata": copy.members(metadata_of(conversation)),
    }


class _Copy:
    """Copies the values of one event; what JSON cannot hold becomes a readable marker."""

    def __init__(self) -> None:
        self._left = MOST_SIZE
        self._inside: list[int] = []

    def value(self, value: Any) -> Any:
        """Return a copy of `value`."""
        self._left -= 8
        if self._left <= 0:
            return "[cut]"
        try:
            return self._value(value)
        except Exception:  # a property of its own class, or a dict that another thread changes
            return _marker(value)

    def text(self, value: Any) -> str:
        """Return `value` as text that UTF-8 can hold."""
        try:
            text = str(value)
        except Exception:
            return _marker(value)
        length = len(text)
        if length > MOST_TEXT:
            text = f"{text[:MOST_TEXT]}[cut: {length}]"
        self._left -= len(text)
        return text if text.isascii() else text.encode(errors="replace").decode()

    def members(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        """Return a copy of a mapping."""
        result: dict[str, Any] = {}
        for key, item in value.items():
            if len(result) >= MOST_ITEMS or self._left <= 0:
                result["[cut]"] = len(value)
                break
            result[self.text(key)] = self.value(item)
        return result

    def _value(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int):
            bits = value.bit_length()
            return int(value) if bits <= _MOST_BITS else f"[int of {bits} bits]"
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else f"[{float(value)!r}]"
        if isinstance(value, (Mapping, list, tuple, set, frozenset)):
            return self._container(value)
        return _marker(value)

    def _container(self, value: Any) -> Any:
        if id(value) in self._inside:
            return "[cyclic]"
        if len(self._inside) >= MOST_DEPTH:
            return "[too deep]"
        self._inside.append(id(value))
        try:
            return self.members(value) if isinstance(value, Mapping) else self._items(value)
        finally:
            self._inside.pop()

    def _items(self, value: Any) -> list[Any]:
        result: list[Any] = []
        for item in value:
            if len(result) >= MOST_ITEMS or self._left <= 0:
                result.append(f"[cut: {len(value)}]")
                break
            result.append(self.value(item))
        return result


def _marker(value: Any) -> str:
    return f"[{type(value).__name__}]"


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
        except (OSError, HTTPException, ValueError) as error:
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
