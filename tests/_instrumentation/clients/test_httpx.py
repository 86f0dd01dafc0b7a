"""httpx and httpx2: the streams of requests and responses are recorded as they are read."""

import asyncio
import contextlib
import functools
import gc
import importlib
import inspect
import types

import pytest
from servers import wire

from lupis_instrument._instrumentation.clients.httpx import wrap_client
from lupis_instrument.exceptions import LupisError

NAMES = ("HTTPTransport", "AsyncHTTPTransport")
PATH = "/v1/chat/completions?case=unit"
STREAM = f"{PATH}&form=stream&framing=chunked"


@pytest.fixture(params=["httpx", "httpx2"])
def httpx(request):
    """The library, with transport classes of its own, so that no others are wrapped."""
    library = pytest.importorskip(request.param)
    copy = types.SimpleNamespace(**vars(library))
    for name in NAMES:
        setattr(copy, name, type(name, (getattr(library, name),), {}))
    return copy


@pytest.fixture
def client(httpx, recorder):
    """A client whose transport is wrapped."""
    wrap_client(httpx, recorder.activation)
    with httpx.Client(transport=httpx.HTTPTransport()) as wrapped_client:
        yield wrapped_client


def expected_body(**query):
    """Return the body that the server sends."""
    return b"".join(wire.build_pieces(query))


def test_body_is_recorded(client, recorder, server):
    """The request has activated the client."""
    response = client.post(server.url + PATH, json={"model": "m"})
    assert expected_body() == response.content
    assert (expected_body(), "complete", 1) == (*recorder.recorded_body, recorder.activations)


def test_stream_is_recorded_as_it_is_read(client, recorder, server):
    """Each chunk is recorded when the program gets it."""
    with client.stream("POST", server.url + STREAM, json={}) as response:
        chunks = response.iter_raw()
        first = next(chunks)
        assert (first, None) == recorder.recorded_body
    assert "closed" == recorder.body.outcome


def test_request_is_recorded(client, recorder, server):
    """Method, URL, headers and body are recorded."""
    client.post(server.url + PATH, content=b"{}", headers={"x-one": "1"})
    http_call = recorder.http_call
    assert ("POST", server.url + PATH, [b"{}"]) == (
        http_call.method,
        http_call.url,
        http_call.request_body,
    )
    assert ("x-one", "1") in http_call.read_request_headers()


def test_body_of_a_redirected_request_is_recorded(client, recorder, server):
    """It is sent again from its bytes."""
    url = f"{server.url}{PATH}&redirect=1"
    client.post(url, content=b"{}", follow_redirects=True)
    assert (2, [b"{}"]) == (recorder.http_call.attempts, recorder.http_call.request_body)


def test_upload_is_recorded_as_it_is_sent(client, recorder, server):
    """An iterator can be read only once, and the transport reads it."""
    client.post(server.url + PATH, content=iter([b"{", b"}"]))
    assert ([b"{", b"}"], b"{}") == (recorder.http_call.request_body, server.seen[0][3])


def test_form_with_a_file_is_recorded(client, recorder, server):
    """It names the model of a transcription; the request gets its own stream back."""
    form = {"data": {"model": "whisper-1"}, "files": {"file": b"RIFF" * 9}}
    request = client.build_request("POST", server.url + PATH, **form)
    stream = request.stream
    client.send(request)
    body = b"".join(recorder.http_call.request_body)
    assert b"whisper-1" in body
    assert (body, stream) == (server.seen[0][3], request.stream)


def test_error_of_an_upload_reaches_the_program(client, recorder, server):
    """The chunks before the error are recorded."""

    def pieces():
        yield b"{"
        raise KeyError("program's")

    with pytest.raises(KeyError):
        client.post(server.url + PATH, content=pieces())
    assert [b"{"] == recorder.http_call.request_body


def test_asynchronous_upload_is_recorded(httpx, recorder, server):
    """The transport reads the asynchronous iterator once."""

    async def pieces():
        yield b"{"
        yield b"}"

    async def upload():
        wrap_client(httpx, recorder.activation)
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport()) as client:
            await client.post(server.url + PATH, content=pieces())

    asyncio.run(upload())
    assert ([b"{", b"}"], b"{}") == (recorder.http_call.request_body, server.seen[0][3])


def test_response_of_another_api_is_not_tapped(httpx, client, recorder, server):
    """Its stream is the client's own, and its status is recorded."""
    with client.stream("POST", server.url + "/data") as response:
        response.read()
    assert (None, 200) == (recorder.body, recorder.http_call.status)


def test_unrecorded_request_is_not_read(client, recorder, server):
    """There is no HTTP call to fill."""
    recorder.recording = False
    assert 200 == client.post(server.url + PATH).status_code
    assert 0 == recorder.http_call.attempts


def test_truncated_body_is_an_error(httpx, client, recorder, server):
    """The program gets the client's exception."""
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(server.url + PATH + "&cut=1")
    assert ("error", "RemoteProtocolError") == (recorder.body.outcome, recorder.body.error_type)


def test_unreferenced_response_is_dropped(httpx, recorder, server):
    """The program has not read its body."""
    wrap_client(httpx, recorder.activation)
    transport = httpx.HTTPTransport()
    request = httpx.Request("POST", server.url + PATH)
    response = transport.handle_request(request)
    stream = response.stream
    del response
    assert None is recorder.body.outcome
    with contextlib.suppress(RuntimeError):  # before httpcore 0.17 while a response is open
        transport.close()
    del stream, transport
    gc.collect()
    assert "dropped" == recorder.body.outcome


def test_tapped_stream_is_a_stream_of_the_client(httpx, recorder, server):
    """It is an instance of the client's class of streams."""
    wrap_client(httpx, recorder.activation)
    with httpx.HTTPTransport() as transport:
        response = transport.handle_request(httpx.Request("POST", server.url + PATH))
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.close()
    assert (b"", "closed") == recorder.recorded_body


async def post(httpx, url):
    """Return the body of the response to a request, made in a coroutine."""
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport()) as client:
        return (await client.post(url, json={})).content


def test_asynchronous_body_is_recorded(httpx, recorder, server):
    """The body is recorded to its end."""
    wrap_client(httpx, recorder.activation)
    assert expected_body(form="stream") == asyncio.run(post(httpx, server.url + STREAM))
    assert (expected_body(form="stream"), "complete") == recorder.recorded_body


def test_cancelled_read_closes_the_body(httpx, recorder, server):
    """The program cancelled it, so the call has not failed."""
    wrap_client(httpx, recorder.activation)

    async def cancel():
        task = asyncio.ensure_future(post(httpx, f"{server.url}{STREAM}&hang=1"))
        while recorder.body is None or not recorder.body.chunk_count:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert ("closed", None) == (recorder.body.outcome, recorder.body.error_type)


class TestAsynchronousIterator:
    """The iterator of a response whose stream is a generator of the client."""

    @pytest.fixture
    def closed(self):
        """A list that is empty until the client's generator is closed."""
        return []

    @pytest.fixture
    def respond(self, httpx, recorder, closed):
        """A coroutine function that returns a response of the transport."""

        class Stream(httpx.AsyncByteStream):
            async def __aiter__(self):
                try:
                    yield b"{"
                    yield b"}"
                finally:
                    closed.append(True)

        async def handle_async_request(_self, _request):
            return httpx.Response(200, stream=Stream())

        httpx.AsyncHTTPTransport.handle_async_request = handle_async_request
        wrap_client(httpx, recorder.activation)
        request = httpx.Request("POST", "http://127.0.0.1" + PATH)
        return functools.partial(httpx.AsyncHTTPTransport().handle_async_request, request)

    def count_turns(self, respond, closed):
        """Return how many turns of the loop it takes to close a generator that nobody reads on."""

        async def leave_body():
            async for _ in (await respond()).stream:
                break
            turns = 0
            while not closed:
                turns += 1
                await asyncio.sleep(0)
            closed.clear()
            return turns

        return asyncio.run(leave_body())

    def test_generator_that_is_left_closes_as_early_as_without_tap(self, respond, recorder, closed):
        """A second generator around it would delay it."""
        tapped = self.count_turns(respond, closed)
        assert "closed" == recorder.body.outcome
        recorder.recording = False
        assert self.count_turns(respond, closed) == tapped

    def test_iterator_is_a_generator_like_the_clients(self, respond):
        """httpx2 closes the iterator of a body if it is one."""

        async def close():
            iterator = (await respond()).stream.__aiter__()
            is_generator = inspect.isasyncgen(iterator)
            await iterator.aclose()
            return is_generator, [chunk async for chunk in iterator]

        assert (True, []) == asyncio.run(close())


@pytest.mark.parametrize("name", [*NAMES, "SyncByteStream", "AsyncByteStream"])
def test_library_with_other_classes_is_refused(httpx, recorder, name):
    """The classes of httpx 1.0.dev differ; none of them is wrapped."""
    before = httpx.HTTPTransport.handle_request if name != "HTTPTransport" else None
    delattr(httpx, name)
    with pytest.raises(LupisError, match=f"this version has no {name}"):
        wrap_client(httpx, recorder.activation)
    assert [] == recorder.activation.wrappers
    assert before is None or before is httpx.HTTPTransport.handle_request


def test_both_libraries_share_a_wrapper():
    """They have the same classes."""
    adapters = [
        importlib.import_module(f"lupis_instrument._instrumentation.clients.{name}")
        for name in ("httpx", "httpx2")
    ]
    assert adapters[0].wrap_client is adapters[1].wrap_client
