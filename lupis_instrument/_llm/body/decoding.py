"""Decodes the bytes of one response body and gathers what it reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Union

from lupis_instrument._llm.api.response_fields import compile_reports
from lupis_instrument._llm.body.encodings import Chunked, build_decoders
from lupis_instrument._llm.body.eventstream import (
    AgentEventStream,
    EventStream,
    starts_event_stream,
)
from lupis_instrument._llm.body.framing import (
    Events,
    JsonLines,
    JsonText,
    Reports,
    ServerSentEvents,
    Take,
)
from lupis_instrument._llm.usage.facts import Gathering

if TYPE_CHECKING:
    from lupis_instrument._llm.api.endpoints import Endpoint

_SNIFFED = 12  # an event stream's prelude, the longest sign
_UNCOUNTED = 64 * 1024  # of a body that uses no tokens, only an error is of interest
_EVENT_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINES = frozenset(
    ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
     "application/stream+json"),
)  # fmt: skip

Form = Union[JsonText, Events, EventStream]


class Reading:
    """Reads one response body, in pieces cut anywhere.

    No method raises; a body that can't be read reports nothing. Of what was fed, no more is held
    than one value of the stream.

    Attributes:
        gathering: what the body has reported.
        framing: what undoes the chunked transfer coding, where the bytes fed are in it.
    """

    __slots__ = (
        "_api", "_content_type", "_form", "_stages", "_start", "_unread", "framing", "gathering",
    )  # fmt: skip

    def __init__(
        self,
        endpoint: Endpoint,
        content_type: str | None,
        content_encoding: str | None,
        *,
        chunked: bool,
    ) -> None:
        self._api = endpoint.api
        self._content_type = (content_type or "").partition(";")[0].strip().lower()
        self._stages = build_decoders(content_encoding, self._read)
        self.framing = Chunked(self._decode) if chunked else None
        self._start = b""
        self._form: Form | None = None
        self._unread: float = float("inf") if endpoint.counts else _UNCOUNTED
        self.gathering = Gathering()

    def feed(self, data: bytes) -> None:
        """Read a piece."""
        if self.framing is not None:
            self._guard(self.framing.feed, data)
        else:
            self._decode(data)

    def close(self) -> None:
        """Read what was held back, for no more will come."""
        for stage in self._stages:
            self._guard(stage.close)
        if self._form is None and self._start:
            self._guard(self._choose_form)
        if self._form is not None:
            self._guard(self._form.close)

    @property
    def is_stream(self) -> bool:
        """Whether the body is a stream of events, as far as it was read."""
        return self._form is not None and self._form.is_stream

    @property
    def said_done(self) -> bool:
        """Whether the stream's own end mark came, as far as it was read."""
        return isinstance(self._form, ServerSentEvents) and self._form.said_done

    @property
    def ending(self) -> str | None:
        """How the body ended by its own account, an outcome; None where it gives none."""
        if self.framing is not None and self.framing.broken:
            return "error"
        framed = self.framing is not None and self.framing.ended
        return "complete" if framed or self.said_done else None

    def _decode(self, data: bytes) -> None:
        if self._unread > 0 and data:
            self._unread -= len(data)
            self._guard(self._stages[0].feed, data)

    def _guard(self, step: Callable[..., object], *arguments: bytes) -> None:
        """Take a step; what can't be read ends the reading, never the program."""
        try:
            step(*arguments)
        except Exception:
            self._unread = 0
            self._start = b""

    def _read(self, data: bytes) -> None:
        """Take decoded bytes."""
        if self._form is not None:
            self._form.feed(data)
            return
        self._start = (self._start + data).lstrip()
        if len(self._start) >= _SNIFFED:
            self._choose_form()

    def _choose_form(self) -> None:
        """Tell the form by the first bytes, and by the header only where they leave it open."""
        start, self._start = self._start, b""
        if start.startswith(_BYTE_ORDER_MARK):
            start = start[len(_BYTE_ORDER_MARK) :]
        self._form = self._find_form(start)
        if self._form is None:
            self._unread = 0
        else:
            self._form.feed(start)

    def _find_form(self, start: bytes) -> Form | None:
        form: Callable[[Take, Reports], Form]
        if start[:1] in (b"{", b"["):
            form = JsonLines if self._content_type in _LINES else JsonText
        elif starts_event_stream(start):
            form = AgentEventStream if self._api == "bedrock.agent" else EventStream
        elif start.startswith(_EVENT_STARTS) or self._content_type == "text/event-stream":
            form = ServerSentEvents
        else:
            return None
        return form(self.gathering.take, compile_reports(self._api))
