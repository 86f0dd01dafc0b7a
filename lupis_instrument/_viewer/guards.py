"""Refuses requests that a foreign web page may have caused: checks `Host` and `Origin`.

A web page can make a browser send requests to this machine. Under DNS rebinding, the name of a
foreign site resolves to 127.0.0.1, and the browser sends that name as `Host`.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from email.message import Message

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - the addresses that stand for all interfaces
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
SECURITY_HEADERS = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""Headers of every response."""


def is_loopback(host: str) -> bool:
    """Return whether a name or address is of this machine alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_known_host(header: str, server_host: str) -> bool:
    """Return whether a header `Host` names this server.

    A server for all addresses takes any IP address and any name without a dot, such as the name
    of a container: no foreign site has such a name.

    Args:
        header: the header; empty without one.
        server_host: the name or address that the server listens at.
    """
    host = _read_host(header)
    if host in (*LOOPBACK_NAMES, server_host):
        return host is not None
    if host is None or server_host not in ALL_ADDRESSES:
        return False
    return "." not in host or _is_address(host)


def is_own_origin(headers: Message) -> bool:
    """Return whether a request comes from a page of this server, or from no web page at all."""
    origin = headers.get("Origin")
    if origin is not None:
        return origin == f"http://{headers.get('Host', '')}"
    return headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")


def _read_host(header: str) -> str | None:
    """Return the host of a header `Host`, in lower case; None if it is not valid."""
    if not header or any(letter in header for letter in "/@?#\\ \t,"):
        return None
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port  # raises an error for a port that is no number
        return parts.hostname
    except ValueError:
        return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
