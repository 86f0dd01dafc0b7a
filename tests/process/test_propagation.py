"""With each client, private hosts receive trace headers and public hosts do not."""

import importlib.util

import pytest
from servers import wire
from servers.slow import slow_except

PROGRAM = """
import asyncio, json, socket, sys, urllib.request
from urllib.parse import urlsplit
from lupis_instrument import LupisSDK

client, port = sys.argv[1:3]
BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
real = socket.getaddrinfo

def getaddrinfo(host, *rest, **more):  # every name resolves to this machine
    return real("127.0.0.1", *rest, **more)

socket.getaddrinfo = getaddrinfo

def use_requests(url):
    import requests
    requests.post(url, json=BODY, timeout=60).json()

def use_urllib3(url):
    import urllib3
    urllib3.PoolManager().request("POST", url, body=json.dumps(BODY)).data

def use_urllib(url):
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(BODY).encode()), timeout=60).read()

def use_http_client(url):
    import http.client
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.request("POST", parts.path, json.dumps(BODY))
    connection.getresponse().read()

def use_httpx(url):
    import httpx
    with httpx.Client(follow_redirects=True) as client:
        client.post(url, json=BODY).json()

def use_async_httpx(url):
    import httpx
    async def call():
        async with httpx.AsyncClient(follow_redirects=True) as client:
            (await client.post(url, json=BODY)).json()
    asyncio.run(call())

def use_httpx2(url):
    import httpx2
    with httpx2.Client(follow_redirects=True) as client:
        client.post(url, json=BODY).json()

def use_aiohttp(url):
    import aiohttp
    async def call():
        async with aiohttp.ClientSession() as session:
            async with session.post(url, json=BODY) as response:
                await response.json()
    asyncio.run(call())

def call(mark):
    for host in ("api.openai.com", "gateway", "127.0.0.1"):
        with LupisSDK.get_instance().conversation("trip 7"):
            globals()["use_" + client](f"http://{host}:{port}/v1/chat/completions?{mark}")

"""
LATER_PROPAGATOR = """
call("first")
from opentelemetry import propagate
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
propagate.set_global_textmap(
    CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
)
call("again")
"""
CLIENTS = {
    "requests": "requests",
    "urllib3": "urllib3",
    "urllib": None,
    "http_client": None,
    "httpx": "httpx",
    "async_httpx": "httpx",
    "httpx2": "httpx2",
    "aiohttp": "aiohttp",
}
REDIRECTED = """
def redirect(mark):
    with LupisSDK.get_instance().conversation("trip 7"):
        url = f"http://gateway:{port}/v1/chat/completions?redirect=http://api.openai.com:{port}"
        globals()["use_" + client](url)

redirect("first")
"""
FOLLOWING_CLIENTS = ("requests", "urllib3", "httpx", "async_httpx", "httpx2", "aiohttp")
FAST_CLIENTS = ("requests", "http_client", "async_httpx")
TRACING_HEADERS = {"traceparent", "tracestate", "baggage", "b3", "sentry-trace", "uber-trace-id"}


def skip_if_missing(package):
    """Skips the test of a client that is not installed."""
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize("client", slow_except(FAST_CLIENTS, CLIENTS))
def test_a_public_api_receives_no_tracing_header(client, run, llm):
    """A private host does, even after the program has set its own propagator."""
    skip_if_missing(CLIENTS[client])
    port = llm.url.rpartition(":")[2]
    done = run(PROGRAM + LATER_PROPAGATOR, client, port)
    assert (0, "") == (done.returncode, done.stderr)
    assert 6 == len(done.spans)
    received = [
        (seen.headers["host"].partition(":")[0], TRACING_HEADERS & set(seen.headers))
        for seen in llm.seen
    ]
    both = {"traceparent", "baggage"}
    assert [("api.openai.com", set()), ("gateway", both), ("127.0.0.1", both)] * 2 == received
    assert {"lupis.chat.id=trip+7"} == {
        seen.headers["baggage"] for seen in llm.seen if "baggage" in seen.headers
    }


def test_no_host_receives_tracing_headers_where_the_user_wants_none(run, llm):
    """A test may compare all headers that its local server receives."""
    done = run(
        PROGRAM + 'call("only")',
        "urllib",
        llm.url.rpartition(":")[2],
        env={"LUPIS_PROPAGATE_TO": "none"},
    )
    assert (0, "", 3) == (done.returncode, done.stderr, len(done.spans))
    assert [set()] * 3 == [TRACING_HEADERS & set(seen.headers) for seen in llm.seen]


@pytest.mark.parametrize("client", slow_except(FAST_CLIENTS, FOLLOWING_CLIENTS))
def test_a_redirect_to_a_public_host_has_no_tracing_header(client, run):
    """The private host that redirects receives them."""
    skip_if_missing(CLIENTS[client])
    with wire.serving() as server:
        done = run(PROGRAM + REDIRECTED, client, server.url.rpartition(":")[2])
        seen = [
            (headers["host"].partition(":")[0], TRACING_HEADERS & set(headers))
            for _, _, headers, _ in server.seen
        ]
    assert (0, "") == (done.returncode, done.stderr)
    assert [("gateway", {"traceparent", "baggage"}), ("api.openai.com", set())] == seen


FAULTY = """
from lupis_instrument._instrumentation.clients import redirects
def fail(*_): raise ZeroDivisionError
redirects.replace_trace_headers = fail
"""


@pytest.mark.parametrize("client", slow_except({"requests"}, ("requests", "aiohttp")))
def test_an_internal_error_during_a_redirect_breaks_no_call(client, run):
    """The call is answered, and a line reports the error."""
    with wire.serving() as server:
        done = run(PROGRAM + FAULTY + REDIRECTED, client, server.url.rpartition(":")[2])
        assert 2 == len(server.seen)
    assert 0 == done.returncode
    (line,) = done.stderr.splitlines()
    assert " failed (ZeroDivisionError" in line
