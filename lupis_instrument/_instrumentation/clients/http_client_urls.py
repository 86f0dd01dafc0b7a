"""The URL of a request that is made with http.client, read from its connection and its head."""

from __future__ import annotations

from typing import Any

_HTTPS_PORT = 443


def read_request_line(connection: Any, head: bytes) -> tuple[str, str]:
    """Return the method and the absolute URL of a request.

    Args:
        connection: the `HTTPConnection` that sends it.
        head: request line and headers, as they go over the wire.
    """
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    method, target = words[0], words[1] if len(words) > 1 else ""
    if "://" in target:
        return method, target  # the absolute form, as sent to a proxy
    return method, base_url(connection) + target


def base_url(connection: Any) -> str:
    """Return scheme, host and port of the server that `connection` leads to."""
    scheme = "https" if connection.default_port == _HTTPS_PORT else "http"
    # Behind a CONNECT tunnel `host` is the proxy. The server's name is in a private attribute,
    # `_tunnel_host` in Python 3.8 to 3.14.
    host = getattr(connection, "_tunnel_host", None) or connection.host
    tunnelled = getattr(connection, "_tunnel_host", None) is not None
    port = getattr(connection, "_tunnel_port", None) if tunnelled else connection.port
    if ":" in host:
        host = f"[{host}]"
    if port and port != connection.default_port:
        host = f"{host}:{port}"
    return f"{scheme}://{host}"
