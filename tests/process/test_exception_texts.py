"""No prompt or completion leaves inside the text of an exception.

A server breaks the framing of HTTP. Clients then quote the bytes that they cannot read, and stack
traces quote the lines of the program.
"""

import contextlib
import gzip
import re
import socketserver
import subprocess
import sys
import threading
from typing import NamedTuple

import pytest
from servers import otlp
from servers.program import Runner
from servers.slow import slow_except

LUPIS_COMMAND = [sys.executable, "-c", "from lupis_instrument._cli.lupis import main; main()"]

TEXT = b"PLANTED the diagnosis is gout"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
PACKED = gzip.compress(TEXT * 9)
FAULTS = {
    "chunk-length": CHUNKED + TEXT + b"\r\n",
    "second-chunk-length": CHUNKED + b"5\r\ndata:\r\n" + TEXT + b"\r\n",
    "long-chunk-length": CHUNKED + TEXT * 200 + b"\r\n",
    "chunk-end": CHUNKED + b"5\r\ndata:" + TEXT + b"\r\n",
    "chunk-extension": CHUNKED + b"5;" + TEXT + b"\r\ndata:\r\n0\r\n\r\n",
    "trailer": CHUNKED + b"5\r\ndata:\r\n0\r\n" + TEXT + b"\r\n\r\n",
    "status-line": TEXT + b"\r\n\r\n",
    "status": b"HTTP/1.1 " + TEXT + b"\r\n\r\n",
    "version": b"HTTP/" + TEXT + b" 200 OK\r\n\r\n",
    "reason": b"HTTP/1.1 500 " + TEXT + b"\r\ncontent-length: 0\r\n\r\n",
    "length": HEAD + b"content-length: " + TEXT + b"\r\n\r\nx",
    "header-line": HEAD + TEXT + b"\r\n\r\nx",
    "header-name": HEAD + TEXT + b": x\r\n\r\nx",
    "truncated-gzip": HEAD + b"content-encoding: gzip\r\n\r\n" + PACKED[:-12],
    "no-gzip": HEAD + b"content-encoding: gzip\r\n\r\n" + TEXT,
    "garbage": b"\x00\xff\n" + TEXT * 200,
    "lines": b"\n".join([TEXT] * 4) + b"\r\n\r\n",
    "trace": b'Traceback (most recent call last):\n  File "PLANTED.py", line 1, in PLANTED\nPLANTED: x',
    "quotes": CHUNKED + b"'\"\\'" + TEXT + b'"\'\\"\r\n',
}
QUOTED_FAULTS = (
    *("chunk-length", "second-chunk-length", "long-chunk-length", "chunk-end"),
    *("status-line", "status", "reason", "length", "lines", "quotes"),
)

PROGRAM = """
import aiohttp, asyncio, http.client, httpx, os, requests, sys, urllib.parse, urllib.request, urllib3
from lupis_instrument import LupisSDK

BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "PLANTED prompt"}]}
DATA = b'{"messages": "PLANTED prompt"}'

def with_requests(url):
    response = requests.post(url, json={**BODY, "user": "PLANTED prompt"})
    response.raise_for_status()

def with_requests_stream(url):
    return list(requests.post(url, json=BODY, stream=True).iter_lines())

def with_urllib3(url):
    return urllib3.PoolManager().request("POST", url, json=BODY, retries=False).data

def with_urllib3_retries(url):
    return urllib3.PoolManager().request("POST", url, json=BODY, retries=1).data

def with_urllib(url):
    return urllib.request.urlopen(urllib.request.Request(url, DATA)).read()

def with_http_client(url):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request("POST", parts.path, b'{"messages": "PLANTED prompt"}')
    return connection.getresponse().read()

def with_httpx(url):
    response = httpx.post(url, json={**BODY, "user": "PLANTED prompt"}, verify=False)
    response.raise_for_status()

if sys.version_info >= (3, 10):
    import httpx2

    def with_httpx2(url):
        return httpx2.post(url, json=BODY, verify=False).content

def with_async_httpx(url):
    async def post():
        async with httpx.AsyncClient(verify=False) as client:
            return (await client.post(url, json=BODY)).content
    return asyncio.run(post())

def with_aiohttp(url):
    async def post():
        async with aiohttp.ClientSession() as session:
            return await (await session.post(url, json=BODY)).read()
    return asyncio.run(post())

def wrap_error(url, send):
    with LupisSDK.get_instance().create_span("own"):
        try:
            send(url)
        except Exception as error:
            raise RuntimeError(f"PLANTED answer: {error!r}") from error

def group_errors():
    with LupisSDK.get_instance().create_span("group"):
        raise ExceptionGroup("PLANTED", [ValueError("PLANTED\\nPLANTED: x"), KeyError("PLANTED")])

def record_errors():
    from opentelemetry.trace import Link, SpanContext, Status, StatusCode
    attributes = {
        "exception.message": "PLANTED", "exception.stacktrace": "PLANTED: x", "error.message": "PLANTED",
    }
    link = Link(SpanContext(1, 2, False), attributes)
    tracer = LupisSDK.get_instance().get_tracer()
    with tracer.start_as_current_span("recorded", attributes=attributes, links=[link]) as span:
        span.add_event("log", attributes)
        span.record_exception(OSError("PLANTED"), {"exception.message": "PLANTED again"})
        span.set_status(Status(StatusCode.ERROR, str(OSError("PLANTED"))))
    LupisSDK.get_instance().track_event("failed", {**attributes, "error": OSError("PLANTED")})

record_errors()
if sys.version_info >= (3, 11):
    try:
        group_errors()
    except ExceptionGroup:
        pass
for name, function in list(globals().items()):
    if name.startswith("with_"):
        for fault in sys.argv[1:]:
            url = os.environ["SERVER"] + "/" + fault + "/v1/chat/completions"
            try:
                wrap_error(url, function)
            except Exception as error:
                print(f"{name} {fault} {error} {error.__cause__!r}")
"""


class BrokenAnswer(socketserver.StreamRequestHandler):
    """Reads a request, and sends the broken response that its path names."""

    def handle(self):
        fault = self.rfile.readline().split(b"/")[1].decode()
        length = 0
        while True:
            name, _, value = self.rfile.readline().strip().lower().partition(b":")
            if not name:
                break
            length = int(value) if name == b"content-length" else length
        if length:
            self.rfile.read(length)
        else:  # chunked, by aiohttp
            while self.rfile.readline().strip() not in {b"0", b""}:
                pass
        self.wfile.write(FAULTS[fault])


@contextlib.contextmanager
def serve_faults():
    """Runs the server; yields its URL."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), BrokenAnswer) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Traffic(NamedTuple):
    """The data of one run of the program.

    Attributes:
        left: the bytes that were sent, stored or printed by this package.
        spans: the spans that the collector received.
        printed: the exceptions, as the program prints them.
    """

    left: bytes
    spans: list
    printed: str


@pytest.fixture(params=slow_except({"otlp"}, ("otlp", "local", "console")), scope="module")
def traffic(request, tmp_path_factory):
    """The traffic of a program that calls a server with broken answers, by exporter."""
    folder = tmp_path_factory.mktemp(request.param)
    with otlp.serving() as sink, serve_faults() as url:
        run = Runner(sink, folder)
        env = {
            "SERVER": url,
            "LUPIS_EXPORTER": request.param,
            "LUPIS_LOG_LEVEL": "debug",
            "LUPIS_SUMMARY": "true",
        }
        done = run(PROGRAM, *FAULTS, env=env, timeout=120)
        assert 0 == done.returncode, done.stderr
        bodies = [
            gzip.decompress(request.raw) if "content-encoding" in request.headers else request.raw
            for request in sink.requests
        ]
        files = [path.read_bytes() for path in (folder / "data").rglob("*") if path.is_file()]
        exported = subprocess.run(
            [*LUPIS_COMMAND, "export"],
            env=run.build_environment(env),
            capture_output=True,
            check=False,
        ).stdout
        left = b"\n".join([*bodies, *files, exported, done.stderr.encode()])
        return Traffic(left, sink.spans, done.stdout)


@pytest.mark.parametrize("fault", QUOTED_FAULTS)
def test_clients_quote_the_answer(fault, traffic):
    """Otherwise the next test would prove little."""
    assert re.search(f" {fault} .*{TEXT.decode()}", traffic.printed)


def test_no_content_leaves(traffic):
    """No message, stack trace, status or header has a word of a prompt or a completion."""
    assert b"openai" in traffic.left
    assert b"PLANTED" not in traffic.left
    assert b"diagnosis" not in traffic.left


def test_the_causes_of_failures_stay(traffic):
    """Each client's type and fixed words, and the lines of the program."""
    if not traffic.spans:
        pytest.skip("another exporter")
    errors = [
        event["attributes"]
        for span in traffic.spans
        for event in span["events"]
        if event["name"] == "exception"
    ]
    messages = " ".join(error["exception.message"] for error in errors)
    for words in ("got length", "illegal status line", "Invalid character in chunk size"):
        assert words in messages
    traces = "\n".join(error["exception.stacktrace"] for error in errors)
    for function in ("with_requests", "with_httpx", "with_urllib", "post"):
        assert f", in {function}\n" in traces
    assert "http.client.BadStatusLine: […]\n" in traces
