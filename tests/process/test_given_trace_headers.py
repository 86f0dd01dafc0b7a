"""Trace headers that a program sets itself, or that a client copies from an earlier request."""

import importlib.util
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

TRACE, PARENT = "a" * 32, "b" * 16
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
OWN = {"traceparent": TRACEPARENT, "tracestate": "vendor=x", "baggage": "tenant=7,region=eu"}

COMMON = """
import asyncio, json, sys
OWN, url = json.loads(sys.argv[1]), sys.argv[2]
host = url.rpartition("/")[2]
upper = {name.title(): value for name, value in OWN.items()}
in_bytes = {name: value.encode() for name, value in OWN.items()}
pairs = list(OWN.items())
"""
PROGRAMS = {
    "requests": """
import requests
requests.post(url + "/requests/plain", headers=OWN)
requests.post(url + "/requests/upper", headers=upper)
requests.post(url + "/requests/bytes", headers=in_bytes)
session = requests.Session()
session.headers.update(OWN)
session.post(url + "/requests/default")
""",
    "urllib3": """
import urllib3
urllib3.PoolManager().request("POST", url + "/urllib3/plain", headers=OWN)
urllib3.PoolManager().request("POST", url + "/urllib3/upper", headers=upper)
urllib3.PoolManager().request("POST", url + "/urllib3/bytes", headers=in_bytes)
urllib3.PoolManager().request("POST", url + "/urllib3/names", headers={k.encode(): v for k, v in in_bytes.items()})
urllib3.PoolManager().request("POST", url + "/urllib3/pairs", headers=urllib3.HTTPHeaderDict(pairs))
urllib3.PoolManager(headers=OWN).urlopen("POST", url + "/urllib3/default")
with urllib3.connection_from_url(url, headers=OWN) as pool:
    pool.urlopen("POST", "/urllib3/pool")
    pool.urlopen("POST", "/urllib3/none", None, None)
    pool.urlopen("POST", "/urllib3/positions", None, OWN, False, True)
""",
    "http.client": """
import http.client
connection = http.client.HTTPConnection(host)
for path, headers in {"/http.client/plain": OWN, "/http.client/upper": upper, "/http.client/bytes": in_bytes}.items():
    connection.request("POST", path, b"", headers)
    connection.getresponse().read()
connection.putrequest("POST", "/http.client/put")
for name, value in pairs:
    connection.putheader(name, value)
connection.endheaders()
connection.getresponse().read()
""",
    "urllib": """
import urllib.request
urllib.request.urlopen(urllib.request.Request(url + "/urllib/plain", b"", OWN)).read()
urllib.request.urlopen(urllib.request.Request(url + "/urllib/upper", b"", upper)).read()
opener = urllib.request.build_opener()
opener.addheaders = pairs
opener.open(url + "/urllib/default", b"").read()
""",
    "httpx": """
import httpx as client_library
""",
    "httpx2": """
import httpx2 as client_library
""",
    "aiohttp": """
import aiohttp
async def main():
    async with aiohttp.ClientSession() as session:
        await (await session.post(url + "/aiohttp/plain", headers=OWN)).read()
        await (await session.post(url + "/aiohttp/upper", headers=upper)).read()
        await (await session.post(url + "/aiohttp/pairs", headers=pairs)).read()
    async with aiohttp.ClientSession(headers=OWN) as session:
        await (await session.post(url + "/aiohttp/default")).read()
asyncio.run(main())
""",
    "boto3": """
import boto3
s3 = boto3.client(
    "s3", endpoint_url=url, region_name="x", aws_access_key_id="a", aws_secret_access_key="b"
)
def add_headers(request, **_):
    for name, value in pairs:
        request.headers[name] = value
s3.meta.events.register("before-sign.s3", add_headers)
s3.list_buckets()
""",
}
HTTPX = """
client_library.post(url + f"/{client_library.__name__}/plain", headers=OWN)
client_library.post(url + f"/{client_library.__name__}/upper", headers=upper)
client_library.post(url + f"/{client_library.__name__}/bytes", headers=[(k.encode(), v.encode()) for k, v in pairs])
with client_library.Client(headers=pairs) as client:
    client.post(url + f"/{client_library.__name__}/default")
async def main():
    async with client_library.AsyncClient(headers=OWN) as client:
        await client.post(url + f"/{client_library.__name__}/async")
asyncio.run(main())
"""
PROGRAMS["httpx"] += HTTPX
PROGRAMS["httpx2"] += HTTPX
TWICE = """
import asyncio, http.client, sys
url = sys.argv[1]
import requests
with requests.Session() as session:
    prepared = session.prepare_request(requests.Request("POST", url + "/requests"))
    session.send(prepared)
    session.send(prepared)
    session.post(url + "/requests?again")
import httpx
with httpx.Client(follow_redirects=True) as client:
    client.post(url + "/httpx?again")
    request = client.build_request("POST", url + "/httpx")
    client.send(request)
    client.send(request)
import urllib3
urllib3.PoolManager().request("POST", url + "/urllib3?again")
"""


class Handler(BaseHTTPRequestHandler):
    """Answers requests; a path with `?again` is redirected to the same path without it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        """Keeps the headers."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.seen.append((self.path, self.headers))
        again = self.path.endswith("?again")
        self.send_response(307 if again else 200)
        if again:
            self.send_header("location", self.path.partition("?")[0])
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_):
        """Writes nothing."""


@pytest.fixture
def server():
    """A server with `.url`, and `.seen`: path and headers of each request."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        http_server.seen = []
        http_server.url = f"http://127.0.0.1:{http_server.server_port}"
        thread = threading.Thread(target=http_server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield http_server
        http_server.shutdown()
        thread.join()


def is_installed(client):
    """Returns whether a client is a part of Python, or installed."""
    return client in {"http.client", "urllib"} or importlib.util.find_spec(client) is not None


def test_trace_headers_of_the_program_arrive_as_they_are(run, server):
    """Once, in each form that a client takes; the chat id is added to the baggage."""
    programs = [program for client, program in PROGRAMS.items() if is_installed(client)]
    program = "\n".join([COMMON, *programs])
    done = run(program, json.dumps(OWN), server.url, env={"LUPIS_CHAT_ID": "trip"})
    assert (0, "") == (done.returncode, done.stderr)
    expected = {**OWN, "baggage": "tenant=7,region=eu,lupis.chat.id=trip"}
    for path, headers in server.seen:
        received = {name: headers.get_all(name) for name in expected}
        assert {name: [value] for name, value in expected.items()} == received, path
    parents = [(span["trace_id"], span["parent_span_id"]) for span in done.spans]
    assert [(TRACE, PARENT)] * len(server.seen) == parents


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(is_installed, ("requests", "httpx", "urllib3"))),
    reason="a client is not installed",
)
def test_headers_copied_from_an_earlier_request_are_not_the_programs(run, server):
    """A redirected or repeated request carries them along; its own span is sent instead."""
    done = run(TWICE, server.url, env={"LUPIS_PROPAGATE_TO": "127.0.0.1"})
    assert (0, "") == (done.returncode, done.stderr)
    received = [headers.get_all("traceparent") for _, headers in server.seen]
    assert {1} == set(map(len, received))
    sent = {(span["trace_id"], span["span_id"]) for span in done.spans}
    assert sent == {tuple(value.split("-")[1:3]) for (value,) in received}
    assert {None} == {span["parent_span_id"] for span in done.spans}
