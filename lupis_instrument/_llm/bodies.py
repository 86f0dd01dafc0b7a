"""Watches one response body while the program reads it, and drops the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Union

from lupis_instrument._llm.encodings import Chunked, build_decoders
from lupis_instrument._llm.eventstream import AgentEventStream, EventStream, starts_event_stream
from lupis_instrument._llm.facts import Gathering
from lupis_instrument._llm.framing import (
    Events,
    JsonLines,
    JsonText,
    Reports,
    ServerSentEvents,
    Take,
)
from lupis_instrument._llm.places import compile_reports

if TYPE_CHECKING:
    from lupis_instrument._llm.endpoints import Endpoint

_BLOCK = 64 * 1024  # bytes of memory that chunks may take before they are looked at
_CHUNK = 48  # what a chunk takes beside its bytes
_SNIFFED = 12  # an event stream's prelude, the longest sign
_UNCOUNTED = 64 * 1024  # of a body that uses no tokens, only an error is of interest
_EVENT_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINES = frozenset(
    ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
     "application/stream+json"),
)  # fmt: skip

Form = Union[JsonText, Events, EventStream]


class BodyReader:
    """Takes the bytes of one response body as they come and gathers what the body reports.

    `feed` only keeps a reference until 64 KiB have come together; these are then decoded and
    searched at once. No more than that and one value of the stream is ever held. Neither method
    raises; a body that can't be read reports nothing.

    Attributes:
        gathering: what the body has reported.
        framing: what undoes the chunked transfer coding, where the bytes fed are in it.
    """

    __slots__ = (
        "_api", "_chunks", "_content_type", "_finished", "_form", "_size", "_stages", "_start",
        "_unread", "framing", "gathering",
    )  # fmt: skip

    def __init__(
        self,
        endpoint: Endpoint,
        content_type: str | None,
        content_encoding: str | None,
        *,
        chunked: bool = False,
    ) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._api = endpoint.api
        self._content_type = (content_type or "").partition(";")[0].strip().lower()
        self._stages = build_decoders(content_encoding, self._read)
        self.framing = Chunked(self._decode) if chunked else None
        self._start = b""
        self._form: Form | None = None
        self._finished = False
        self._unread: float = float("inf") if endpoint.counts else _UNCOUNTED
        self.gathering = Gathering()

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take a chunk of the body as it came off the wire, cut anywhere."""
        if type(data) is not bytes:
            data = _copy(data)
        if self._size > _BLOCK:
            self._digest()
        self._chunks.append(data)
        self._size += len(data) + _CHUNK

    def take_back(self, count: int) -> None:
        """Forget the last bytes of the last chunk, which the program left unread."""
        if count and self._chunks:
            self._chunks[-1] = self._chunks[-1][:-count]

    def finish(self) -> None:
        """The body has ended, or nobody reads on."""
        if self._finished:
            return
        self._finished = True
        self._digest()
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

    def _digest(self) -> None:
        data = b"".join(self._chunks)
        self._chunks = []
        self._size = 0
        if self.framing is not None:
            self._guard(self.framing.feed, data)
        else:
            self._decode(data)

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


def _copy(data: bytes | bytearray | memoryview) -> bytes:
    try:
        return memoryview(data).tobytes()
    except TypeError:
        return b""
