"""httpx and httpx2: the streams of recorder responses show their bytes."""

import asyncio
import gc
import importlib
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
    """The library, under a name of its own so that nobody else's transports are wrapped."""
    library = pytest.importorskip(request.param)
    copy = types.SimpleNamespace(**vars(library))
    for name in NAMES:
        setattr(copy, name, type(name, (getattr(library, name),), {}))
    return copy


@pytest.fixture
def client(httpx, recorder):
    """A client whose transport is wrapped."""
    wrap_client(httpx, recorder.activation)
    with httpx.Client(transport=httpx.HTTPTransport()) as each:
        yield each


def whole(**query):
    """The body that the server sends."""
    return b"".join(wire.pieces_of(query))


def test_a_body_is_seen(client, recorder, server):
    """To its end; the gate was opened by the request."""
    answer = client.post(server.url + PATH, json={"model": "m"})
    assert whole() == answer.content
    assert (whole(), "complete", 1) == (*recorder.recorded_body, recorder.activations)


def test_a_stream_is_seen_as_it_is_read(client, recorder, server):
    """Chunk by chunk."""
    with client.stream("POST", server.url + STREAM, json={}) as answer:
        chunks = answer.iter_raw()
        first = next(chunks)
        assert (first, None) == recorder.recorded_body
    assert "closed" == recorder.body.outcome


def test_the_request_is_seen(client, recorder, server):
    """Method, URL, headers and body."""
    client.post(server.url + PATH, content=b"{}", headers={"x-one": "1"})
    http_call = recorder.http_call
    assert ("POST", server.url + PATH, [b"{}"]) == (
        http_call.method,
        http_call.url,
        http_call.request_body,
    )
    assert ("x-one", "1") in http_call.request_headers


def test_a_redirected_requests_body_is_seen(client, recorder, server):
    """It is sent again from its bytes."""
    url = f"{server.url}{PATH}&redirect=1"
    client.post(url, content=b"{}", follow_redirects=True)
    assert (2, [b"{}"]) == (recorder.http_call.attempts, recorder.http_call.request_body)


def test_an_upload_is_seen_as_it_is_sent(client, recorder, server):
    """Once: reading it before would use it up."""
    client.post(server.url + PATH, content=iter([b"{", b"}"]))
    assert ([b"{", b"}"], b"{}") == (recorder.http_call.request_body, server.seen[0][3])


def test_a_form_with_a_file_is_seen(client, recorder, server):
    """The model of a transcription stands in it; the request keeps its own stream."""
    form = {"data": {"model": "whisper-1"}, "files": {"file": b"RIFF" * 9}}
    request = client.build_request("POST", server.url + PATH, **form)
    stream = request.stream
    client.send(request)
    body = b"".join(recorder.http_call.request_body)
    assert b"whisper-1" in body
    assert (body, stream) == (server.seen[0][3], request.stream)


def test_an_upload_that_breaks_is_the_programs(client, recorder, server):
    """Its error is what the program finds."""

    def pieces():
        yield b"{"
        raise KeyError("theirs")

    with pytest.raises(KeyError):
        client.post(server.url + PATH, content=pieces())
    assert [b"{"] == recorder.http_call.request_body


def test_an_asynchronous_upload_is_seen(httpx, recorder, server):
    """The same way."""

    async def pieces():
        yield b"{"
        yield b"}"

    async def upload():
        wrap_client(httpx, recorder.activation)
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport()) as client:
            await client.post(server.url + PATH, content=pieces())

    asyncio.run(upload())
    assert ([b"{", b"}"], b"{}") == (recorder.http_call.request_body, server.seen[0][3])


def test_a_response_of_another_host_is_left_alone(httpx, client, recorder, server):
    """Its stream is the client's own."""
    with client.stream("POST", server.url + "/data") as answer:
        answer.read()
    assert (None, 200) == (recorder.body, recorder.http_call.status)


def test_a_call_that_is_not_recorded_is_left_alone(client, recorder, server):
    """There is no exchange."""
    recorder.recording = False
    assert 200 == client.post(server.url + PATH).status_code
    assert 0 == recorder.http_call.attempts


def test_a_body_that_is_cut_is_an_error(httpx, client, recorder, server):
    """The program's own."""
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(server.url + PATH + "&cut=1")
    assert ("error", "RemoteProtocolError") == (recorder.body.outcome, recorder.body.error_type)


def test_a_response_nobody_holds_is_dropped(httpx, recorder, server):
    """Unread."""
    wrap_client(httpx, recorder.activation)
    transport = httpx.HTTPTransport()
    request = httpx.Request("POST", server.url + PATH)
    response = transport.handle_request(request)
    stream = response.stream
    del response
    assert None is recorder.body.outcome
    transport.close()
    del stream, transport
    gc.collect()
    assert "dropped" == recorder.body.outcome


def test_the_stream_is_of_the_clients_kind(httpx, recorder, server):
    """And has what the client's own has."""
    wrap_client(httpx, recorder.activation)
    with httpx.HTTPTransport() as transport:
        response = transport.handle_request(httpx.Request("POST", server.url + PATH))
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.close()
    assert (b"", "closed") == recorder.recorded_body


async def post(httpx, url):
    """Reads a body in a coroutine."""
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport()) as each:
        return (await each.post(url, json={})).content


def test_an_asynchronous_body_is_seen(httpx, recorder, server):
    """To its end."""
    wrap_client(httpx, recorder.activation)
    assert whole(form="stream") == asyncio.run(post(httpx, server.url + STREAM))
    assert (whole(form="stream"), "complete") == recorder.recorded_body


def test_a_cancelled_read_is_closed(httpx, recorder, server):
    """By the program: nothing went wrong with the call."""
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


@pytest.mark.parametrize("name", [*NAMES, "SyncByteStream", "AsyncByteStream"])
def test_a_library_of_another_build_is_refused(httpx, recorder, name):
    """As httpx 1.0.dev is; nothing is wrapped then."""
    before = httpx.HTTPTransport.handle_request if name != "HTTPTransport" else None
    delattr(httpx, name)
    with pytest.raises(LupisError, match=f"this version has no {name}"):
        wrap_client(httpx, recorder.activation)
    assert [] == recorder.activation.wrappers
    assert before is None or before is httpx.HTTPTransport.handle_request


def test_both_libraries_share_an_adapter():
    """They have the same shape."""
    adapters = [
        importlib.import_module(f"lupis_instrument._instrumentation.clients.{name}")
        for name in ("httpx", "httpx2")
    ]
    assert adapters[0].wrap_client is adapters[1].wrap_client
