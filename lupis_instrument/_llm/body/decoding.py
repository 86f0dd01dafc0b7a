"""Decodes the bytes of one response body and collects the facts in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Union

from lupis_instrument._llm.api.response_fields import compile_report_patterns
from lupis_instrument._llm.body.chunked import ChunkedDecoder
from lupis_instrument._llm.body.encodings import build_decoders
from lupis_instrument._llm.body.event_stream import (
    AgentEventStreamParser,
    EventStreamParser,
    starts_event_stream,
)
from lupis_instrument._llm.body.framing import (
    Emit,
    EventParser,
    JsonLinesParser,
    JsonTextParser,
    ReportPatterns,
    ServerSentEventParser,
)
from lupis_instrument._llm.usage.facts import ResponseFacts

if TYPE_CHECKING:
    from lupis_instrument._llm.api.endpoints import Endpoint

_SNIFFED_BYTES = 12  # the length of an event stream's prelude, the longest signature
# Bytes to read of a body that uses no tokens: it is read only for an error.
_MAX_BYTES_FOR_ERROR = 64 * 1024
_EVENT_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_JSON_LINES_TYPES = frozenset(
    ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
     "application/stream+json"),
)  # fmt: skip

Parser = Union[JsonTextParser, EventParser, EventStreamParser]


class ResponseDecoder:
    """Decodes and parses one response body, which comes in pieces cut anywhere.

    The bytes pass through up to three steps: the chunked transfer coding, the Content-Encoding,
    and the parser for the body's format, which passes JSON values to `facts`.

    No method raises; a body that can't be decoded reports nothing. Of the bytes that were fed, no
    more than one value of the stream is kept.

    Attributes:
        facts: the facts that the body has reported so far.
        chunked_decoder: the decoder of the chunked transfer coding; None if the bytes fed are not
            in it.
    """

    __slots__ = (
        "_api", "_bytes_left", "_content_type", "_decoders", "_parser", "_start",
        "chunked_decoder", "facts",
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
        self._decoders = build_decoders(content_encoding, self._parse_decoded)
        self.chunked_decoder = ChunkedDecoder() if chunked else None
        self._start = b""
        self._parser: Parser | None = None
        self._bytes_left: float = float("inf") if endpoint.uses_tokens else _MAX_BYTES_FOR_ERROR
        self.facts = ResponseFacts()

    def feed(self, data: bytes) -> None:
        """Decode and parse a piece of the body."""
        try:
            decoded = data if self.chunked_decoder is None else self.chunked_decoder.decode(data)
        except Exception:
            self._stop_reading()
        else:
            self._decode_content(decoded)

    def close(self) -> None:
        """Parse the bytes that were held back; the body has ended, and later bytes are ignored."""
        # They write to this object: without them, it needs no garbage collector.
        decoders, self._decoders = self._decoders, []
        for decoder in decoders:
            try:
                decoder.close()
            except Exception:
                self._stop_reading()
        try:
            if self._parser is None and self._start:
                self._choose_parser()
        except Exception:
            self._stop_reading()
        try:
            if self._parser is not None:
                self._parser.close()
        except Exception:
            pass  # the values before the broken one count
        self._stop_reading()

    @property
    def is_stream(self) -> bool:
        """Whether the body is a stream of events, as far as it was read."""
        return self._parser is not None and self._parser.is_stream

    @property
    def has_end_mark(self) -> bool:
        """Whether the stream's own end mark came, as far as the body was read."""
        return isinstance(self._parser, ServerSentEventParser) and self._parser.has_end_mark

    @property
    def body_outcome(self) -> str | None:
        """The outcome of the body by its own marks: ``complete``, ``error``, or None if unknown."""
        if self.chunked_decoder is not None and self.chunked_decoder.broken:
            return "error"
        has_last_chunk = self.chunked_decoder is not None and self.chunked_decoder.ended
        return "complete" if has_last_chunk or self.has_end_mark else None

    def _stop_reading(self) -> None:
        """Ignore all later bytes of the body, because a step failed or the format is unknown."""
        self._bytes_left = 0
        self._start = b""

    def _decode_content(self, data: bytes) -> None:
        if self._bytes_left > 0 and data:
            self._bytes_left -= len(data)
            try:
                self._decoders[0].feed(data)
            except Exception:
                self._stop_reading()

    def _parse_decoded(self, data: bytes) -> None:
        """Parse decoded bytes, as soon as enough of them have come to recognise the format."""
        if self._parser is not None:
            self._parser.feed(data)
            return
        self._start = (self._start + data).lstrip()
        if len(self._start) >= _SNIFFED_BYTES:
            self._choose_parser()

    def _choose_parser(self) -> None:
        """Choose the parser for the first bytes and feed them; without one, stop reading."""
        start, self._start = self._start, b""
        # RFC 8259 section 8.1: a parser may ignore a byte order mark at the beginning of JSON.
        if start.startswith(_BYTE_ORDER_MARK):
            start = start[len(_BYTE_ORDER_MARK) :]
        self._parser = self._build_parser(start)
        if self._parser is None:
            self._stop_reading()
        else:
            self._parser.feed(start)

    def _build_parser(self, start: bytes) -> Parser | None:
        """Return the parser for the format of a body.

        The first bytes decide; the Content-Type header only decides if they are ambiguous.
        """
        parser: Callable[[Emit, ReportPatterns], Parser]
        if start[:1] in (b"{", b"["):
            is_lines = self._content_type in _JSON_LINES_TYPES
            parser = JsonLinesParser if is_lines else JsonTextParser
        elif starts_event_stream(start):
            is_agent = self._api == "bedrock.agent"
            parser = AgentEventStreamParser if is_agent else EventStreamParser
        elif start.startswith(_EVENT_STARTS) or self._content_type == "text/event-stream":
            parser = ServerSentEventParser
        else:
            return None
        return parser(self.facts.add_value, compile_report_patterns(self._api))
