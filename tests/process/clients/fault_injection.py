"""Makes functions of this package fail, and calls with each named client.

usage: fault_injection.py TARGET,... CLIENT,...
"""

import asyncio
import contextlib
import importlib
import os
import sys

from cases import BODY, DATA, HEADERS, Urls

from lupis_instrument import LupisSDK
from lupis_instrument._diagnostics import diagnostics

JSON = Urls("json")()
STREAM = Urls("stream")(form="stream", framing="chunked")


def fail(*_, **__):
    """Replaces a function of this package."""
    raise ZeroDivisionError("injected")


@contextlib.contextmanager
def break_function(target):
    """Makes `module:name` or `module:Class.name` raise; does nothing without a name."""
    module, _, path = target.partition(":")
    *parents, name = path.split(".")
    if not name or not os.environ.get("LUPIS_RUN_ID"):
        yield
        return
    owner = importlib.import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    original = vars(owner)[name]
    setattr(owner, name, property(fail) if isinstance(original, property) else fail)
    yield
    setattr(owner, name, original)


def call_requests():
    import requests

    with requests.Session() as session:
        print(session.post(JSON, json=BODY).json())
        with session.post(STREAM, json=BODY, stream=True) as answer:
            print(list(answer.iter_lines()))


def call_httpx():
    import httpx

    # Without `verify=False`, each client would take 25 ms to load certificates.

    with httpx.Client(trust_env=False, verify=False) as client:
        print(client.post(JSON, json=BODY).json())
        with client.stream("POST", STREAM, json=BODY) as answer:
            print(list(answer.iter_lines()))


def call_async_httpx():
    import httpx

    async def call():
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            print((await client.post(JSON, json=BODY)).json())
            async with client.stream("POST", STREAM, json=BODY) as answer:
                print([line async for line in answer.aiter_lines()])

    asyncio.run(call())


def call_aiohttp():
    import aiohttp

    async def call():
        async with aiohttp.ClientSession() as session:
            async with session.post(JSON, json=BODY) as answer:
                print(await answer.json())
            async with session.post(STREAM, json=BODY) as answer:
                print([line async for line in answer.content])

    asyncio.run(call())


def call_urllib():
    import urllib.request

    for url in (JSON, STREAM):
        with urllib.request.urlopen(urllib.request.Request(url, DATA, HEADERS)) as answer:
            print([answer.readline(), answer.read()])
    with urllib.request.urlopen(urllib.request.Request(STREAM, DATA, HEADERS)) as answer:
        print(answer.readline())


def call_sdk():
    sdk = LupisSDK.get_instance()
    if sdk is not None:
        sdk.track_event("clicked", {"button": "buy"})


def call_flush():
    sdk = LupisSDK.get_instance()
    if sdk is not None:
        sdk.flush(2)


def call_with_clients(names):
    """Makes the calls of each named client."""
    for name in names:
        globals()[f"call_{name}"]()


def call_for_targets(targets, names):
    """Makes one target after the other fail, and names it on both streams."""
    for target in targets:
        print("==", target, flush=True)
        print("==", target, file=sys.stderr, flush=True)
        with break_function(target):
            call_with_clients(names)
            with contextlib.suppress(ZeroDivisionError):
                call_flush()
        diagnostics.reset()


if __name__ == "__main__":
    targets, clients = (argument.split(",") for argument in sys.argv[1:3])
    if len(targets) > 1:
        call_with_clients(clients)
        call_for_targets(targets, clients)
    else:
        # The original is not put back, so that the function fails at the end too.
        break_function(targets[0]).__enter__()
        call_with_clients(clients)
    print("done")
    sys.exit(7)
