"""Chooses where items go: to an endpoint, or to the store of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lupis_instrument._diagnostics import warn
from lupis_instrument._export.otlp.encoded_items import SPAN

if TYPE_CHECKING:
    from lupis_instrument._export.otlp.destinations import Destination
    from lupis_instrument._export.otlp.probe import EndpointProbe


class Router:
    """Chooses a destination for each batch; its turn may come long after it was made."""

    def __init__(
        self,
        exporter: str,
        spans: Destination,
        events: Destination | None,
        probe: EndpointProbe | None,
    ) -> None:
        """Make a router.

        Args:
            exporter: `LUPIS_EXPORTER`: `otlp`, `local` or `auto`.
            spans: the endpoint of spans.
            events: the endpoint of events; None if it is unknown.
            probe: looks for a server at the default endpoint; None if the user set the endpoint.
        """
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
        if self._events is None:
            warn("events have no endpoint and are stored: set LUPIS_EVENTS_ENDPOINT")
        return self._events

    def _has_endpoint(self) -> bool:
        """Return whether items are sent: with `auto`, to an endpoint that is set or listens."""
        if self._exporter == "local":
            return False
        return self._exporter == "otlp" or self._probe is None or self._probe.is_listening()
