"""Cuts a decoded body into JSON values: one JSON text, JSON lines, or server-sent events."""

from __future__ import annotations

import json
from typing import Any, Callable, Pattern, Tuple

from lupis_instrument._llm.api.response_fields import WHOLE, WORDS
from lupis_instrument._llm.body.skimming import Skim

LARGEST_VALUE = 256 * 1024
"""Bytes of a JSON value up to which it is collected and parsed at once; beyond, it is skimmed."""

Take = Callable[[Any], object]
Reports = Tuple[Pattern[bytes], ...]

# A stream's first values name its model and id. Of the rest, only those are parsed that report
# something.
_PARSED_ANYWAY = 4
_OPENING_EVENTS = 64
_LONGEST_ENDING = 16


def parse(text: bytes) -> Any:
    """The JSON value of `text`; None for null and for what is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None


def start_skim(take: Take) -> Skim:
    """A skim that keeps what facts are made of."""
    return Skim(WORDS, WHOLE, take)


class JsonText:
    """A body that starts as JSON: an object, an array of values, or values one after another."""

    def __init__(self, take: Take, reports: Reports) -> None:
        self._take = take
        self._reports = reports
        self._parts: list[bytes] = []
        self._size = 0
        self._rest: Skim | Events | None = None

    def feed(self, data: bytes) -> None:
        """Collect a piece of the text, or skim it once the text has grown large."""
        if self._rest is not None:
            self._rest.feed(data)
            return
        self._parts.append(data)
        self._size += len(data)
        if self._size > LARGEST_VALUE:
            self._go_on()

    def close(self) -> None:
        """Parse what was collected; a broken or cut-off text gives what it holds."""
        if self._rest is None:
            value = parse(b"".join(self._parts))
            if value is not None:
                for element in value if isinstance(value, list) else (value,):
                    self._take(element)
                return
            self._go_on()
        if self._rest is not None:
            self._rest.close()

    def _go_on(self) -> None:
        parts, self._parts = self._parts, []
        text = b"".join(parts)
        line, _, rest = text[:LARGEST_VALUE].partition(b"\n")
        lines = rest.strip() != b"" and parse(line) is not None
        take, reports = self._take, self._reports
        self._rest = JsonLines(take, reports) if lines else start_skim(take)
        for part in parts:
            self._rest.feed(part)

    @property
    def is_stream(self) -> bool:
        """Whether it turned out to be JSON lines."""
        return isinstance(self._rest, Events)


class Events:
    """A stream of small texts, each ended by `end`.

    Texts that report nothing are passed over by one search through all that has come. The tail
    waiting for its end is bounded: a text that outgrows `LARGEST_VALUE` is skimmed.
    """

    is_stream = True

    def __init__(self, take: Take, reports: Reports, end: bytes) -> None:
        self._take = take
        self._reports = reports
        self._end = end
        self._tail = b""
        self._skim: Skim | None = None
        self._parsed = 0
        self._seen = 0

    def feed(self, data: bytes) -> None:
        """Read all texts that end in this piece."""
        if self._skim is not None:
            line, newline, data = data.partition(b"\n")
            self._skim.feed(line)
            if not newline:
                return
            self._skim.close()
            self._skim = None
        text = self._tail + data
        cut = text.rfind(self._end) + 1
        self._tail = text[cut + len(self._end) - 1 :] if cut else text
        if cut:
            self._scan(text[: cut + len(self._end) - 1])
        if len(self._tail) > LARGEST_VALUE:
            self._shorten_tail()

    def close(self) -> None:
        """Read the last text, also when it has no end or is cut off."""
        if self._skim is not None:
            self._skim.close()
        elif self._tail:
            self._scan(self._tail + self._end)
            self._tail = b""

    def _scan(self, text: bytes) -> None:
        """Parse what is worth it in `text`, which holds whole texts only."""
        end, place = self._end, 0
        while self._parsed < _PARSED_ANYWAY and self._seen < _OPENING_EVENTS:
            stop = text.find(end, place)
            if stop < 0:
                return
            if text[place:stop].strip():
                self._seen += 1  # where blank lines are cut, they come in any number
                self._open(text[place:stop])
            place = stop + len(end)
        for start in self._find_reports(text, place):
            if start >= place:
                stop = text.find(end, start)
                self._open(text[max(place, text.rfind(end, place, start)) : stop])
                place = stop

    def _find_reports(self, text: bytes, place: int) -> list[int]:
        """Where something is reported, in order."""
        matches = (report.finditer(text, place) for report in self._reports)
        return sorted(match.start() for found in matches for match in found)

    def _read(self, text: bytes) -> list[bytes]:
        """What one text carries: itself, unless a form says otherwise."""
        return [text]

    def _open(self, text: bytes) -> None:
        for payload in self._read(text):
            value = parse(payload)
            if isinstance(value, dict):
                self._parsed += 1
                self._take(value)
            elif payload[:1] == b"{":
                skim = start_skim(self._take)
                skim.feed(payload)
                skim.close()

    def _shorten_tail(self) -> None:
        # Some servers leave the blank lines out; a line is as good an end where data is one line.
        tail, self._tail = self._tail, b""
        if self._end != b"\n" and b"\n" in tail:
            self._end = b"\n"
            self.feed(tail)
            return
        self._skim = start_skim(self._take)
        self._skim.feed(tail[max(tail.find(b"{"), 0) :])


class ServerSentEvents(Events):
    """Server-sent events as html.spec.whatwg.org/multipage/server-sent-events.html defines them."""

    def __init__(self, take: Take, reports: Reports) -> None:
        super().__init__(take, reports, b"\n\n")
        self._after_return = False
        self._ending = b""

    def feed(self, data: bytes) -> None:
        """Read all events that end in this piece; lines end with any of CR LF, LF and CR."""
        if self._after_return and data[:1] == b"\n":
            self._after_return = False
            data = data[1:]
        if data:
            self._after_return = data[-1:] == b"\r"
            if b"\r" in data:
                data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            self._ending = (self._ending + data[-_LONGEST_ENDING:])[-_LONGEST_ENDING:]
            super().feed(data)

    @property
    def said_done(self) -> bool:
        """Whether the last event is the end mark that OpenAI's streams and their kin send."""
        return self._ending.rstrip().endswith(b"[DONE]")

    def _read(self, text: bytes) -> list[bytes]:
        """The data of one event: its lines joined, or line by line if that is what is JSON."""
        lines = [line[5:].strip() for line in text.split(b"\n") if line.startswith(b"data:")]
        if len(lines) <= 1 or parse(b"\n".join(lines)) is None:
            return lines
        return [b"\n".join(lines)]


class JsonLines(Events):
    """A JSON value a line, as jsonlines.org describes."""

    def __init__(self, take: Take, reports: Reports) -> None:
        super().__init__(take, reports, b"\n")
