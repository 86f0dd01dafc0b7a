"""Whether a collector runs at an address that nobody has set."""

from __future__ import annotations

from time import monotonic
from urllib.parse import urlsplit

from lupis_instrument._process import pristine_http

_SECONDS = 0.3
_KEPT = 1.0


class Probe:
    """Knocks at an endpoint, at most once in a while."""

    def __init__(self, url: str) -> None:
        """Knock at `url`, of this machine: elsewhere a refusal may take its time."""
        self._url = url
        self._answered = False
        self._again = 0.0

    def answers(self) -> bool:
        """Tell whether anything listens there."""
        now = monotonic()
        if now >= self._again:
            self._again = now + _KEPT
            self._answered = _listens(self._url)
        return self._answered


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        place = parts.hostname or "", port
        with pristine_http.find_sockets().create_connection(place, timeout=_SECONDS):
            return True
    except (OSError, ValueError):
        return False
