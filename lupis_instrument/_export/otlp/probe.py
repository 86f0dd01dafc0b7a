"""Finds out whether a collector runs at the default endpoint, which nobody has set."""

from __future__ import annotations

from time import monotonic
from urllib.parse import urlsplit

from lupis_instrument._process import pristine_http

_CONNECT_SECONDS = 0.3
_CACHE_SECONDS = 1.0


class EndpointProbe:
    """Connects to an endpoint, at most once a second."""

    def __init__(self, url: str) -> None:
        """Make a probe that has not connected yet.

        Args:
            url: an endpoint on this machine; on others, a refusal may take long to come.
        """
        self._url = url
        self._listening = False
        self._next_check = 0.0

    def is_listening(self) -> bool:
        """Return whether a server accepts connections at the endpoint."""
        now = monotonic()
        if now >= self._next_check:
            self._next_check = now + _CACHE_SECONDS
            self._listening = _can_connect(self._url)
        return self._listening


def _can_connect(url: str) -> bool:
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = parts.hostname or "", port
        with pristine_http.find_sockets().create_connection(address, timeout=_CONNECT_SECONDS):
            return True
    except (OSError, ValueError):
        return False
