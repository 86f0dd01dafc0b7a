"""Tells open pages that the store has changed, by server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from threading import Event, Lock
from time import monotonic
from typing import TYPE_CHECKING, Callable, Iterator

from lupis_instrument._viewer.readers import read_stamp

if TYPE_CHECKING:
    from pathlib import Path

MAX_STREAMS = 64
_MAX_STREAMS_OF_SESSION = 4
"""A browser opens six connections to a server. The other two are left for data."""
_POLL_SECONDS = 0.5
_SIGN_SECONDS = 15.0
_RETRY_MILLISECONDS = 2000


class Streams:
    """The open streams of a server."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: list[tuple[str, Event]] = []

    @contextmanager
    def open_stream(self, session: str) -> Iterator[Event | None]:
        """Give the event that ends the stream to the `with` block; None if there are too many.

        A session with too many streams loses its oldest one; its page connects again later.

        Args:
            session: the session of the page.
        """
        end = Event()
        with self._lock:
            if len(self._open) >= MAX_STREAMS:
                yield None
                return
            self._open.append((session, end))
            same = [event for owner, event in self._open if owner == session]
        for event in same[:-_MAX_STREAMS_OF_SESSION]:
            event.set()
        try:
            yield end
        finally:
            with self._lock:
                self._open.remove((session, end))

    def end_all(self) -> None:
        """End the streams of all pages."""
        with self._lock:
            for _, event in self._open:
                event.set()


def write_changes(
    path: Path | None, read_change: Callable[[], int], write: Callable[[bytes], object], end: Event
) -> None:
    """Write an event now and after each change of the store, and a comment as a sign of life.

    Args:
        path: the path of the store.
        read_change: returns the number of the last change.
        write: sends bytes to the page.
        end: ends the stream.
    """
    write(b"retry: %d\n\n" % _RETRY_MILLISECONDS)
    stamp: object = None
    signed = monotonic()
    while not end.is_set():
        new_stamp = read_stamp(path)
        if new_stamp != stamp:
            stamp = new_stamp
            write(_format_change(read_change()))
            signed = monotonic()
        elif monotonic() - signed > _SIGN_SECONDS:
            write(b": alive\n\n")
            signed = monotonic()
        end.wait(_POLL_SECONDS)


def _format_change(last_change: int) -> bytes:
    data = json.dumps({"last_change": last_change})
    return f"event: change\ndata: {data}\n\n".encode()
