"""httpx, and httpx2, which has the same classes: upstream's instrumentor around the transports.

The functions that replace `handle_request` and `handle_async_request` see a response before httpx
does. They replace its stream by one that passes on the same bytes and shows them to the reader of
the body.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, AsyncIterator, Callable, Iterator

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._instrumentation.wrapping import wrap_async_method, wrap_method
from lupis_instrument.exceptions import LupisError

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._tracing.http_call import HttpCall, ResponseBody

UPSTREAM = "opentelemetry.instrumentation.httpx"
_NEEDED = ("HTTPTransport", "AsyncHTTPTransport", "SyncByteStream", "AsyncByteStream")
_REQUEST_FAULT = "reading an httpx request"
_RESPONSE_FAULT = "watching an httpx response"


def wrap_client(module: ModuleType, activation: Activation) -> None:
    """Wrap both transports of httpx (or httpx2).

    Raises:
        LupisError: this version of the library has other classes, as httpx 1.0.dev has.
    """
    for name in _NEEDED:
        if not hasattr(module, name):
            raise LupisError(f"this version has no {name}")
    _wrap_sync_transport(module, activation)
    _wrap_async_transport(module, activation)


def instrument_client(provider: Any, activation: Activation) -> None:
    """Put upstream's instrumentor behind the wrappers.

    From 0.65b0 on its module serves httpx2 too, and imports both clients.
    """
    from lupis_instrument._instrumentation.upstream import load_without, switch_on

    module = load_without("httpx2", UPSTREAM)
    switch_on(module.HTTPXClientInstrumentor, provider, activation.wrappers)


def _wrap_sync_transport(module: ModuleType, activation: Activation) -> None:
    transport = module.HTTPTransport
    original = transport.handle_request
    upload_class, stream_class = _make_upload_class(module), _make_stream_class(module)

    @functools.wraps(original)
    def handle_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        http_call = activation.current_call()
        if http_call is None:
            return original(self, *args, **kwargs)
        upload = None
        try:
            upload = _read_request(module, http_call, args, kwargs, upload_class)
        except Exception as fault:
            report_fault(_REQUEST_FAULT, fault)
        try:
            if http_call.before_send is not None:
                http_call.before_send(http_call)
            response = original(self, *args, **kwargs)
        finally:
            if upload is not None:
                upload.restore_stream()
        try:
            _watch_response(http_call, response, stream_class)
        except Exception as fault:
            report_fault(_RESPONSE_FAULT, fault)
        return response

    wrap_method(activation, transport, "handle_request", handle_request)


def _wrap_async_transport(module: ModuleType, activation: Activation) -> None:
    transport = module.AsyncHTTPTransport
    original = transport.handle_async_request
    upload_class, stream_class = _make_async_upload_class(module), _make_async_stream_class(module)

    @functools.wraps(original)
    async def handle_async_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        http_call = activation.current_call()
        if http_call is None:
            return await original(self, *args, **kwargs)
        upload = None
        try:
            upload = _read_request(module, http_call, args, kwargs, upload_class)
        except Exception as fault:
            report_fault(_REQUEST_FAULT, fault)
        try:
            if http_call.before_send is not None:
                http_call.before_send(http_call)
            response = await original(self, *args, **kwargs)
        finally:
            if upload is not None:
                upload.restore_stream()
        try:
            _watch_response(http_call, response, stream_class)
        except Exception as fault:
            report_fault(_RESPONSE_FAULT, fault)
        return response

    wrap_async_method(activation, transport, "handle_async_request", handle_async_request)


def _read_request(
    module: Any, http_call: HttpCall, args: Any, kwargs: Any, upload_class: Any
) -> _TappedUpload | None:
    """Record a request before it is sent.

    Returns:
        The stream that now stands in for the request's own, if its body is produced only while it
        is sent.
    """
    request = args[0] if args else kwargs["request"]
    http_call.begin_attempt(request.method, str(request.url))
    http_call.request_headers = request.headers.raw
    if http_call.endpoint is None:
        return None
    try:
        http_call.add_request_data(request.content)
    except module.RequestNotRead:  # reading the body here might use it up
        # The stream of a redirected request is made from bytes, and can be read twice.
        if not isinstance(request.stream, module.ByteStream):
            upload: _TappedUpload = upload_class(request, http_call)
            return upload
        http_call.add_request_data(b"".join(request.stream))
    return None


class _TappedUpload:
    """Stands in for the stream of a request, and records its bytes as the transport sends them."""

    def __init__(self, request: Any, http_call: HttpCall) -> None:
        self._request = request
        self._stream = request.stream
        self._http_call = http_call
        request.stream = self

    def record_chunk(self, chunk: bytes) -> bytes:
        """Record and return a chunk of the body."""
        try:
            self._http_call.add_request_data(chunk)
        except Exception as fault:
            report_fault(_REQUEST_FAULT, fault)
        return chunk

    def restore_stream(self) -> None:
        """Give the request its own stream back."""
        self._request.stream = self._stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _make_upload_class(module: Any) -> Any:
    class TappedUpload(_TappedUpload, module.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            for chunk in self._stream:
                yield self.record_chunk(chunk)

        def close(self) -> None:
            self._stream.close()

    return TappedUpload


def _make_async_upload_class(module: Any) -> Any:
    class TappedUpload(_TappedUpload, module.AsyncByteStream):  # type: ignore[misc]
        def __aiter__(self) -> AsyncIterator[bytes]:
            return _TappedIterator(self._stream.__aiter__(), self.record_chunk)

        async def aclose(self) -> None:
            await self._stream.aclose()

    return TappedUpload


def _watch_response(http_call: HttpCall, response: Any, stream_class: Any) -> None:
    """Record the head of a response, and tap its stream if the body is to be read."""
    version = response.extensions.get("http_version", b"HTTP/1.1").decode("ascii", "replace")
    body = http_call.begin_response(
        response.status_code, response.headers.raw, version.replace("HTTP/", "")
    )
    if body is not None:
        response.stream = stream_class(response.stream, body)


class _TappedStream:
    """Stands in for the stream of a response, and feeds a body with the bytes that pass."""

    def __init__(self, stream: Any, body: ResponseBody) -> None:
        self._stream = stream
        self._body = body

    def __del__(self) -> None:
        self._body.end("dropped")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _make_stream_class(module: Any) -> Any:
    class TappedStream(_TappedStream, module.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            body = self._body
            feed = body.feed
            try:
                for chunk in self._stream:
                    feed(chunk)
                    yield chunk
            except Exception as error:
                body.end("error", error)
                raise
            except BaseException:  # the program reads no further, or was cancelled
                body.end("closed")
                raise
            body.end("complete")

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                self._body.end("closed")

    return TappedStream


def _make_async_stream_class(module: Any) -> Any:
    class TappedStream(_TappedStream, module.AsyncByteStream):  # type: ignore[misc]
        def __aiter__(self) -> AsyncIterator[bytes]:
            return _TappedBodyIterator(self._stream.__aiter__(), self)

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                self._body.end("closed")

    return TappedStream


class _TappedIterator:
    """Stands in for an asynchronous iterator, and shows each of its chunks to a function.

    It is no asynchronous generator. The event loop closes a generator that the program leaves in
    the middle, and the generator below it one turn later; a generator in between would delay the
    client's own. `__class__` and the other attributes are the iterator's: httpx2 asks whether it is
    a generator, and closes it if so.
    """

    def __init__(self, iterator: Any, on_chunk: Callable[[bytes], object]) -> None:
        self._iterator = iterator
        self._on_chunk = on_chunk

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> bytes:
        chunk: bytes = await self._iterator.__anext__()
        self._on_chunk(chunk)
        return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._iterator, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._iterator)


class _TappedBodyIterator(_TappedIterator):
    """Stands in for the iterator of a response's stream, and ends the body where it ends."""

    def __init__(self, iterator: Any, stream: Any) -> None:
        self._stream = stream  # which must not be collected before the iterator
        self._body = stream._body
        super().__init__(iterator, self._body.feed)

    async def __anext__(self) -> bytes:
        try:
            chunk: bytes = await self._iterator.__anext__()
        except StopAsyncIteration:
            self._body.end("complete")
            raise
        except Exception as error:
            self._body.end("error", error)
            raise
        except BaseException:  # the program was cancelled
            self._body.end("closed")
            raise
        self._on_chunk(chunk)
        return chunk

    def __del__(self) -> None:  # the program reads no further
        self._body.end("closed")
