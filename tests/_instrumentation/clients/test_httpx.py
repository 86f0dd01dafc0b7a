"""httpx and httpx2: the streams of watched responses show their bytes."""

import asyncio
import gc
import importlib
import types

import pytest
from servers import wire

from lupis_instrument._instrumentation.clients.httpx import attach
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
def client(httpx, watched):
    """A client whose transport is wrapped."""
    attach(httpx, watched.activation)
    with httpx.Client(transport=httpx.HTTPTransport()) as each:
        yield each


def whole(**query):
    """The body that the server sends."""
    return b"".join(wire.pieces_of(query))


def test_a_body_is_seen(client, watched, server):
    """To its end; the gate was opened by the request."""
    answer = client.post(server.url + PATH, json={"model": "m"})
    assert whole() == answer.content
    assert (whole(), "complete", 1) == (*watched.seen, watched.opened)


def test_a_stream_is_seen_as_it_is_read(client, watched, server):
    """Chunk by chunk."""
    with client.stream("POST", server.url + STREAM, json={}) as answer:
        chunks = answer.iter_raw()
        first = next(chunks)
        assert (first, None) == watched.seen
    assert "closed" == watched.body.outcome


def test_the_request_is_seen(client, watched, server):
    """Method, URL, headers and body."""
    client.post(server.url + PATH, content=b"{}", headers={"x-one": "1"})
    http_call = watched.http_call
    assert ("POST", server.url + PATH, [b"{}"]) == (
        http_call.method,
        http_call.url,
        http_call.request_body,
    )
    assert ("x-one", "1") in http_call.request_headers


def test_a_redirected_requests_body_is_seen(client, watched, server):
    """It is sent again from its bytes."""
    url = f"{server.url}{PATH}&redirect=1"
    client.post(url, content=b"{}", follow_redirects=True)
    assert (2, [b"{}"]) == (watched.http_call.attempts, watched.http_call.request_body)


def test_an_upload_is_seen_as_it_is_sent(client, watched, server):
    """Once: reading it before would use it up."""
    client.post(server.url + PATH, content=iter([b"{", b"}"]))
    assert ([b"{", b"}"], b"{}") == (watched.http_call.request_body, server.seen[0][3])


def test_a_form_with_a_file_is_seen(client, watched, server):
    """The model of a transcription stands in it; the request keeps its own stream."""
    form = {"data": {"model": "whisper-1"}, "files": {"file": b"RIFF" * 9}}
    request = client.build_request("POST", server.url + PATH, **form)
    stream = request.stream
    client.send(request)
    body = b"".join(watched.http_call.request_body)
    assert b"whisper-1" in body
    assert (body, stream) == (server.seen[0][3], request.stream)


def test_an_upload_that_breaks_is_the_programs(client, watched, server):
    """Its error is what the program finds."""

    def pieces():
        yield b"{"
        raise KeyError("theirs")

    with pytest.raises(KeyError):
        client.post(server.url + PATH, content=pieces())
    assert [b"{"] == watched.http_call.request_body


def test_an_asynchronous_upload_is_seen(httpx, watched, server):
    """The same way."""

    async def pieces():
        yield b"{"
        yield b"}"

    async def upload():
        attach(httpx, watched.activation)
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport()) as client:
            await client.post(server.url + PATH, content=pieces())

    asyncio.run(upload())
    assert ([b"{", b"}"], b"{}") == (watched.http_call.request_body, server.seen[0][3])


def test_a_response_of_another_host_is_left_alone(httpx, client, watched, server):
    """Its stream is the client's own."""
    with client.stream("POST", server.url + "/data") as answer:
        answer.read()
    assert (None, 200) == (watched.body, watched.http_call.status)


def test_a_call_that_is_not_recorded_is_left_alone(client, watched, server):
    """There is no exchange."""
    watched.calls.current = lambda: None
    assert 200 == client.post(server.url + PATH).status_code
    assert 0 == watched.http_call.attempts


def test_a_body_that_is_cut_is_an_error(httpx, client, watched, server):
    """The program's own."""
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(server.url + PATH + "&cut=1")
    assert ("error", "RemoteProtocolError") == (watched.body.outcome, watched.body.error_type)


def test_a_response_nobody_holds_is_dropped(httpx, watched, server):
    """Unread."""
    attach(httpx, watched.activation)
    transport = httpx.HTTPTransport()
    request = httpx.Request("POST", server.url + PATH)
    response = transport.handle_request(request)
    stream = response.stream
    del response
    assert None is watched.body.outcome
    transport.close()
    del stream, transport
    gc.collect()
    assert "dropped" == watched.body.outcome


def test_the_stream_is_of_the_clients_kind(httpx, watched, server):
    """And has what the client's own has."""
    attach(httpx, watched.activation)
    with httpx.HTTPTransport() as transport:
        response = transport.handle_request(httpx.Request("POST", server.url + PATH))
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.close()
    assert (b"", "closed") == watched.seen


async def post(httpx, url):
    """Reads a body in a coroutine."""
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport()) as each:
        return (await each.post(url, json={})).content


def test_an_asynchronous_body_is_seen(httpx, watched, server):
    """To its end."""
    attach(httpx, watched.activation)
    assert whole(form="stream") == asyncio.run(post(httpx, server.url + STREAM))
    assert (whole(form="stream"), "complete") == watched.seen


def test_a_cancelled_read_is_closed(httpx, watched, server):
    """By the program: nothing went wrong with the call."""
    attach(httpx, watched.activation)

    async def cancel():
        task = asyncio.ensure_future(post(httpx, f"{server.url}{STREAM}&hang=1"))
        while watched.body is None or not watched.body.chunks:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert ("closed", None) == (watched.body.outcome, watched.body.error_type)


@pytest.mark.parametrize("name", [*NAMES, "SyncByteStream", "AsyncByteStream"])
def test_a_library_of_another_build_is_refused(httpx, watched, name):
    """As httpx 1.0.dev is; nothing is wrapped then."""
    before = httpx.HTTPTransport.handle_request if name != "HTTPTransport" else None
    delattr(httpx, name)
    with pytest.raises(LupisError, match=f"this version has no {name}"):
        attach(httpx, watched.activation)
    assert [] == watched.activation.wrappers
    assert before is None or before is httpx.HTTPTransport.handle_request


def test_both_libraries_share_an_adapter():
    """They have the same shape."""
    adapters = [
        importlib.import_module(f"lupis_instrument._instrumentation.clients.{name}")
        for name in ("httpx", "httpx2")
    ]
    assert adapters[0].attach is adapters[1].attach
