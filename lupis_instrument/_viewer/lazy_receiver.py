"""Makes the receiver with the first request to it: its modules take time and memory to load."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import Message

    from lupis_instrument._viewer.replies import Receiver, Reply


class LazyReceiver:
    """A receiver for the store and the rules of the settings."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._receiver: Receiver | None = None

    def receive(self, path: str, headers: Message, body: bytes) -> Reply:
        """Store the spans or events in a request, and return the response."""
        with self._lock:
            if self._receiver is None:
                from lupis_instrument._viewer.receiver import make_receiver

                self._receiver = make_receiver()
        return self._receiver.receive(path, headers, body)

    def close(self) -> None:
        """Close the store, if a request has opened it."""
        if self._receiver is not None:
            self._receiver.close()
