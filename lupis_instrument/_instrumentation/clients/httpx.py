"""httpx, and httpx2 which has the same shape: upstream's instrumentor around the transports.

Our wrapper sits inside upstream's, where the response is in hand before the client has bound its
stream, so the stream can be replaced with one that also shows its bytes to us.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, AsyncIterator, Iterator

from lupis_instrument._diagnostics import guarded
from lupis_instrument._instrumentation.wrapping import wrap_async_method, wrap_method
from lupis_instrument.exceptions import LupisError

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._tracing.http_call import HttpCall, ResponseBody

UPSTREAM = "opentelemetry.instrumentation.httpx"


def attach(module: ModuleType, activation: Activation) -> None:
    """Wrap both transports of httpx (or httpx2) and open `activation` at the first request.

    Raises:
        LupisError: this version of the library is built in another way, as httpx 1.0.dev is.
    """
    for name in ("HTTPTransport", "AsyncHTTPTransport", "SyncByteStream", "AsyncByteStream"):
        if not hasattr(module, name):
            raise LupisError(f"this version has no {name}")
    _attach_sync(module, activation)
    _attach_async(module, activation)


def instrument(provider: Any, activation: Activation) -> None:
    """Lay upstream's instrumentor around the client.

    From 0.65b0 on its module is httpx2's too, and imports both.
    """
    from lupis_instrument._instrumentation.upstream import load_without, switch_on

    module = load_without("httpx2", UPSTREAM)
    switch_on(module.HTTPXClientInstrumentor, provider, activation.wrappers)


def _attach_sync(module: ModuleType, activation: Activation) -> None:
    transport = module.HTTPTransport
    original = transport.handle_request
    upload, tapped = _sync_upload(module), _sync_stream(module)

    @functools.wraps(original)
    def handle_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        http_call = activation.http_call()
        if http_call is None:
            return original(self, *args, **kwargs)
        sent = guarded(
            "reading an httpx request", _request, module, http_call, args, kwargs, upload
        )
        try:
            response = original(self, *args, **kwargs)
        finally:
            if sent is not None:
                sent.leave()
        guarded("watching an httpx response", _response, http_call, response, tapped)
        return response

    wrap_method(activation, transport, "handle_request", handle_request)


def _attach_async(module: ModuleType, activation: Activation) -> None:
    transport = module.AsyncHTTPTransport
    original = transport.handle_async_request
    upload, tapped = _async_upload(module), _async_stream(module)

    @functools.wraps(original)
    async def handle_async_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        http_call = activation.http_call()
        if http_call is None:
            return await original(self, *args, **kwargs)
        sent = guarded(
            "reading an httpx request", _request, module, http_call, args, kwargs, upload
        )
        try:
            response = await original(self, *args, **kwargs)
        finally:
            if sent is not None:
                sent.leave()
        guarded("watching an httpx response", _response, http_call, response, tapped)
        return response

    wrap_async_method(activation, transport, "handle_async_request", handle_async_request)


def _request(module: Any, http_call: HttpCall, args: Any, kwargs: Any, upload: Any) -> Any:
    """Read a request; returns what watches its body if that is made while it is sent."""
    request = args[0] if args else kwargs["request"]
    http_call.begin_attempt(request.method, str(request.url))
    http_call.request_headers = request.headers.multi_items()
    if http_call.endpoint is None:
        return None
    try:
        http_call.add_request_data(request.content)
    except module.RequestNotRead:  # reading it here might use it up
        # It is from bytes if the request was redirected.
        if not isinstance(request.stream, module.ByteStream):
            return upload(request, http_call)
        http_call.add_request_data(b"".join(request.stream))
    return None


class _Upload:
    """The stream of a request that shows its bytes to us as the transport sends them."""

    def __init__(self, request: Any, http_call: HttpCall) -> None:
        self._request = request
        self._stream = request.stream
        self._http_call = http_call
        request.stream = self

    def _show(self, chunk: bytes) -> bytes:
        guarded("reading an httpx request", self._http_call.add_request_data, chunk)
        return chunk

    def leave(self) -> None:
        """Give the request its own stream back."""
        self._request.stream = self._stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _sync_upload(module: Any) -> Any:
    class TappedUpload(_Upload, module.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            for chunk in self._stream:
                yield self._show(chunk)

        def close(self) -> None:
            self._stream.close()

    return TappedUpload


def _async_upload(module: Any) -> Any:
    class TappedUpload(_Upload, module.AsyncByteStream):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in self._stream:
                yield self._show(chunk)

        async def aclose(self) -> None:
            await self._stream.aclose()

    return TappedUpload


def _response(http_call: HttpCall, response: Any, tapped: Any) -> None:
    version = response.extensions.get("http_version", b"HTTP/1.1").decode("ascii", "replace")
    body = http_call.begin_response(
        response.status_code, response.headers.multi_items(), version.replace("HTTP/", "")
    )
    if body is not None:
        response.stream = tapped(response.stream, body)


def _sync_stream(module: Any) -> Any:
    class TappedStream(module.SyncByteStream):  # type: ignore[misc]
        """A response's stream that shows its bytes to us as they pass."""

        def __init__(self, stream: Any, body: ResponseBody) -> None:
            self._stream = stream
            self._body = body

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

        def __del__(self) -> None:
            self._body.end("dropped")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

    return TappedStream


def _async_stream(module: Any) -> Any:
    class TappedStream(module.AsyncByteStream):  # type: ignore[misc]
        """A response's stream that shows its bytes to us as they pass."""

        def __init__(self, stream: Any, body: ResponseBody) -> None:
            self._stream = stream
            self._body = body

        async def __aiter__(self) -> AsyncIterator[bytes]:
            body = self._body
            feed = body.feed
            try:
                async for chunk in self._stream:
                    feed(chunk)
                    yield chunk
            except Exception as error:
                body.end("error", error)
                raise
            except BaseException:  # the program reads no further, or was cancelled
                body.end("closed")
                raise
            body.end("complete")

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                self._body.end("closed")

        def __del__(self) -> None:
            self._body.end("dropped")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

    return TappedStream
