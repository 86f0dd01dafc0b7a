"""Splits a decoded body into JSON values: one JSON text, JSON lines, or server-sent events."""

from __future__ import annotations

import json
from typing import Any, Callable, Pattern, Tuple

from lupis_instrument._llm.api.response_fields import FIELD_NAMES, WHOLE_FIELDS
from lupis_instrument._llm.body.json_scanner import JsonScanner

MAX_VALUE_BYTES = 256 * 1024
"""The largest JSON value that is kept and parsed as a whole; larger ones are scanned."""

Emit = Callable[[Any], object]
"""Receives each JSON value."""
ReportPatterns = Tuple[Pattern[bytes], ...]
"""Patterns from `compile_report_patterns`, which find the values that report something."""

# The first values of a stream name its model and id, so they are always parsed: at least 4 values,
# looked for in at most 64 events. All later values are only parsed if they report something.
_ALWAYS_PARSED = 4
_MAX_OPENING_EVENTS = 64
_MAX_BROKEN_EVENTS = 8
"""Events with broken JSON that are scanned; a stream is cut off in one event, its last."""
_END_MARK_LENGTH = 16  # enough for the end mark [DONE] with the line breaks after it


def parse_json(text: bytes) -> Any:
    """Return the JSON value of `text`; None for null and for invalid JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None


def build_scanner(emit: Emit) -> JsonScanner:
    """Return a scanner that keeps all members from which facts are read."""
    return JsonScanner(FIELD_NAMES, WHOLE_FIELDS, emit)


class JsonTextParser:
    """Parses a body that begins as JSON: an object, an array of values, or several values.

    The text is kept and parsed at its end. If it outgrows `MAX_VALUE_BYTES`, the kept part and
    all later pieces go to another parser: lines are parsed one by one, anything else is scanned.
    """

    def __init__(self, emit: Emit, report_patterns: ReportPatterns) -> None:
        self._emit = emit
        self._report_patterns = report_patterns
        self._parts: list[bytes] = []
        self._size = 0
        self._large_parser: JsonScanner | EventParser | None = None

    def feed(self, data: bytes) -> None:
        """Keep a piece of the text, or parse it if the text has become large."""
        if self._large_parser is not None:
            self._large_parser.feed(data)
            return
        self._parts.append(data)
        self._size += len(data)
        if self._size > MAX_VALUE_BYTES:
            self._start_large_parser()

    def close(self) -> None:
        """Parse the kept text; a broken or cut-off text gives the members that it holds."""
        parser = self._large_parser
        if parser is None:
            value = parse_json(b"".join(self._parts))
            if value is not None:
                for element in value if isinstance(value, list) else (value,):
                    self._emit(element)
                return
            parser = self._start_large_parser()
        parser.close()

    def _start_large_parser(self) -> JsonScanner | EventParser:
        """Pass the kept text to a parser for large texts, and return it."""
        parts, self._parts = self._parts, []
        line, _, more = b"".join(parts)[:MAX_VALUE_BYTES].partition(b"\n")
        is_lines = more.strip() != b"" and parse_json(line) is not None
        parser = self._large_parser = (
            JsonLinesParser(self._emit, self._report_patterns)
            if is_lines
            else build_scanner(self._emit)
        )
        for part in parts:
            parser.feed(part)
        return parser

    @property
    def is_stream(self) -> bool:
        """Whether the body proved to be JSON lines."""
        return isinstance(self._large_parser, EventParser)


class EventParser:
    """Parses a stream of small texts ("events"), each of which ends with `separator`.

    After the first events, one search over all text that has come finds the events with a report;
    all others are skipped without parsing. The tail that waits for its separator is limited: an
    event larger than `MAX_VALUE_BYTES` is scanned.
    """

    is_stream = True

    def __init__(self, emit: Emit, report_patterns: ReportPatterns, separator: bytes) -> None:
        self._emit = emit
        self._report_patterns = report_patterns
        self._separator = separator
        self._tail = b""
        self._scanner: JsonScanner | None = None  # of an event that is too large to keep
        self._parsed_count = 0
        self._event_count = 0
        self._broken_count = 0

    def feed(self, data: bytes) -> None:
        """Read all events that end in this piece."""
        if self._scanner is not None:
            line, newline, data = data.partition(b"\n")
            self._scanner.feed(line)
            if not newline:
                return
            self._scanner.close()
            self._scanner = None
        text = self._tail + data
        cut = text.rfind(self._separator) + 1
        self._tail = text[cut + len(self._separator) - 1 :] if cut else text
        if cut:
            self._read_events(text[: cut + len(self._separator) - 1])
        if len(self._tail) > MAX_VALUE_BYTES:
            self._shorten_tail()

    def close(self) -> None:
        """Read the last event, even if its end is missing."""
        if self._scanner is not None:
            self._scanner.close()
        elif self._tail:
            self._read_events(self._tail + self._separator)
            self._tail = b""

    def _read_events(self, text: bytes) -> None:
        """Parse the first events, and later the events with a report; `text` holds whole events."""
        separator, position = self._separator, 0
        while self._parsed_count < _ALWAYS_PARSED and self._event_count < _MAX_OPENING_EVENTS:
            end = text.find(separator, position)
            if end < 0:
                return
            if text[position:end].strip():
                self._event_count += 1  # blank lines don't count: there may be any number of them
                self._parse_event(text[position:end])
            position = end + len(separator)
        for report in self._find_reports(text, position):
            if report >= position:
                end = text.find(separator, report)
                start = max(position, text.rfind(separator, position, report))
                self._parse_event(text[start:end])
                position = end

    def _find_reports(self, text: bytes, position: int) -> list[int]:
        """Return the positions of all reports in order."""
        searches = (pattern.finditer(text, position) for pattern in self._report_patterns)
        return sorted(match.start() for matches in searches for match in matches)

    def _list_payloads(self, event: bytes) -> list[bytes]:
        """Return the JSON texts in an event: the event itself, unless a subclass overrides this."""
        return [event]

    def _parse_event(self, event: bytes) -> None:
        for payload in self._list_payloads(event):
            value = parse_json(payload)
            if isinstance(value, dict):
                self._parsed_count += 1
                self._emit(value)
            elif payload[:1] == b"{" and self._broken_count < _MAX_BROKEN_EVENTS:
                self._broken_count += 1
                # Maybe cut off: a scanner emits the complete members.
                scanner = build_scanner(self._emit)
                scanner.feed(payload)
                scanner.close()

    def _shorten_tail(self) -> None:
        """Read the tail by lines, or scan it if it is one long line.

        Some servers send no blank lines between events. If each event is one line of data, the end
        of the line ends the event just as well.
        """
        tail, self._tail = self._tail, b""
        if self._separator != b"\n" and b"\n" in tail:
            self._separator = b"\n"
            self.feed(tail)
            return
        self._scanner = build_scanner(self._emit)
        self._scanner.feed(tail[max(tail.find(b"{"), 0) :])


class ServerSentEventParser(EventParser):
    """Parses server-sent events (html.spec.whatwg.org/multipage/server-sent-events.html)."""

    def __init__(self, emit: Emit, report_patterns: ReportPatterns) -> None:
        super().__init__(emit, report_patterns, b"\n\n")
        self._ends_with_return = False
        self._last_bytes = b""

    def feed(self, data: bytes) -> None:
        """Read all events that end in this piece; a line ends with CR LF, LF or CR."""
        if self._ends_with_return and data[:1] == b"\n":
            self._ends_with_return = False
            data = data[1:]
        if data:
            self._ends_with_return = data[-1:] == b"\r"
            if b"\r" in data:
                data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            last_bytes = self._last_bytes + data[-_END_MARK_LENGTH:]
            self._last_bytes = last_bytes[-_END_MARK_LENGTH:]
            super().feed(data)

    @property
    def has_end_mark(self) -> bool:
        """Whether the last event is the end mark of OpenAI's and compatible streams."""
        return self._last_bytes.rstrip().endswith(b"[DONE]")

    def _list_payloads(self, event: bytes) -> list[bytes]:
        """Return the data of an event: its lines joined, or single lines if that isn't JSON."""
        lines = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
        if len(lines) <= 1 or parse_json(b"\n".join(lines)) is None:
            return lines
        return [b"\n".join(lines)]


class JsonLinesParser(EventParser):
    """Parses one JSON value per line (jsonlines.org)."""

    def __init__(self, emit: Emit, report_patterns: ReportPatterns) -> None:
        super().__init__(emit, report_patterns, b"\n")
