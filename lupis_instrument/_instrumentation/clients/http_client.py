"""http.client: the wire of urllib, urllib3, requests and botocore, and a client of its own.

Whichever of them makes the request, its bytes pass `send`, `getresponse` and the response's file
object. Readers go two ways to that file: through `HTTPResponse.read*`, or, as urllib3 does with
chunked bodies, straight to its `fp`. So the tap sits where both meet, on the file object itself.
"""

from __future__ import annotations

import functools
from io import BufferedIOBase
from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import guarded
from lupis_instrument._instrumentation.wrapping import wrap_method

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._tracing.http_call import HttpCall

_WIRE = "_lupis_wire"
"""The attribute of a connection that holds the request under way on it."""


class Wire:
    """The request under way on one connection."""

    __slots__ = ("head", "http_call", "sending")

    def __init__(self, http_call: HttpCall) -> None:
        self.http_call = http_call
        self.head: bytes | None = None
        self.sending = False

    def sent(self, connection: Any, data: Any) -> None:
        """Take what goes over the wire: first the head, then the body in pieces."""
        if self.head is not None:
            self.http_call.add_request_data(data)
        elif isinstance(data, bytes):
            self.head = data
            method, url = _request_line(connection, data)
            self.http_call.begin_attempt(method, url)
            self.http_call.request_head = data


def attach(module: ModuleType, activation: Activation) -> None:
    """Wrap the connection's methods and open `activation` at the first request made with them."""
    connection = module.HTTPConnection
    wrap_method(activation, connection, "putrequest")
    wrap_method(activation, connection, "close", begins=False)
    _attach_endheaders(connection, activation)
    _attach_send(connection)
    _attach_getresponse(connection, activation)


def instrument(provider: Any, activation: Activation) -> None:
    """Lay our own instrumentor around the client; upstream has none for it."""
    from lupis_instrument._instrumentation.clients.http_client_spans import HTTPClientInstrumentor
    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(HTTPClientInstrumentor, provider, activation.wrappers)


def _attach_endheaders(connection: Any, activation: Activation) -> None:
    original = connection.endheaders

    @functools.wraps(original)
    def endheaders(self: Any, *args: Any, **kwargs: Any) -> Any:
        http_call = activation.http_call()
        if http_call is not None:
            guarded("reading a request", _begin, self, http_call)
        return original(self, *args, **kwargs)

    wrap_method(activation, connection, "endheaders", endheaders, begins=False)


def _begin(connection: Any, http_call: HttpCall) -> None:
    setattr(connection, _WIRE, Wire(http_call))


def _attach_send(connection: Any) -> None:
    original = connection.send

    @functools.wraps(original)
    def send(self: Any, data: Any) -> Any:
        wire = self.__dict__.get(_WIRE)
        if wire is None or wire.sending:
            return original(self, data)
        guarded("reading a request", wire.sent, self, data)
        # The first `send` may connect first, and a proxy is asked for a tunnel with `send` too.
        wire.sending = True
        try:
            return original(self, data)
        finally:
            wire.sending = False

    connection.send = send


def _attach_getresponse(connection: Any, activation: Activation) -> None:
    original = connection.getresponse

    @functools.wraps(original)
    def getresponse(self: Any, *args: Any, **kwargs: Any) -> Any:
        wire = self.__dict__.pop(_WIRE, None)
        response = original(self, *args, **kwargs)
        if wire is not None:
            guarded("watching a response", _watch, wire.http_call, response)
        return response

    wrap_method(activation, connection, "getresponse", getresponse, begins=False)


def _watch(http_call: HttpCall, response: Any) -> None:
    version = "1.0" if response.version == 10 else "1.1"  # noqa: PLR2004 - http.client's notation
    chunked = bool(response.chunked)
    body = http_call.begin_response(
        response.status, response.getheaders(), version, chunked=chunked
    )
    if body is None:
        return
    if response.length == 0 or not isinstance(response.fp, BufferedIOBase):
        body.end("complete")  # there is none, or it stands in some other kind of file
        return
    from lupis_instrument._instrumentation.clients.tapped_file import TappedFile

    response.fp = TappedFile(response.fp, body, response.length)


def _request_line(connection: Any, head: bytes) -> tuple[str, str]:
    """Return the method and the absolute URL of the request that `head` begins."""
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    method, target = words[0], words[1] if len(words) > 1 else ""
    if "://" in target:
        return method, target  # the absolute form, as sent to a proxy
    return method, base_url(connection) + target


def base_url(connection: Any) -> str:
    """Return scheme and authority of the server that `connection` leads to."""
    scheme = "https" if connection.default_port == 443 else "http"  # noqa: PLR2004 - RFC 9110
    # Behind a CONNECT tunnel `host` is the proxy; the server's name has no public home.
    # Seen as `_tunnel_host` in Python 3.8 to 3.14.
    host = getattr(connection, "_tunnel_host", None) or connection.host
    tunnelled = getattr(connection, "_tunnel_host", None) is not None
    port = getattr(connection, "_tunnel_port", None) if tunnelled else connection.port
    if ":" in host:
        host = f"[{host}]"
    if port and port != connection.default_port:
        host = f"{host}:{port}"
    return f"{scheme}://{host}"
