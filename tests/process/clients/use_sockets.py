"""Talks to LLM APIs over WebSockets, with each client library in the same manner.

usage: use_sockets.py URL CLIENT CASE
"""

import asyncio
import json
import sys

from opentelemetry import trace

URL, CLIENT, CASE = sys.argv[1:]
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
        return self.socket.recv(timeout=20)

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
        self.socket = websocket.create_connection(url, timeout=20)
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


async def run_case(socket):
    if CASE in ("two", "other"):
        for number in range(2):
            await socket.send(write(input=f"prompt {number}"))
            await read_end(socket)
    elif CASE == "lanes":
        for lane in ("a", "b"):
            await socket.send(write(f"model-{lane}", stream_id=lane, metadata={"case": "hold"}))
        for _ in range(2):
            await read_end(socket)
    elif CASE == "several":
        for model in ("gpt-4o", "gpt-4o-mini"):
            await socket.send(write(model, metadata={"case": "hold", "model": model}))
        for _ in range(2):
            await read_end(socket)
    elif CASE == "stop":
        await socket.send(write(metadata={"case": CASE}))
        await socket.receive()
    elif CASE == "parent":
        with trace.get_tracer("test").start_as_current_span("parent"):
            await socket.send(write())
        await read_end(socket)
    elif CASE == "realtime":
        session = {"type": "realtime", "model": "gpt-realtime", "instructions": "prompt"}
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        await socket.send(
            json.dumps({"type": "response.create", "response": {"max_output_tokens": 9}})
        )
        await read_end(socket)
        await socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
        await read_end(socket)
    elif CASE == "live":
        await socket.send(json.dumps({"setup": {"model": "models/gemini-2.5-flash"}}))
        await socket.receive()
        turn = {"turns": [{"parts": [{"text": "prompt"}]}], "turn_complete": True}
        for _ in range(2):
            await socket.send(json.dumps({"client_content": turn}))
            await read_end(socket)
    else:
        await socket.send(write(metadata={"case": CASE}))
        await read_end(socket)


async def main():
    socket = await CLIENTS[CLIENT].connect(URL + PATHS.get(CASE, "/v1/responses"))
    try:
        await run_case(socket)
    except Exception as error:
        print(type(error).__name__)
    await socket.close()


asyncio.run(main())
