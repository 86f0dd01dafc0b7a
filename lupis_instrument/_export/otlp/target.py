"""The address that items wait for in the store."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """An endpoint, as the store remembers it.

    Attributes:
        url: the endpoint; None if it is not known in full because it holds a secret.
        wire_format: the form of requests to it; a key of `destinations.WIRE_FORMATS`.
        project: the project of the items; they are never sent with the key of another project.
        display_url: the endpoint without its secrets.
    """

    url: str | None
    wire_format: str
    project: str
    display_url: str

    @property
    def hash(self) -> str:
        """The digest by which the store recognises the endpoint again."""
        return sha256((self.url or self.display_url).encode("utf-8", "surrogatepass")).hexdigest()


def read_server(url: str) -> tuple[str, int | None]:
    """Return host and port of a URL; of a malformed one, an empty host."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", None
