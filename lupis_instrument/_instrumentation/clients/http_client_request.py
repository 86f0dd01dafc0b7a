"""The attribute by which a connection of http.client keeps the request under way on it."""

from __future__ import annotations

from typing import Any

REQUEST = "_lupis_wire"
"""The name of the attribute; its value is a `WireRequest`."""


def has_sent_request(connection: Any) -> bool:
    """Return whether a recorded request was sent on a connection and has no response yet."""
    request = vars(connection).get(REQUEST)
    return request is not None and request.head is not None
