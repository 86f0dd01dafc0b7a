"""Programs that abandon work cause no message of OpenTelemetry about misuse."""

from textwrap import dedent

import pytest
from servers import wire
from servers.slow import slow_except

PRELUDE = """
import asyncio, gc, logging, os, sys
logging.basicConfig(level="DEBUG", stream=sys.stdout, format="%(name)s %(message)s")
for quiet in ("asyncio", "httpcore", "httpx", "urllib3"):
    logging.getLogger(quiet).setLevel("CRITICAL")
URL = os.environ["WIRE_URL"] + "/v1/chat/completions?hang=1"
BODY = {"model": "test-model", "messages": []}
"""
ABANDONED = {
    "a task when its loop closes": """
        import httpx
        async def call():
            async with httpx.AsyncClient() as client:
                await client.post(URL, json=BODY)
        loop = asyncio.new_event_loop()
        task = loop.create_task(call())
        loop.run_until_complete(asyncio.wait({task}, timeout=0.5))
        del task, call
        loop.close()
        del loop
        gc.collect()
        """,
    "a task of aiohttp": """
        import aiohttp
        async def call():
            async with aiohttp.ClientSession() as session, session.post(URL, json=BODY) as answer:
                await answer.read()
        async def main():
            task = asyncio.ensure_future(call())
            await asyncio.wait({task}, timeout=0.5)
            task.cancel()
            await asyncio.wait({task})
        asyncio.run(main())
        """,
    "an async generator with a span and a conversation": """
        from lupis_instrument import LupisSDK
        sdk = LupisSDK.get_instance()
        async def stream():
            with sdk.conversation("trip"), sdk.create_span("work"):
                for number in range(3):
                    yield number
        async def main():
            async for _ in stream():
                break
        asyncio.run(main())
        gc.collect()
        """,
    "a generator that another thread finishes": """
        import threading
        from lupis_instrument import LupisSDK
        sdk = LupisSDK.get_instance()
        def stream():
            with sdk.conversation("trip", name="talk"):
                yield 1
                yield 2
        going = stream()
        next(going)
        thread = threading.Thread(target=going.close)
        thread.start(); thread.join()
        """,
}


FAST_CASES = ("a task of aiohttp", "an async generator with a span and a conversation")


@pytest.mark.parametrize("name", slow_except(FAST_CASES, ABANDONED))
def test_abandoned_work_causes_no_message(run, name):
    """Neither the program's log nor stderr has one, at any level."""
    with wire.serving() as server:
        done = run(
            PRELUDE + dedent(ABANDONED[name]),
            env={"WIRE_URL": server.url, "PYTHONWARNINGS": "ignore"},
        )
    assert 0 == done.returncode
    for line in ("Failed to detach context", "Overriding of current TracerProvider"):
        assert line not in done.stdout + done.stderr
