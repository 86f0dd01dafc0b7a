"""aiohttp: the content of a response is recorded as it is read, and stays a `StreamReader`."""

import asyncio
import inspect
import types

import pytest
from servers import wire

from lupis_instrument._instrumentation.clients import aiohttp as adapter
from lupis_instrument._instrumentation.clients.aiohttp_signals import add_receivers

aiohttp = pytest.importorskip("aiohttp")

PATH = "/v1/chat/completions?case=unit"
STREAM = f"{PATH}&form=stream&framing=chunked"


@pytest.fixture
def library(recorder):
    """A copy of the library with wrapped classes, so that no others are wrapped."""
    copy = types.SimpleNamespace(**vars(aiohttp))
    copy.ClientResponse = type("ClientResponse", (aiohttp.ClientResponse,), {})
    copy.ClientSession = type("ClientSession", (), {"__init__": lambda _: None})
    adapter.wrap_client(copy, recorder.activation)
    return copy


@pytest.fixture
def call(library, recorder, server):
    """Makes a request, and returns the result of a coroutine function that gets the response."""

    def call(read, path=PATH, method="POST"):
        return asyncio.run(run(read, server.url + path, method))

    async def run(read, url, method):
        signals = aiohttp.TraceConfig()
        add_receivers(signals, recorder.activation)
        options = {"response_class": library.ClientResponse, "trace_configs": [signals]}
        session = aiohttp.ClientSession(**options)
        async with session, session.request(method, url, data=b"{}") as response:
            return await read(response)

    return call


def expected_body(**query):
    """Return the body that the server sends."""
    return b"".join(wire.build_pieces(query))


async def read_all(response):
    return await response.content.read()


async def read_pieces(response):
    body = b""
    while not response.content.at_eof():
        body += await response.content.read(10)
    return body


async def read_any(response):
    return b"".join([data async for data in response.content.iter_any()])


async def read_chunked(response):
    return b"".join([data async for data in response.content.iter_chunked(7)])


async def read_chunks(response):
    return b"".join([data async for data, _ in response.content.iter_chunks()])


async def read_lines(response):
    return b"".join([line async for line in response.content])


async def read_nowait(response):
    await response.content.wait_eof()
    return response.content.read_nowait()


async def read_response(response):
    return await response.read()


READERS = [
    read_all,
    read_pieces,
    read_any,
    read_chunked,
    read_chunks,
    read_lines,
    read_nowait,
    read_response,
]


@pytest.mark.parametrize("path", [PATH, STREAM])
@pytest.mark.parametrize("read", READERS)
def test_body_is_recorded_to_its_end(call, recorder, read, path):
    """Every kind of read records each byte once."""
    body = expected_body(form="stream") if path == STREAM else expected_body()
    assert body == call(read, path)
    assert (body, "complete") == recorder.recorded_body


def test_request_is_recorded(call, recorder, server):
    """Method, URL, headers and body are recorded."""
    call(read_all)
    http_call = recorder.http_call
    assert ("POST", server.url + PATH, [b"{}"]) == (
        http_call.method,
        http_call.url,
        http_call.request_body,
    )
    assert "host" in {name.lower() for name, _ in http_call.request_headers}


def test_redirected_request_is_recorded_anew(call, recorder, server):
    """The last request and its response count."""
    call(read_all, f"{PATH}&redirect=1")
    assert (2, "complete") == (recorder.http_call.attempts, recorder.body.outcome)
    assert "redirected=1" in recorder.http_call.url


def test_unsent_request_is_recorded(recorder):
    """Its URL tells the API."""
    url = "http://127.0.0.1:9/v1/chat/completions"

    async def call():
        signals = aiohttp.TraceConfig()
        add_receivers(signals, recorder.activation)
        async with aiohttp.ClientSession(trace_configs=[signals]) as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.post(url)

    asyncio.run(call())
    assert (url, 1, "chat") == (
        recorder.http_call.url,
        recorder.http_call.attempts,
        recorder.http_call.endpoint.operation,
    )


def test_content_is_a_stream_reader(call):
    """It has the attributes of the reader that aiohttp feeds."""

    async def look(response):
        content = response.content
        await content.read()
        return isinstance(content, aiohttp.StreamReader), repr(content), content.total_bytes

    is_reader, text, count = call(look)
    assert (True, len(expected_body())) == (is_reader, count)
    assert "StreamReader" in text


def test_attributes_of_the_content_can_be_set(call):
    """They are set on the reader that aiohttp feeds."""

    async def change(response):
        response.content.total_bytes = 5
        return response.content._lupis_reader.total_bytes

    assert 5 == call(change)


def test_every_public_method_of_a_stream_reader_is_overridden():
    """The inherited methods would work on an empty reader."""
    tapped = adapter._make_reader_class(aiohttp)
    names = [
        name
        for name, value in inspect.getmembers(aiohttp.StreamReader, callable)
        if not name.startswith("_") and name not in adapter._BUILT_ON_READS
    ]
    assert names
    assert [] == [name for name in names if name not in vars(tapped)]


def test_response_of_another_api_is_not_tapped(call, recorder):
    """Its content is aiohttp's own."""

    async def look(response):
        await response.read()
        return type(response.content)

    assert aiohttp.StreamReader is call(look, "/data")
    assert None is recorder.body


def test_empty_body_is_complete(call, recorder):
    """There is nothing to read."""
    call(read_all, f"{PATH}&status=204")
    assert (b"", "complete") == recorder.recorded_body


def test_cancelled_read_can_be_repeated(call, recorder):
    """No byte of the body is lost."""

    async def poll(response):
        body = b""
        while not response.content.at_eof():
            try:
                body += await asyncio.wait_for(response.content.readany(), 0.01)
            except asyncio.TimeoutError:
                continue
        return body

    assert expected_body(form="stream") == call(poll, f"{STREAM}&pause=0.03")
    assert (expected_body(form="stream"), "complete") == recorder.recorded_body


def test_body_shorter_than_the_read_is_complete(call, recorder):
    """The program asked for more bytes than there are, and gets all there are."""

    async def read(response):
        with pytest.raises(asyncio.IncompleteReadError) as raised:
            await response.content.readexactly(10_000)
        return raised.value.partial

    assert expected_body() == call(read)
    assert (expected_body(), "complete") == recorder.recorded_body


@pytest.mark.parametrize("read", READERS)
def test_truncated_body_is_an_error(call, recorder, read):
    """The program gets the client's exception."""
    with pytest.raises(aiohttp.ClientPayloadError):
        call(read, f"{PATH}&cut=1")
    assert ("error", "ClientPayloadError") == (recorder.body.outcome, recorder.body.error_type)


def test_leaving_a_response_closes_its_body(call, recorder):
    """The program has read one line only."""

    async def read_line(response):
        return await response.content.readline()

    line = call(read_line, f"{STREAM}&pause=0.05")
    assert (line, "closed") == (recorder.recorded_body[0][: len(line)], recorder.body.outcome)


def test_first_session_activates_the_client(library, recorder):
    """Upstream's instrumentor reaches only sessions that are made after it."""
    assert 0 == recorder.activations
    library.ClientSession()
    library.ClientSession()
    assert 1 == recorder.activations


def test_body_is_recorded_as_it_comes(call, recorder):
    """A read of the whole body records each piece, so that the time of the first one is known."""
    assert expected_body(form="stream") == call(read_all, f"{STREAM}&pause=0.02")
    assert recorder.body.reader.chunk_count > 1
