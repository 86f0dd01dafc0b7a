"""http.client: a client itself, and the wire of urllib, urllib3, requests and botocore.

Whichever of them makes the request, its bytes pass `send`, `getresponse` and the file object of the
response. That file is read either through `HTTPResponse.read*` or directly through `fp`, as urllib3
reads chunked bodies. So the tap is on the file object itself, where both meet.
"""

from __future__ import annotations

import functools
from http.client import ImproperConnectionState
from io import BufferedIOBase
from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._instrumentation.clients.http_client_request import REQUEST
from lupis_instrument._instrumentation.clients.http_client_urls import read_request_line
from lupis_instrument._instrumentation.wrapping import wrap_method

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._tracing.http_call import HttpCall

_HTTP_1_0 = 10
"""HTTP/1.0 in the notation of `HTTPResponse.version`."""


class WireRequest:
    """The request under way on one connection.

    Attributes:
        http_call: the recorded call.
        head: request line and headers, once they were sent.
        sending: whether `send` is running.
    """

    __slots__ = ("head", "http_call", "sending")

    def __init__(self, http_call: HttpCall) -> None:
        self.http_call = http_call
        self.head: bytes | None = None
        self.sending = False

    def add_data(self, connection: Any, data: Any) -> None:
        """Take data that is about to be sent: first the head, then the body in pieces."""
        if self.head is not None:
            self.http_call.add_request_data(data)
        elif isinstance(data, bytes):
            self.head = data
            method, url = read_request_line(connection, data)
            self.http_call.begin_attempt(method, url)
            self.http_call.request_head = data


def wrap_client(module: ModuleType, activation: Activation) -> None:
    """Wrap the methods of `HTTPConnection`; `putrequest` begins a request."""
    connection = module.HTTPConnection
    wrap_method(activation, connection, "putrequest")
    wrap_method(activation, connection, "close", begins_call=False)
    _wrap_endheaders(connection, activation)
    _wrap_send(connection)
    _wrap_getresponse(connection, activation)


def instrument_client(provider: Any, activation: Activation) -> None:
    """Put an instrumentor of this package behind the wrappers; upstream has none."""
    from lupis_instrument._instrumentation.clients.http_client_spans import HTTPClientInstrumentor
    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(HTTPClientInstrumentor, provider, activation.wrappers)


def _wrap_endheaders(connection: Any, activation: Activation) -> None:
    original = connection.endheaders

    @functools.wraps(original)
    def endheaders(self: Any, *args: Any, **kwargs: Any) -> Any:
        earlier = self.__dict__.pop(REQUEST, None)
        http_call = activation.current_call()
        if http_call is not None:
            try:
                setattr(self, REQUEST, WireRequest(http_call))
            except Exception as fault:
                report_fault("reading a request", fault)
        try:
            return original(self, *args, **kwargs)
        except ImproperConnectionState:  # the earlier request is still under way
            setattr(self, REQUEST, earlier)
            raise

    wrap_method(activation, connection, "endheaders", endheaders, begins_call=False)


def _wrap_send(connection: Any) -> None:
    original = connection.send

    @functools.wraps(original)
    def send(self: Any, data: Any) -> Any:
        request = self.__dict__.get(REQUEST)
        if request is None or request.sending:
            return original(self, data)
        try:
            request.add_data(self, data)
        except Exception as fault:
            report_fault("reading a request", fault)
        before_send = request.http_call.before_send
        if before_send is not None and request.head is data:
            try:
                before_send(request.http_call)
            except BaseException:
                self.close()  # nothing was sent: the connection can be used again
                raise
        # The first `send` may connect, and that asks a proxy for a tunnel by another `send`.
        request.sending = True
        try:
            return original(self, data)
        finally:
            request.sending = False

    connection.send = send


def _wrap_getresponse(connection: Any, activation: Activation) -> None:
    original = connection.getresponse

    @functools.wraps(original)
    def getresponse(self: Any, *args: Any, **kwargs: Any) -> Any:
        # A call that fails may be repeated: urllib3 1.x first passes an argument that only Python 2
        # knew. And the original may close the connection before it returns.
        request = self.__dict__.get(REQUEST)
        response = original(self, *args, **kwargs)
        if request is not None:
            try:
                self.__dict__.pop(REQUEST, None)
                _watch_response(request.http_call, response)
            except Exception as fault:
                report_fault("watching a response", fault)
        return response

    wrap_method(activation, connection, "getresponse", getresponse, begins_call=False)


def _watch_response(http_call: HttpCall, response: Any) -> None:
    """Record the head of a response, and tap its file if the body is to be read."""
    version = "1.0" if response.version == _HTTP_1_0 else "1.1"
    chunked = bool(response.chunked)
    body = http_call.begin_response(
        response.status, list(response.headers.raw_items()), version, chunked=chunked
    )
    if body is None:
        return
    if response.length == 0 or not isinstance(response.fp, BufferedIOBase):
        body.end("complete")  # there is no body, or its file is of an unknown kind
        return
    from lupis_instrument._instrumentation.clients.tapped_file import TappedFile

    response.fp = TappedFile(response.fp, body, response.length)
