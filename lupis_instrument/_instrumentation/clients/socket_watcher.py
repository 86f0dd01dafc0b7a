"""Watches the sockets of one client, and shows their messages to the calls on them.

Loaded with the first client that has WebSockets, so it imports nothing heavy. A socket of any other
use than an LLM API is recognised by its URL, and costs one look-up a message from then on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, Union

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import report_fault
from lupis_instrument._instrumentation.clients.socket_spans import SocketSpans

if TYPE_CHECKING:
    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._instrumentation.clients.socket_calls import SocketCall, SocketCalls

    Data = Union[str, bytes, bytearray, memoryview]

CALLS = "_lupis_socket"
"""The attribute of a client's socket that holds its `SocketCalls`; None for another use."""
_LIKELY_URL = re.compile(r"/(?:realtime|responses)/?(?:\?|\Z)|[./]BidiGenerateContent")
_CANCELLED = "CancelledError"
"""The error of asyncio, by its name: not every program with WebSockets loads asyncio."""
_ACTION = "reading a message of a WebSocket"


class SocketWatcher:
    """Follows the messages on the sockets of one client."""

    def __init__(self, activation: Activation, read_url: Callable[[Any], str]) -> None:
        """Watch a client.

        Args:
            activation: the client's instrumentation.
            read_url: returns the URL of one of the client's sockets.
        """
        self._spans = SocketSpans(activation)
        self._read_url = read_url

    def find_calls(self, socket: Any) -> SocketCalls | None:
        """Return the calls on a socket; None if it serves another use than an LLM API."""
        attributes = socket.__dict__
        if CALLS not in attributes:
            try:
                attributes.setdefault(CALLS, self._make_calls(self._read_url(socket)))
            except Exception:
                attributes[CALLS] = None  # for good
                raise
        calls: SocketCalls | None = attributes[CALLS]
        return calls

    def _make_calls(self, url: str) -> SocketCalls | None:
        if not _LIKELY_URL.search(url):
            return None
        from lupis_instrument._instrumentation.clients.socket_calls import SocketCalls
        from lupis_instrument._llm.api.operations import find_socket_operation

        path = re.sub(r"\A[a-z]+://[^/]*", "", url).partition("?")[0]
        operation = find_socket_operation(path)
        return SocketCalls(self._spans, url, operation.api) if operation is not None else None

    def send(self, socket: Any, data: Data, *, prepares: bool = False) -> SocketCall | None:
        """Take a message that the program is about to send; return the call that it starts.

        Args:
            socket: the socket.
            data: the message.
            prepares: whether the same message comes again, from a lower layer of the client.

        Raises:
            LupisBudgetError: the budget is used up, and the message must not be sent.
        """
        calls = call = None
        try:
            calls = self.find_calls(socket)
            if calls is not None:
                take = calls.prepare if prepares else calls.send
                call = take(_to_bytes(data))
        except Exception as fault:
            report_fault(_ACTION, fault)
        if calls is None or call is None:
            return None
        try:
            call.check()
        except BaseException as error:
            self._refuse(calls, call, error)
            raise
        try:
            call.begin_response()
        except Exception as fault:
            report_fault(_ACTION, fault)
        return call

    def receive(self, socket: Any, data: Data, *, starts: bool = True, ends: bool = True) -> None:
        """Take a frame that the program is about to receive; see `SocketCalls.receive`."""
        try:
            calls = self.find_calls(socket)
            if calls is not None:
                calls.receive(_to_bytes(data), starts=starts, ends=ends)
        except Exception as fault:
            report_fault(_ACTION, fault)

    def fail(self, socket: Any, call: SocketCall, error: BaseException) -> None:
        """End a call whose request could not be sent.

        A client of asyncio writes a message first, and then waits until the network has taken it.
        If only this wait is cancelled, the message is sent, and the call goes on.
        """
        try:
            calls = self.find_calls(socket)
            if calls is not None:
                if type(error).__name__ == _CANCELLED and not calls.is_prepared(call):
                    return
                calls.refuse(call)
            call.fail(error)
        except Exception as fault:
            report_fault(_ACTION, fault)

    def close(self, socket: Any, make_error: Callable[[], BaseException] | None = None) -> None:
        """End the calls on a socket that closes.

        Args:
            socket: the socket.
            make_error: makes the error that the program gets; None if it closes the socket itself.
        """
        try:
            calls = socket.__dict__.get(CALLS)
            if calls is not None:
                calls.close(make_error() if make_error is not None else None)
        except Exception as fault:
            report_fault(_ACTION, fault)

    def _refuse(self, calls: SocketCalls, call: SocketCall, error: BaseException) -> None:
        """End the span of a call that a check has refused."""
        try:
            calls.refuse(call)
            from lupis_instrument._tracing.api import Status, StatusCode

            if call.http_call is not None:
                span = call.http_call.span
                span.set_attribute(_semconv.ERROR_TYPE, type(error).__qualname__)
                span.set_status(Status(StatusCode.ERROR, type(error).__qualname__))
                span.end()
        except Exception as fault:
            report_fault(_ACTION, fault)


def _to_bytes(data: Data) -> bytes:
    if isinstance(data, str):
        return data.encode("utf-8", "surrogatepass")
    return data if type(data) is bytes else bytes(data)
