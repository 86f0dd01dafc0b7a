"""Sends the exchanges of a plan with one client, and prints a digest of each response.

usage: python drive.py CLIENT PLAN

PLAN is JSON Lines: id, method, url, headers, body. The output has a line for each exchange: its id,
the status, and the SHA-256 of the body, which the program reads piece by piece.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import http.client
import json
import os
import socket
import ssl
import sys
import zlib
from pathlib import Path
from typing import Any, Callable, Iterable
from urllib.parse import urlsplit

Outcome = "tuple[int, str]"
NO_DELAY = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
"""By default urllib3 delays small packets to proxies, by 40 ms a call."""


def decode_brotli(body: bytes) -> bytes:
    import brotli

    decoded: bytes = brotli.decompress(body)
    return decoded


def decode_zstd(body: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdDecompressor().decompress(body)


DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": decode_brotli,
    "zstd": decode_zstd,
}


def hash_pieces(pieces: Iterable[bytes]) -> str:
    sha = hashlib.sha256()
    for piece in pieces:
        sha.update(piece)
    return sha.hexdigest()


def with_requests() -> Callable[[dict[str, Any]], Outcome]:
    import requests.adapters

    class Adapter(requests.adapters.HTTPAdapter):
        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            return super().proxy_manager_for(proxy, socket_options=NO_DELAY, **options)

    session = requests.Session()
    session.mount("https://", Adapter())

    def send(call: dict[str, Any]) -> Outcome:
        with session.request(
            call["method"],
            call["url"],
            data=call["body"].encode(),
            headers=call["headers"],
            stream=True,
            allow_redirects=False,
        ) as response:
            return response.status_code, hash_pieces(response.iter_content(chunk_size=None))

    return send


def with_urllib3() -> Callable[[dict[str, Any]], Outcome]:
    import urllib3

    pool = urllib3.ProxyManager(
        os.environ["HTTPS_PROXY"], ca_certs=os.environ["SSL_CERT_FILE"], socket_options=NO_DELAY
    )

    def send(call: dict[str, Any]) -> Outcome:
        headers = {**call["headers"], **urllib3.util.make_headers(accept_encoding=True)}
        response = pool.request(
            call["method"],
            call["url"],
            body=call["body"].encode(),
            headers=headers,
            preload_content=False,
            redirect=False,
            retries=False,
        )
        try:
            return response.status, hash_pieces(response.stream(64, decode_content=True))
        finally:
            response.release_conn()

    return send


def with_httpx(module: str) -> Callable[[dict[str, Any]], Outcome]:
    httpx: Any = __import__(module)
    client = httpx.Client()

    def send(call: dict[str, Any]) -> Outcome:
        with client.stream(
            call["method"], call["url"], content=call["body"].encode(), headers=call["headers"]
        ) as response:
            return response.status_code, hash_pieces(response.iter_bytes())

    return send


def with_httpx_async(module: str) -> Callable[[dict[str, Any]], Outcome]:
    httpx: Any = __import__(module)
    loop = asyncio.new_event_loop()
    client = httpx.AsyncClient()

    async def send(call: dict[str, Any]) -> Outcome:
        async with client.stream(
            call["method"], call["url"], content=call["body"].encode(), headers=call["headers"]
        ) as response:
            return response.status_code, hash_pieces(
                [piece async for piece in response.aiter_bytes()]
            )

    return lambda call: loop.run_until_complete(send(call))


def with_aiohttp() -> Callable[[dict[str, Any]], Outcome]:
    import aiohttp

    loop = asyncio.new_event_loop()
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    sessions: list[aiohttp.ClientSession] = []

    async def send(call: dict[str, Any]) -> Outcome:
        if not sessions:
            sessions.append(aiohttp.ClientSession())
        async with sessions[0].request(
            call["method"],
            call["url"],
            data=call["body"].encode(),
            headers=call["headers"],
            proxy=os.environ["HTTPS_PROXY"],
            ssl=context,
            allow_redirects=False,
        ) as response:
            return response.status, hash_pieces(
                [piece async for piece in response.content.iter_any()]
            )

    return lambda call: loop.run_until_complete(send(call))


def with_http_client() -> Callable[[dict[str, Any]], Outcome]:
    proxy = urlsplit(os.environ["HTTPS_PROXY"])
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])

    def send(call: dict[str, Any]) -> Outcome:
        url = urlsplit(call["url"])
        connection = http.client.HTTPSConnection(proxy.hostname or "", proxy.port, context=context)
        connection.set_tunnel(url.hostname or "", url.port or 443)
        target = f"{url.path}?{url.query}" if url.query else url.path
        headers = {**call["headers"], "accept-encoding": ", ".join(DECODERS)}
        connection.request(call["method"], target, call["body"].encode(), headers)
        response = connection.getresponse()
        pieces = iter(lambda: response.read(50), b"")
        body = b"".join(pieces)
        if response.getheader("x-encoded"):
            body = DECODERS[os.environ["DRIVE_ENCODING"]](body)
        connection.close()
        return response.status, hash_pieces([body])

    return send


CLIENTS: dict[str, Callable[[], Callable[[dict[str, Any]], Outcome]]] = {
    "requests": with_requests,
    "urllib3": with_urllib3,
    "httpx": lambda: with_httpx("httpx"),
    "httpx-async": lambda: with_httpx_async("httpx"),
    "httpx2": lambda: with_httpx("httpx2"),
    "httpx2-async": lambda: with_httpx_async("httpx2"),
    "aiohttp": with_aiohttp,
    "http.client": with_http_client,
}


def main() -> None:
    client, plan = sys.argv[1:]
    send = CLIENTS[client]()
    with Path(plan).open(encoding="utf-8") as lines:
        for line in lines:
            call = json.loads(line)
            try:
                status, sha = send(call)
                print(json.dumps({"id": call["id"], "status": status, "sha": sha}), flush=True)
            except Exception as error:
                print(json.dumps({"id": call["id"], "error": f"{type(error).__name__}: {error}"}))


if __name__ == "__main__":
    main()
