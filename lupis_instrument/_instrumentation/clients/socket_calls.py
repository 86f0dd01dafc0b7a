"""The calls on one WebSocket: which message starts, feeds and ends which of them.

Each response has a span of its own. It begins with the message that asks for the response, or with
the first message of a response that the server starts itself. Adapters show every message of a
socket to a `SocketCalls`; it keeps no message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._llm.api.socket_messages import (
    SOCKET_APIS,
    Part,
    has_usage,
    rate_match,
    read_ids,
    read_request_ids,
    refuses_other,
)
from lupis_instrument._llm.body.socket_requests import read_session, write_request

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from lupis_instrument._instrumentation.clients.socket_spans import SocketSpans
    from lupis_instrument._llm.api.socket_messages import MessageIds
    from lupis_instrument._tracing.http_call import HttpCall, ResponseBody

_MAX_OPEN_CALLS = 64
"""Calls that are open at once on a socket; the oldest go first, for a server may never answer."""
_MAX_MESSAGE_BYTES = 8 << 20
"""Bytes that are kept of a message that comes in several frames, until its last frame."""


class SocketCall:
    """One response on a socket.

    Attributes:
        http_call: the call as other clients record it; None if a sampler or a setting excludes it.
            Such a call takes its messages too, so that none of them starts another call.
        ids: the ids that the client gave to the request.
        response_id: the provider's id, once it is known.
        begun: whether the server has begun to answer.
        cancelled: whether the client has cancelled it.
        has_usage: whether its usage was reported.
    """

    __slots__ = ("_body", "begun", "cancelled", "has_usage", "http_call", "ids", "response_id")

    def __init__(self, http_call: HttpCall | None, ids: MessageIds) -> None:
        self.http_call = http_call
        self.ids = ids
        self.response_id: str | None = None
        self.begun = self.cancelled = self.has_usage = False
        self._body: ResponseBody | None = None

    def check(self) -> None:
        """Let a check refuse the request, before it is sent.

        Raises:
            LupisBudgetError: the budget is used up.
        """
        http_call = self.http_call
        if http_call is not None and http_call.before_send is not None:
            http_call.before_send(http_call)

    def begin_response(self) -> None:
        """Wait for the response: the span stays open until the response has ended."""
        http_call = self.http_call
        if http_call is None or http_call.status is not None:
            return  # the latter: done already, when the message was prepared
        self._body = http_call.begin_response(200, [], None, decoded=True)
        http_call.span.end()

    def fail(self, error: BaseException) -> None:
        """End a call whose request was not sent."""
        if self.http_call is not None:
            self.http_call.status = None
        self.end("error", error)

    def feed(self, message: bytes) -> None:
        """Take a message of the response, as an event of a stream."""
        if self._body is not None:
            line = message.replace(b"\r", b" ").replace(b"\n", b" ")
            self._body.feed(b"data: " + line + b"\n\n")

    def end(self, outcome: str, error: BaseException | None = None) -> None:
        """End the call; only the first call counts."""
        if self._body is not None:
            self._body.end(outcome, error)


class SocketCalls:
    """The calls on one socket that are under way."""

    def __init__(self, spans: SocketSpans, url: str, api: str) -> None:
        """Start without any call.

        Args:
            spans: starts the spans.
            url: the URL of the socket.
            api: the wire API of its messages.
        """
        self._spans = spans
        self._url = url
        self._api = SOCKET_APIS[api]
        self._session: dict[str, Any] = {}
        self._open: list[SocketCall] = []
        self._latest: SocketCall | None = None
        self._unreported: SocketCall | None = None
        self._prepared: list[tuple[bytes, SocketCall]] = []
        self._fragments: list[bytes] = []
        self._fragment_bytes = 0
        self._closed = False
        self._context: Context | None = None

    def __del__(self) -> None:
        try:
            self._end_all("dropped")
        except Exception as fault:
            report_fault("ending the calls on a socket", fault)

    def prepare(self, message: bytes) -> SocketCall | None:
        """Take a message that the program hands to its client, which `send` takes again later."""
        call = self.send(message)
        if call is not None:
            self._prepared.append((message, call))
            del self._prepared[:-_MAX_OPEN_CALLS]
        return call

    def send(self, message: bytes) -> SocketCall | None:
        """Take a message that the program is about to send.

        Returns:
            The call that the message starts. It must be checked, and its response begun.
        """
        for entry in self._prepared:
            if entry[0] == message:
                self._prepared.remove(entry)
                return entry[1]
        self._context = self._spans.current_context()
        part = self._api.read_sent(message)
        if part is Part.REQUEST or (part is Part.INPUT and not self._open):
            self._end_unreported()
            return self._start_call(message)
        if part is Part.SESSION:
            self._session.update(read_session(message))
        elif part is Part.CANCEL:
            self._cancel(message)
        return None

    def receive(self, data: bytes, *, starts: bool = True, ends: bool = True) -> None:
        """Take a frame that the program is about to receive.

        Args:
            data: the frame's payload.
            starts: whether it is the first frame of a message.
            ends: whether it is the last frame of a message.
        """
        if self._closed:
            return  # the program hears no more; a client reads on until the server closes too
        if starts and ends:
            self._receive_message(data)
            return
        if starts:
            self._fragments, self._fragment_bytes = [], 0
        self._fragment_bytes += len(data)
        if self._fragment_bytes <= _MAX_MESSAGE_BYTES:
            self._fragments.append(data)
        if ends:
            message, self._fragments = b"".join(self._fragments), []
            self._receive_message(message)

    def close(self, error: BaseException | None) -> None:
        """End all calls: the socket closes.

        Args:
            error: the error that the program gets; None if it closes the socket itself.
        """
        self._closed = self._closed or error is None
        self._end_all("closed" if error is None else "error", error)

    def _receive_message(self, message: bytes) -> None:
        part = self._api.read_received(message)
        if part is Part.OTHER:
            return
        if part is Part.SESSION:
            self._session.update(read_session(message))
            return
        call = self._find_call(part, message)
        if call is None:
            return
        call.begun = True
        call.has_usage = call.has_usage or has_usage(message)
        call.feed(message)
        self._latest = call
        if part is Part.END and self._api.ends_with_usage and not call.has_usage:
            self._remove(call)
            self._unreported = call
        elif part in (Part.END, Part.ERROR) or call is self._unreported:
            self._end_call(call)

    def _find_call(self, part: Part, message: bytes) -> SocketCall | None:
        """Return the call that a message of the server belongs to; it may be a new one."""
        if not self._api.has_ids:
            return self._find_turn(part, message)
        if part is Part.PIECE:
            return self._find_under_way(message)
        ids = read_ids(message)
        if part is Part.ERROR:
            return None if refuses_other(message) else self._find_refused(ids)
        call = self._find_by_ids(ids, message)
        if call is None and part is Part.END:
            call = next((call for call in self._open if not call.cancelled), None)
        call = call or self._start_unasked()
        call.response_id = ids.response or call.response_id
        return call

    def _find_turn(self, part: Part, message: bytes) -> SocketCall | None:
        """Return the call of the turn under way, where one turn follows another."""
        if not self._open and self._unreported is not None and part is Part.USAGE:
            return self._unreported
        self._end_unreported()
        if self._open:
            return self._open[0]
        starts = part is Part.OPENING or (part is Part.END and has_usage(message))
        return self._start_unasked() if starts else None

    def _find_under_way(self, message: bytes) -> SocketCall | None:
        """Return the call that a piece of a response belongs to."""
        calls = self._open
        if len(calls) <= 1:
            return calls[0] if calls else None
        ids = read_ids(message)
        for call in calls:
            if ids.response is not None and call.response_id == ids.response:
                return call
        for call in calls:
            if ids.stream is not None and call.ids.stream == ids.stream:
                return call
        return self._latest if self._latest in calls else calls[0]

    def _find_by_ids(self, ids: MessageIds, message: bytes) -> SocketCall | None:
        """Return the call of a response, or the request that it most likely answers."""
        for call in self._open:
            if ids.response is not None and call.response_id == ids.response:
                return call
        waiting = [
            call
            for call in self._open
            if call.response_id is None and (not ids.stream or call.ids.stream == ids.stream)
        ]
        if len(waiting) <= 1:
            return waiting[0] if waiting else None
        return max(waiting, key=lambda call: rate_match(_join_request(call), message))

    def _find_refused(self, ids: MessageIds) -> SocketCall | None:
        """Return the call that an error is about."""
        calls = [call for call in self._open if not ids.stream or call.ids.stream == ids.stream]
        for call in calls:
            if ids.event is not None and call.ids.event == ids.event:
                return call
        waiting = [call for call in calls if not call.begun]
        if waiting and (ids.event is None or self._api.errors_end):
            return waiting[-1]
        return calls[0] if calls and self._api.errors_end else None

    def _start_call(self, message: bytes) -> SocketCall:
        http_call = self._spans.start_call(
            self._url, write_request(self._session, message), self._context
        )
        call = SocketCall(http_call, read_request_ids(message))
        if len(self._open) >= _MAX_OPEN_CALLS:
            self._open.pop(0).end("dropped")
        self._open.append(call)
        return call

    def _start_unasked(self) -> SocketCall:
        """Start the call of a response that the server has begun itself."""
        call = self._start_call(b"{}")
        call.begin_response()
        return call

    def _cancel(self, message: bytes) -> None:
        ids = read_ids(message)
        for call in self._open:
            if ids.response in (None, call.response_id):
                call.cancelled = True

    def is_prepared(self, call: SocketCall) -> bool:
        """Return whether the request of a call still waits in the upper layer of its client."""
        return any(entry[1] is call for entry in self._prepared)

    def refuse(self, call: SocketCall) -> None:
        """Forget a call whose request is not sent."""
        self._prepared = [entry for entry in self._prepared if entry[1] is not call]
        self._remove(call)

    def _remove(self, call: SocketCall) -> None:
        if call in self._open:
            self._open.remove(call)

    def _end_call(self, call: SocketCall) -> None:
        self._remove(call)
        if call is self._unreported:
            self._unreported = None
        call.end("complete")

    def _end_unreported(self) -> None:
        if self._unreported is not None:
            self._end_call(self._unreported)

    def _end_all(self, outcome: str, error: BaseException | None = None) -> None:
        self._end_unreported()
        calls, self._open = self._open, []
        for call in calls:
            if call.cancelled:
                call.end("closed")
            else:
                call.end(outcome, error)


def _join_request(call: SocketCall) -> bytes:
    return b"".join(call.http_call.request_body) if call.http_call is not None else b""
