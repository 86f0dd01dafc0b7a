"""Talks to LLM APIs over WebSockets, with each client library in the same manner.

usage: use_sockets.py URL CLIENT CASES [FAULTS]

CASES are joined by commas; the query of each URL names its case. FAULTS are functions of this
package, joined by commas: the program runs the cases once for each of them, while it fails.
"""

import asyncio
import importlib
import json
import sys
from unittest import mock

from opentelemetry import trace

from lupis_instrument import LupisSDK
from lupis_instrument._diagnostics import diagnostics

URL, CLIENT, CASES = sys.argv[1:4]
FAULTS = sys.argv[4].split(",") if sys.argv[4:] else []
BIDI = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
PATHS = {"realtime": "/v1/realtime?model=gpt-realtime", "live": BIDI, "other": "/chat"}
ENDS = ("response.create", "response.completed", "response.cancelled", "response.done", "error")


class ClosedError(Exception):
    """The server has closed the socket."""


class Sync:
    """websockets' client for threads."""

    @classmethod
    async def connect(cls, url):
        from websockets.sync.client import connect

        self = cls()
        self.block = connect(url)
        self.socket = self.block.__enter__()
        return self

    async def send(self, text):
        self.socket.send(text)

    async def receive(self):
        return self.socket.recv(timeout=60)

    async def close(self):
        self.block.__exit__(None, None, None)


class Asyncio:
    """websockets' client for asyncio."""

    @classmethod
    async def connect(cls, url):
        from websockets.asyncio.client import connect

        self = cls()
        self.socket = await connect(url)
        return self

    async def send(self, text):
        await self.socket.send(text)

    async def receive(self):
        return await self.socket.recv()

    async def close(self):
        await self.socket.close()


class Legacy(Asyncio):
    """websockets' first client for asyncio."""

    @classmethod
    async def connect(cls, url):
        import warnings

        warnings.simplefilter("ignore")
        from websockets.legacy.client import connect

        self = cls()
        self.socket = await connect(url)
        return self


class WebsocketClient(Asyncio):
    """websocket-client."""

    @classmethod
    async def connect(cls, url):
        import websocket

        self = cls()
        self.socket = websocket.create_connection(url, timeout=60)
        return self

    async def send(self, text):
        self.socket.send(text)

    async def receive(self):
        message = self.socket.recv()
        if not message:
            raise ClosedError
        return message

    async def close(self):
        self.socket.close()


class Aiohttp:
    """aiohttp's client."""

    @classmethod
    async def connect(cls, url):
        import aiohttp

        self = cls()
        self.session = aiohttp.ClientSession()
        self.socket = await self.session.ws_connect(url)
        return self

    async def send(self, text):
        await self.socket.send_str(text)

    async def receive(self):
        message = await self.socket.receive()
        if not isinstance(message.data, (str, bytes)) or message.type.name not in (
            "TEXT",
            "BINARY",
        ):
            raise ClosedError(message.type.name)
        return message.data

    async def close(self):
        await self.socket.close()
        await self.session.close()


CLIENTS = {"sync": Sync, "asyncio": Asyncio, "legacy": Legacy, "aiohttp": Aiohttp}
CLIENTS["websocket"] = WebsocketClient


def write(model="gpt-4o-mini", **members):
    """Returns a request for a response."""
    return json.dumps({"type": "response.create", "model": model, "input": "prompt", **members})


async def read_end(socket):
    """Reads the messages of one response, and prints the type of the last one."""
    while True:
        event = json.loads(await socket.receive())
        if event.get("type") in ENDS:
            print(event["type"], event.get("response", {}).get("usage", {}).get("total_tokens"))
            return
        if event.get("serverContent", {}).get("turnComplete"):
            print("turn", event["usageMetadata"]["totalTokenCount"])
            return


async def run_case(socket, case):
    if case in ("two", "other"):
        for number in range(2):
            await socket.send(write(input=f"prompt {number}"))
            await read_end(socket)
    elif case == "lanes":
        for lane in ("a", "b"):
            await socket.send(write(f"model-{lane}", stream_id=lane, metadata={"case": "hold"}))
        for _ in range(2):
            await read_end(socket)
    elif case == "several":
        for model in ("gpt-4o", "gpt-4o-mini"):
            await socket.send(write(model, metadata={"case": "hold", "model": model}))
        for _ in range(2):
            await read_end(socket)
    elif case == "stop":
        await socket.send(write(metadata={"case": case}))
        await socket.receive()
    elif case == "parent":
        with trace.get_tracer("test").start_as_current_span("parent"):
            await socket.send(write())
        await read_end(socket)
    elif case == "realtime":
        session = {"type": "realtime", "model": "gpt-realtime", "instructions": "prompt"}
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        await socket.send(
            json.dumps({"type": "response.create", "response": {"max_output_tokens": 9}})
        )
        await read_end(socket)
        await socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
        await read_end(socket)
    elif case == "live":
        await socket.send(json.dumps({"setup": {"model": "models/gemini-2.5-flash"}}))
        await socket.receive()
        turn = {"turns": [{"parts": [{"text": "prompt"}]}], "turn_complete": True}
        for _ in range(2):
            await socket.send(json.dumps({"client_content": turn}))
            await read_end(socket)
    else:
        await socket.send(write(metadata={"case": case}))
        await read_end(socket)


async def run_cases():
    for case in CASES.split(","):
        print("==", case)
        path = PATHS.get(case, "/v1/responses")
        mark = "&" if "?" in path else "?"
        socket = await CLIENTS[CLIENT].connect(f"{URL}{path}{mark}case={case}")
        try:
            await run_case(socket, case)
        except Exception as error:
            print(type(error).__name__)
        await socket.close()


def run_with_fault(target):
    """Runs the cases while a function fails."""
    module, _, path = target.partition(":")
    owner = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    print("==", target, file=sys.stderr)
    with mock.patch.object(owner, name, side_effect=ZeroDivisionError("injected")) as failing:
        asyncio.run(run_cases())
        LupisSDK.get_instance().flush(10)
    assert failing.called, target
    diagnostics.reset()  # or it would report each kind of fault only once


if FAULTS:
    for fault in FAULTS:
        run_with_fault(fault)
else:
    asyncio.run(run_cases())
