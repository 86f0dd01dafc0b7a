"""A chat id in the baggage of a request applies to its handler, with upstream's instrumentations."""

import importlib.util

import pytest

COMMON = """
import asyncio, json, socket, sys, threading, urllib.request
from wsgiref.simple_server import WSGIRequestHandler, make_server
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from lupis_instrument import LupisSDK

trace.set_tracer_provider(TracerProvider())
LLM = sys.argv[1]
TRACE = "0af7651916cd43dd8448eb211c80319c"
INCOMING = {
    "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
    "baggage": "lupis.chat.id=trip+7,other=1",
}

def call(mark):
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(
        f"{LLM}/v1/chat/completions", json.dumps(body).encode(), {"x-mark": mark}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read()

def work():
    call("handler")
    thread = threading.Thread(target=call, args=("thread",))
    thread.start(); thread.join()
    with LupisSDK.get_instance().conversation("of the block"):
        call("block")
    return b"done"

class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass

def serve_wsgi(app):
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        for headers in (INCOMING, {}):
            thread = threading.Thread(target=fetch, args=(server.server_port, headers))
            thread.start()
            server.handle_request()
            thread.join()

def fetch(port, headers):  # by a socket, which has no instrumentor
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\\r\\n".join(["GET /work HTTP/1.0", *lines, "", ""])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode())
        assert connection.makefile("rb").read().endswith(b"done")

def serve_asgi(app):
    async def call(headers):
        sent = []
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": "/work", "raw_path": b"/work", "query_string": b"",
            "root_path": "", "headers": [(n.encode(), v.encode()) for n, v in headers.items()],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
        }
        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}
        async def send(message):
            sent.append(message)
        await app(scope, receive, send)
        assert b"done" in b"".join(message.get("body", b"") for message in sent)
    async def main():
        await call(INCOMING)
        await call({})
    asyncio.run(main())
"""
SERVERS = {
    "wsgi": (
        (),
        """
        from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
        def app(environ, start_response):
            start_response("200 OK", [("content-type", "text/plain")])
            return [work()]
        serve_wsgi(OpenTelemetryMiddleware(app))
        """,
    ),
    "asgi": (
        (),
        """
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        async def app(scope, receive, send):
            done = await asyncio.get_running_loop().run_in_executor(None, work)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": done})
        serve_asgi(OpenTelemetryMiddleware(app))
        """,
    ),
    "flask": (
        ("flask",),
        """
        from flask import Flask
        from opentelemetry.instrumentation.flask import FlaskInstrumentor
        app = Flask(__name__)
        app.route("/work")(work)
        FlaskInstrumentor().instrument_app(app)
        serve_wsgi(app)
        """,
    ),
    "fastapi": (
        ("fastapi",),
        """
        from fastapi import FastAPI, Response
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        app = FastAPI()
        app.get("/work")(lambda: Response(work()))
        FastAPIInstrumentor.instrument_app(app)
        serve_asgi(app)
        """,
    ),
    "django": (
        ("django",),
        """
        from django.conf import settings
        from django.http import HttpResponse
        from django.urls import path
        urlpatterns = [path("work", lambda request: HttpResponse(work()))]
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="made-up")
        from opentelemetry.instrumentation.django import DjangoInstrumentor
        DjangoInstrumentor().instrument()
        from django.core.wsgi import get_wsgi_application
        serve_wsgi(get_wsgi_application())
        """,
    ),
}


def is_missing(module):
    """Returns whether a module or its package is not installed."""
    try:
        return importlib.util.find_spec(module) is None
    except ModuleNotFoundError:
        return True


@pytest.mark.parametrize("server", SERVERS)
def test_incoming_baggage_sets_the_chat_id(server, run, llm):
    """It applies to the handler and its threads for one request; a block overrides it."""
    packages, text = SERVERS[server]
    needed = [*packages, f"opentelemetry.instrumentation.{server}"]
    missing = [module for module in needed if is_missing(module)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: see the group `servers`")
    lines = "\n".join(line[8:] for line in text.splitlines())
    env = {"LUPIS_CHAT_ID": "of the process", "LUPIS_SUMMARY": "false"}
    done = run(COMMON + lines, llm.url, env=env)
    assert (0, "") == (done.returncode, done.stderr)
    calls = [span for span in done.spans if span["kind"] == "CLIENT"]
    received = [
        (
            span["attributes"]["http.request.header.x-mark"][0],
            span["attributes"]["lupis.chat.id"],
            span["attributes"]["lupis.chat.source"],
        )
        for span in calls
        if "http.request.header.x-mark" in span["attributes"]
    ]
    with_baggage = [(mark, "trip 7", "baggage") for mark in ("handler", "thread")]
    without = [(mark, "of the process", "environment") for mark in ("handler", "thread")]
    block = ("block", "of the block", "code")
    assert [*with_baggage, block, *without, block] == received
    traces = {span["trace_id"] for span in calls if span["attributes"]["lupis.chat.id"] == "trip 7"}
    assert {"0af7651916cd43dd8448eb211c80319c"} == traces
