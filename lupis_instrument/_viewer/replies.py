"""The answers of the server, before they become HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from lupis_instrument._viewer.readers import encode_json

if TYPE_CHECKING:
    from email.message import Message

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


class Reply(NamedTuple):
    """A response.

    Attributes:
        status: the HTTP status.
        body: the body.
        content_type: the media type of the body.
        headers: further headers.
        close: whether to close the connection.
    """

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False


def make_error(status: int, text: str, *headers: tuple[str, str]) -> Reply:
    """Return a response that says a problem; the connection is closed after it."""
    return Reply(status, encode_json({"error": text}), JSON, headers, close=True)


class Receiver(Protocol):
    """Takes spans and events of programs."""

    def receive(self, path: str, headers: Message, body: bytes) -> Reply:
        """Store the spans or events in a request, and return the response.

        Args:
            path: the path of the request.
            headers: the headers of the request.
            body: the body, as it was sent.
        """

    def close(self) -> None:
        """Close the store; no request comes any more."""
