"""aiohttp: upstream's instrumentor around new sessions; a response's `content` shows us its bytes.

The instrumentor reaches only sessions made after it, so the gate opens with the first session.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Callable

from lupis_instrument._diagnostics import guarded
from lupis_instrument._instrumentation.clients.aiohttp_signals import find, listen, marker
from lupis_instrument._instrumentation.wrapping import wrap_method

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._tracing.http_call import HttpCall, ResponseBody


def attach(module: ModuleType, activation: Activation) -> None:
    """Wrap session and response of aiohttp and open `activation` at the first session."""
    _attach_session(module, activation)
    _attach_response(module, activation)


def instrument(provider: Any, activation: Activation) -> None:
    """Lay upstream's instrumentor around the client."""
    import aiohttp
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor

    from lupis_instrument._instrumentation.upstream import switch_on

    options = {"trace_configs": [marker(aiohttp)]}
    switch_on(AioHttpClientInstrumentor, provider, activation.wrappers, **options)


def _attach_session(module: ModuleType, activation: Activation) -> None:
    original = module.ClientSession.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        guarded("following an aiohttp session", _follow, activation, kwargs.get("trace_configs"))
        original(self, *args, **kwargs)

    wrap_method(activation, module.ClientSession, "__init__", init)


def _follow(activation: Activation, configs: Any) -> None:
    config = find(configs) if isinstance(configs, list) else None
    if config is not None:
        listen(config, activation)


def _attach_response(module: ModuleType, activation: Activation) -> None:
    response = module.ClientResponse
    original = response.start
    tapped = _stream_reader(module)

    @functools.wraps(original)
    async def start(self: Any, *args: Any, **kwargs: Any) -> Any:
        http_call = activation.http_call()
        result = await original(self, *args, **kwargs)
        if http_call is not None:
            guarded("watching an aiohttp response", _response, http_call, self, tapped)
        return result

    response.start = start


def _response(http_call: HttpCall, response: Any, tapped: Any) -> None:
    version = f"{response.version.major}.{response.version.minor}" if response.version else None
    headers = list(response.headers.items())
    # aiohttp decodes below `content`; a session told not to is left with what the bytes tell.
    body = http_call.begin_response(response.status, headers, version, decoded=True)
    if body is None:
        return
    if response.content.at_eof():
        body.end("complete")
    else:
        response.content = tapped(response.content, body)


_READ_LATER = ("readany", "readexactly", "readline", "readuntil", "wait_eof")


def _stream_reader(module: Any) -> Any:  # noqa: C901 - one class, whose methods are short
    """Return the class that stands in for a response's `StreamReader`.

    It is one too, but holds nothing: whatever it has no own answer for, it asks the reader that
    aiohttp's parser feeds.
    """
    read_some = _read_later("read")

    class TappedStreamReader(module.StreamReader):  # type: ignore[misc]
        """A response's content that shows its bytes to us as they are read."""

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
            _seen(reader, body, data)
            return data, last

        async def read(self, n: int = -1) -> Any:
            # All of it is read by pieces, and when the first came is of interest.
            whole = module.StreamReader.read
            return await (whole(self, n) if n < 0 else read_some(self, n))

        def read_nowait(self, *args: Any) -> Any:
            reader, body = self._lupis_reader, self._lupis_body
            try:
                data = reader.read_nowait(*args)
            except Exception as error:
                body.end("error", error)
                raise
            _seen(reader, body, data)
            return data

        def set_exception(self, *args: Any, **kwargs: Any) -> None:
            # aiohttp tells a reader so when its response is closed or released.
            self._lupis_reader.set_exception(*args, **kwargs)
            self._lupis_body.end("closed")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._lupis_reader, name)

        def __repr__(self) -> str:
            return repr(self._lupis_reader)

        def __del__(self) -> None:
            self._lupis_body.end("dropped")

    for name in _READ_LATER:
        if hasattr(module.StreamReader, name):
            setattr(TappedStreamReader, name, _read_later(name))
    for name, value in _handed_on(module.StreamReader, TappedStreamReader):
        setattr(TappedStreamReader, name, _hand_on(name) if callable(value) else _share(name))
    return TappedStreamReader


def _read_later(name: str) -> Callable[..., Any]:
    async def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        reader, body = self._lupis_reader, self._lupis_body
        try:
            data = await getattr(reader, name)(*args, **kwargs)
        except asyncio.IncompleteReadError as error:
            _seen(reader, body, error.partial)
            raise
        except Exception as error:  # a read that is cancelled may be tried again
            body.end("error", error)
            raise
        _seen(reader, body, data)
        return data

    read.__name__ = name
    return read


def _seen(reader: Any, body: ResponseBody, data: bytes) -> None:
    if data:
        body.feed(data)
    if reader.at_eof():
        body.end("complete")


_THROUGH_READS = ("iter_any", "iter_chunked", "iter_chunks")
"""Built on the reads above, so they must run on the stand-in itself."""


def _handed_on(reader: Any, standin: Any) -> list[tuple[str, Any]]:
    return [
        (name, value)
        for name, value in vars(reader).items()
        if not name.startswith("__") and name not in (*vars(standin), *_THROUGH_READS)
    ]


def _hand_on(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._lupis_reader, name)(*args, **kwargs)

    method.__name__ = name
    return method


def _share(name: str) -> Any:
    """Return the property that reads and writes the attribute `name` of the reader."""
    return property(
        lambda self: getattr(self._lupis_reader, name),
        lambda self, value: setattr(self._lupis_reader, name, value),
    )
