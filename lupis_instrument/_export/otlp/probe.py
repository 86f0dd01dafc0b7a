"""Finds out whether the Lupis desktop app is at the default endpoint, which nobody has set.

Other programs use the port too (QuestDB, ClickHouse). They must get neither spans nor keys, so the
server has to say its name first.
"""

from __future__ import annotations

import json
from time import monotonic
from typing import Any
from urllib.parse import SplitResult, urlsplit

from lupis_instrument._process import pristine_http

_ANSWER_SECONDS = 0.3
"""The longest wait for an answer: a server on this machine answers in milliseconds."""
_CACHE_SECONDS = 1.0
_MAX_ANSWER_BYTES = 4096
_HEALTH_PATH = "/api/health"
_NAME = "lupis"
_OK = b"200"


class EndpointProbe:
    """Asks an endpoint for its name; connects at most once a second."""

    def __init__(self, url: str) -> None:
        """Make a probe that has not connected yet.

        Args:
            url: an endpoint on this machine; on others, a refusal may take long to come.
        """
        self._parts = urlsplit(url)
        self._listening = False
        self._next_check = 0.0

    def is_receiver(self) -> bool:
        """Return whether the desktop app, or `lupis ui`, listens at the endpoint.

        A stranger is asked once by a process and its forks.
        """
        address = self._parts.netloc
        if _known_names.get(address) is False:
            return False
        now = monotonic()
        if now >= self._next_check:
            self._next_check = now + _CACHE_SECONDS
            self._listening = self._check_server(address)
        return self._listening

    def _check_server(self, address: str) -> bool:
        due = monotonic() + _ANSWER_SECONDS
        sockets = pristine_http.find_sockets()
        try:
            connection = _connect(sockets, self._parts)
        except sockets.timeout:
            _known_names[address] = False
            return False
        except (OSError, ValueError):
            # The next server at this address may be another program.
            _known_names.pop(address, None)
            return False
        with connection:
            is_named = _known_names.get(address) or _is_named(connection, address, due)
        _known_names[address] = is_named
        return is_named


_known_names: dict[str, bool] = {}
"""By address, whether its server has said the right name; forked children keep it."""


def _connect(sockets: Any, parts: SplitResult) -> Any:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return sockets.create_connection((parts.hostname or "", port), timeout=_ANSWER_SECONDS)


def _is_named(connection: Any, address: str, due: float) -> bool:
    """Return whether the server at the other end says the name of this product until `due`.

    The request has no word that an echo of it could give back as the name.
    """
    request = f"GET {_HEALTH_PATH} HTTP/1.0\r\nHost: {address}\r\nAccept: application/json\r\n\r\n"
    answer = b""
    try:
        connection.sendall(request.encode("ascii"))
        while len(answer) < _MAX_ANSWER_BYTES and not has_name(answer):
            connection.settimeout(max(due - monotonic(), 0.001))
            piece = connection.recv(_MAX_ANSWER_BYTES)
            if not piece or monotonic() > due:
                break
            answer += piece
    except (OSError, ValueError):
        pass  # a connection that breaks may have brought the name before
    return has_name(answer)


def has_name(answer: bytes) -> bool:
    """Return whether an HTTP response has status 200 and a JSON object that names this product.

    A member such as `"name": "lupis"` or `"app": "Lupis Desktop"` does.

    Args:
        answer: the response, perhaps only its beginning.
    """
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1:2] != [_OK]:
        return False
    try:
        # A server may send the object as a chunk, with its length before it.
        data = json.loads(body[body.find(b"{") : body.rfind(b"}") + 1])
    except (ValueError, RecursionError):
        return False
    return any(
        isinstance(value, str) and value.lower().startswith(_NAME) for value in data.values()
    )
