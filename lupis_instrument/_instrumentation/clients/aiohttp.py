"""aiohttp: upstream's instrumentor around new sessions; a tap on the content of responses.

Upstream's instrumentor reaches only sessions that are made after it, so the first session activates
it, not the first request.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Callable

from lupis_instrument._diagnostics import internal_errors, report_fault
from lupis_instrument._instrumentation.clients.aiohttp_signals import (
    TraceConfigs,
    add_receivers,
    make_marker,
    take_config,
)
from lupis_instrument._instrumentation.wrapping import wrap_method

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._tracing.http_call import HttpCall, ResponseBody


def wrap_client(module: ModuleType, activation: Activation) -> None:
    """Wrap the session and the response of aiohttp."""
    _wrap_session(module, activation)
    _wrap_response(module, activation)


def instrument_client(provider: Any, activation: Activation) -> None:
    """Put upstream's instrumentor behind the wrapper, with a marker for the config that it adds."""
    import aiohttp
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor

    from lupis_instrument._instrumentation.upstream import switch_on

    options = {"trace_configs": [make_marker(aiohttp)]}
    switch_on(AioHttpClientInstrumentor, provider, activation.wrappers, **options)


def _wrap_session(module: ModuleType, activation: Activation) -> None:
    original = module.ClientSession.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        with internal_errors("following an aiohttp session"):
            _follow_session(activation, kwargs)
        original(self, *args, **kwargs)

    wrap_method(activation, module.ClientSession, "__init__", init)


def _follow_session(activation: Activation, options: dict[str, Any]) -> None:
    configs = options.get("trace_configs")
    if not isinstance(configs, list):
        return
    config = take_config(configs)
    if config is not None:
        options["trace_configs"] = TraceConfigs(configs, config)
        add_receivers(config, activation)


def _wrap_response(module: ModuleType, activation: Activation) -> None:
    response_class = module.ClientResponse
    original = response_class.start
    reader_class = _make_reader_class(module)

    @functools.wraps(original)
    async def start(self: Any, *args: Any, **kwargs: Any) -> Any:
        http_call = activation.current_call()
        result = await original(self, *args, **kwargs)
        if http_call is not None:
            try:
                _watch_response(http_call, self, reader_class)
            except Exception as fault:
                report_fault("watching an aiohttp response", fault)
        return result

    response_class.start = start


def _watch_response(http_call: HttpCall, response: Any, reader_class: Any) -> None:
    """Record the head of a response, and tap its content if the body is to be read."""
    version = f"{response.version.major}.{response.version.minor}" if response.version else None
    headers = list(response.headers.items())
    # aiohttp decodes before `content`. A session that is told not to decode gets encoded bytes, and
    # the reader of the body recognises them.
    body = http_call.begin_response(response.status, headers, version, decoded=True)
    if body is None:
        return
    if response.content.at_eof():
        body.end("complete")
    else:
        response.content = reader_class(response.content, body)


_ASYNC_READS = ("readany", "readexactly", "readline", "readuntil", "wait_eof")


def _make_reader_class(module: Any) -> Any:  # noqa: C901 - one class, whose methods are short
    """Return the class that stands in for a response's `StreamReader`.

    It is a `StreamReader` too, but holds no data: every call that it does not handle itself goes to
    the reader that aiohttp's parser feeds.
    """
    read_some = _make_async_read("read")

    class TappedStreamReader(module.StreamReader):  # type: ignore[misc]
        """A response's content, which feeds a body with the bytes that are read."""

        __slots__ = ("_lupis_body", "_lupis_reader")

        def __init__(self, reader: Any, body: ResponseBody) -> None:
            self._lupis_reader = reader
            self._lupis_body = body

        async def readchunk(self) -> Any:
            reader, body = self._lupis_reader, self._lupis_body
            try:
                data, last = await reader.readchunk()
            except Exception as error:
                body.end("error", error)
                raise
            _feed_body(reader, body, data)
            return data, last

        async def read(self, n: int = -1) -> Any:
            # To read everything, StreamReader.read calls readany of this object again and again. So
            # the time of the first piece is known.
            read_everything = module.StreamReader.read
            return await (read_everything(self, n) if n < 0 else read_some(self, n))

        def read_nowait(self, *args: Any) -> Any:
            reader, body = self._lupis_reader, self._lupis_body
            try:
                data = reader.read_nowait(*args)
            except Exception as error:
                body.end("error", error)
                raise
            _feed_body(reader, body, data)
            return data

        def set_exception(self, *args: Any, **kwargs: Any) -> None:
            # aiohttp calls this when the response is closed or released.
            self._lupis_reader.set_exception(*args, **kwargs)
            self._lupis_body.end("closed")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._lupis_reader, name)

        def __repr__(self) -> str:
            return repr(self._lupis_reader)

        def __del__(self) -> None:
            self._lupis_body.end("dropped")

    for name in _ASYNC_READS:
        if hasattr(module.StreamReader, name):
            setattr(TappedStreamReader, name, _make_async_read(name))
    for name, value in _list_delegated(module.StreamReader, TappedStreamReader):
        delegate = _delegate_method if callable(value) else _delegate_attribute
        setattr(TappedStreamReader, name, delegate(name))
    return TappedStreamReader


def _make_async_read(name: str) -> Callable[..., Any]:
    """Return a method that calls the reader's method `name` and feeds the body with its result."""

    async def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        reader, body = self._lupis_reader, self._lupis_body
        try:
            data = await getattr(reader, name)(*args, **kwargs)
        except asyncio.IncompleteReadError as error:
            _feed_body(reader, body, error.partial)
            raise
        except Exception as error:  # a cancelled read may be repeated, and ends no body
            body.end("error", error)
            raise
        _feed_body(reader, body, data)
        return data

    read.__name__ = name
    return read


def _feed_body(reader: Any, body: ResponseBody, data: bytes) -> None:
    if data:
        body.feed(data)
    if reader.at_eof():
        body.end("complete")


_BUILT_ON_READS = ("iter_any", "iter_chunked", "iter_chunks")
"""Methods that call the reads above, so they must run on the stand-in itself."""


def _list_delegated(reader_class: Any, tapped_class: Any) -> list[tuple[str, Any]]:
    """Return the members of `StreamReader`, by name, that the stand-in has not defined itself."""
    return [
        (name, value)
        for name, value in vars(reader_class).items()
        if not name.startswith("__") and name not in (*vars(tapped_class), *_BUILT_ON_READS)
    ]


def _delegate_method(name: str) -> Callable[..., Any]:
    """Return a method that calls the reader's method `name`."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._lupis_reader, name)(*args, **kwargs)

    method.__name__ = name
    return method


def _delegate_attribute(name: str) -> Any:
    """Return a property that reads and writes the reader's attribute `name`."""
    return property(
        lambda self: getattr(self._lupis_reader, name),
        lambda self, value: setattr(self._lupis_reader, name, value),
    )
