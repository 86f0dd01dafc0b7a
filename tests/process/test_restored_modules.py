"""Calls are recorded once each in programs that restore or change `sys.modules`."""

import importlib.util
from itertools import cycle, product

import pytest
from servers.slow import slow_except

CALLS = {
    "requests": "import requests\ndef call(): requests.post(url, data=data, headers=headers).content",
    "urllib3": "import urllib3\n"
    "def call(): urllib3.PoolManager().request('POST', url, body=data, headers=headers).data",
    "urllib": "import urllib.request as client\n"
    "def call(): client.urlopen(client.Request(url, data, headers)).read()",
    "httpx": "import httpx\ndef call(): httpx.post(url, content=data, headers=headers).content",
    "httpx2": "import httpx2\ndef call(): httpx2.post(url, content=data, headers=headers).content",
    "aiohttp": """
import aiohttp, asyncio
def call():
    async def post():
        async with aiohttp.ClientSession() as session:
            async with session.post(url, data=data, headers=headers) as answer:
                await answer.read()
    asyncio.run(post())
""",
}
"""The function that makes one call, by its client."""
CHANGES = {
    "restored after the first call": "with patch.dict(sys.modules, {'absent': None}): call()\n",
    "restored after each call": "for _ in range(3):\n"
    "    with patch.dict(sys.modules, {'absent': None}): call()\n",
    "without OpenTelemetry during the first call": "with patch.dict(sys.modules, "
    "{'opentelemetry': None}): call()\n",
    "without OpenTelemetry after the first call": """
call()
for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
    del sys.modules[name]
""",
    "with another copy of OpenTelemetry": """
call()
for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
    del sys.modules[name]
import opentelemetry.trace
from opentelemetry.sdk.trace import TracerProvider
opentelemetry.trace.set_tracer_provider(TracerProvider())
""",
}
PROGRAM = """
import json, sys
from unittest.mock import patch
url, headers = sys.argv[1] + "/v1/chat/completions", {"content-type": "application/json"}
data = json.dumps({"model": "gpt-4o-mini", "messages": []}).encode()
"""


FAST_PAIRS = set(zip(CALLS, cycle(CHANGES)))
"""Each client and each change once; the other pairs are slow."""


@pytest.mark.parametrize(("client", "change"), slow_except(FAST_PAIRS, product(CALLS, CHANGES)))
def test_each_call_is_one_span(run, llm, client, change):
    """It has its tokens, and nothing is reported."""
    if importlib.util.find_spec(client) is None:
        pytest.skip(f"no {client}")
    done = run(PROGRAM + CALLS[client] + "\n" + CHANGES[change] + "call()\n" * 3, llm.url)
    assert (0, "") == (done.returncode, done.stderr)
    tokens = [span["attributes"].get("gen_ai.usage.input_tokens") for span in done.spans]
    assert len(llm.seen) == len(tokens)
    assert None not in tokens
