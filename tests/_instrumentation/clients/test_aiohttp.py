"""aiohttp: a recorder response's content shows its bytes, and is a StreamReader all the same."""

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
    """The library with wrapped classes, under a name of its own."""
    copy = types.SimpleNamespace(**vars(aiohttp))
    copy.ClientResponse = type("ClientResponse", (aiohttp.ClientResponse,), {})
    copy.ClientSession = type("ClientSession", (), {"__init__": lambda _: None})
    adapter.wrap_client(copy, recorder.activation)
    return copy


@pytest.fixture
def call(library, recorder, server):
    """Has a coroutine function read a recorder response."""

    def call(read, path=PATH, method="POST"):
        return asyncio.run(run(read, server.url + path, method))

    async def run(read, url, method):
        signals = aiohttp.TraceConfig()
        add_receivers(signals, recorder.activation)
        options = {"response_class": library.ClientResponse, "trace_configs": [signals]}
        session = aiohttp.ClientSession(**options)
        async with session, session.request(method, url, data=b"{}") as answer:
            return await read(answer)

    return call


def whole(**query):
    """The body that the server sends."""
    return b"".join(wire.pieces_of(query))


async def read_all(answer):
    return await answer.content.read()


async def read_pieces(answer):
    found = b""
    while not answer.content.at_eof():
        found += await answer.content.read(10)
    return found


async def read_any(answer):
    return b"".join([data async for data in answer.content.iter_any()])


async def read_chunked(answer):
    return b"".join([data async for data in answer.content.iter_chunked(7)])


async def read_chunks(answer):
    return b"".join([data async for data, _ in answer.content.iter_chunks()])


async def read_lines(answer):
    return b"".join([line async for line in answer.content])


async def read_nowait(answer):
    await answer.content.wait_eof()
    return answer.content.read_nowait()


async def read_response(answer):
    return await answer.read()


WAYS = [
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
@pytest.mark.parametrize("way", WAYS)
def test_a_body_is_seen_whole(call, recorder, way, path):
    """Whichever way it is read; then it is complete."""
    body = whole(form="stream") if path == STREAM else whole()
    assert body == call(way, path)
    assert (body, "complete") == recorder.recorded_body


def test_the_request_is_seen(call, recorder, server):
    """Method, URL, headers and body."""
    call(read_all)
    http_call = recorder.http_call
    assert ("POST", server.url + PATH, [b"{}"]) == (
        http_call.method,
        http_call.url,
        http_call.request_body,
    )
    assert "host" in {name.lower() for name, _ in http_call.request_headers}


def test_each_hop_of_a_redirect_begins_anew(call, recorder, server):
    """The last counts."""
    call(read_all, f"{PATH}&redirect=1")
    assert (2, "complete") == (recorder.http_call.attempts, recorder.body.outcome)
    assert "redirected=1" in recorder.http_call.url


def test_a_request_that_is_not_sent_is_known(recorder):
    """By its URL."""
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


def test_content_is_a_make_reader_class(call):
    """With all that one has."""

    async def look(answer):
        content = answer.content
        await content.read()
        return isinstance(content, aiohttp.StreamReader), repr(content), content.total_bytes

    is_reader, text, count = call(look)
    assert (True, len(whole())) == (is_reader, count)
    assert "StreamReader" in text


def test_contents_attributes_can_be_set(call):
    """They are the reader's that aiohttp feeds."""

    async def change(answer):
        answer.content.total_bytes = 5
        return answer.content._lupis_reader.total_bytes

    assert 5 == call(change)


def test_each_public_method_of_a_make_reader_class_is_answered():
    """By ours or by the reader that aiohttp feeds; none by a base that holds nothing."""
    tapped = adapter._make_reader_class(aiohttp)
    names = [
        name
        for name, value in inspect.getmembers(aiohttp.StreamReader, callable)
        if not name.startswith("_") and name not in adapter._BUILT_ON_READS
    ]
    assert names
    assert [] == [name for name in names if name not in vars(tapped)]


def test_another_hosts_content_is_left_alone(call, recorder):
    """It is aiohttp's own."""

    async def look(answer):
        await answer.read()
        return type(answer.content)

    assert aiohttp.StreamReader is call(look, "/data")
    assert None is recorder.body


def test_an_empty_body_is_complete(call, recorder):
    """There is nothing to read."""
    call(read_all, f"{PATH}&status=204")
    assert (b"", "complete") == recorder.recorded_body


def test_a_cancelled_read_may_be_tried_again(call, recorder):
    """Nothing of the body is lost."""

    async def poll(answer):
        found = b""
        while not answer.content.at_eof():
            try:
                found += await asyncio.wait_for(answer.content.readany(), 0.01)
            except asyncio.TimeoutError:
                continue
        return found

    assert whole(form="stream") == call(poll, f"{STREAM}&pause=0.03")
    assert (whole(form="stream"), "complete") == recorder.recorded_body


def test_too_short_a_body_was_complete(call, recorder):
    """The program expected more; what there was it got."""

    async def read(answer):
        with pytest.raises(asyncio.IncompleteReadError) as raised:
            await answer.content.readexactly(10_000)
        return raised.value.partial

    assert whole() == call(read)
    assert (whole(), "complete") == recorder.recorded_body


@pytest.mark.parametrize("way", WAYS)
def test_a_body_that_is_cut_is_an_error(call, recorder, way):
    """The program's own."""
    with pytest.raises(aiohttp.ClientPayloadError):
        call(way, f"{PATH}&cut=1")
    assert ("error", "ClientPayloadError") == (recorder.body.outcome, recorder.body.error_type)


def test_leaving_a_response_closes_it(call, recorder):
    """With the rest unread."""

    async def leave(answer):
        return await answer.content.readline()

    line = call(leave, f"{STREAM}&pause=0.05")
    assert (line, "closed") == (recorder.recorded_body[0][: len(line)], recorder.body.outcome)


def test_a_new_session_opens_the_gate(library, recorder):
    """Upstream's instrumentor reaches only sessions made after it."""
    assert 0 == recorder.activations
    library.ClientSession()
    library.ClientSession()
    assert 1 == recorder.activations


def test_a_body_that_is_read_whole_is_seen_as_it_comes(call, recorder):
    """When the first of it came is of interest."""
    assert whole(form="stream") == call(read_all, f"{STREAM}&pause=0.02")
    assert recorder.body.piece_count > 1
