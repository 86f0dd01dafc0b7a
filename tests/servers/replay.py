"""A proxy that answers for every host over TLS with recorded exchanges.

Clients find it by HTTPS_PROXY. The header `x-replay-id`, or else the path of a request, names the
exchange with the response.
"""

from __future__ import annotations

import asyncio
import gzip
import ssl
import threading
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterator, Mapping, NamedTuple
from urllib.parse import unquote

import trustme

if TYPE_CHECKING:
    from pathlib import Path

_CONNECTION_HEADERS = frozenset(
    ("connection", "content-encoding", "content-length", "date", "keep-alive", "transfer-encoding")
)


_BLOCK = 1024  # bytes


def _brotli(body: bytes) -> bytes:
    import brotli

    encoded: bytes = brotli.compress(body)
    return encoded


def _zstd(body: bytes) -> bytes:
    import zstandard

    return zstandard.compress(body)


ENCODERS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": _brotli, "zstd": _zstd}


class Proxy(NamedTuple):
    """The address of the proxy.

    Attributes:
        url: the value of HTTPS_PROXY.
        ca_file: the file of the certificate authority that clients must trust.
    """

    url: str
    ca_file: str


class _Replay:
    def __init__(self, exchanges: Mapping[str, Any], chunk: int, encoding: str) -> None:
        self.exchanges = exchanges
        self.chunk = chunk
        self.encoding = encoding
        self.authority = trustme.CA()
        self.contexts: dict[str, ssl.SSLContext] = {}

    def load_context(self, host: str) -> ssl.SSLContext:
        if host not in self.contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.authority.issue_cert(host).configure_cert(context)
            self.contexts[host] = context
        return self.contexts[host]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                line, headers = await _read_head(reader)
                if line.startswith("CONNECT "):
                    host = line.split(" ")[1].rsplit(":", 1)[0]
                    writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
                    await writer.drain()
                    await _start_tls(reader, writer, self.load_context(host))
                    continue
                await _skip_body(reader, headers)
                path = unquote(line.split(" ")[1].partition("?")[0])
                await self.answer(writer, path, headers)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return  # the client is done
        finally:
            writer.close()

    async def answer(
        self, writer: asyncio.StreamWriter, path: str, headers: Mapping[str, str]
    ) -> None:
        exchange = self.exchanges[headers.get("x-replay-id", path)]
        body = exchange.body
        lines = [f"HTTP/1.1 {exchange.status} Recorded"]
        lines += [
            f"{name}: {value}"
            for name, value in exchange.headers.items()
            if name not in _CONNECTION_HEADERS
        ]
        if self.encoding in headers.get("accept-encoding", ""):
            body = ENCODERS[self.encoding](body)
            lines += [f"content-encoding: {self.encoding}", "x-encoded: 1"]
        framing = "transfer-encoding: chunked" if self.chunk else f"content-length: {len(body)}"
        lines.append(framing)
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        for block in _join_small_pieces(head, _cut_body(body, self.chunk)):
            writer.write(block)
            await writer.drain()


def _cut_body(body: bytes, size: int) -> Iterator[bytes]:
    if not size:
        yield body
        return
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _join_small_pieces(head: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yields blocks to write at once; writing chunks of one byte each would take hours."""
    block = head
    for piece in pieces:
        block += piece
        if len(block) > _BLOCK:
            yield block
            block = b""
    yield block


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.split("\r\n")
    pairs = (field.partition(":") for field in fields if field)
    return line, {name.lower(): value.strip() for name, _, value in pairs}


async def _skip_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> None:
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        await reader.readexactly(int(headers.get("content-length", 0)))


async def _start_tls(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext
) -> None:
    if hasattr(writer, "start_tls"):
        await writer.start_tls(context)
        return
    # StreamWriter.start_tls came with Python 3.11.
    loop = asyncio.get_running_loop()
    transport = writer.transport
    protocol = transport.get_protocol()
    tls = await loop.start_tls(transport, protocol, context, server_side=True)
    writer._transport = reader._transport = tls  # type: ignore[attr-defined]


@contextmanager
def replaying(
    exchanges: Mapping[str, Any], folder: Path, *, chunk: int = 0, encoding: str = "identity"
) -> Iterator[Proxy]:
    """Runs the proxy while the block runs.

    Args:
        exchanges: the recorded exchanges by id or path.
        folder: the folder for the file of the certificate authority.
        chunk: the size of a body's chunks in bytes; 0 sends the whole body with its length.
        encoding: the Content-Encoding of the bodies, if the client accepts it.
    """
    replay = _Replay(exchanges, chunk, encoding)
    ca_file = folder / "ca.pem"
    replay.authority.cert_pem.write_to_path(str(ca_file))
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        asyncio.start_server(replay.serve, "127.0.0.1", 0, limit=1 << 20)
    )
    port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield Proxy(f"http://127.0.0.1:{port}", str(ca_file))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(_cancel_all())
        loop.close()


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
