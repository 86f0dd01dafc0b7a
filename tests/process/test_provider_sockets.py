"""Providers' own packages that talk over WebSockets, against a local server."""

import pytest

pytest.importorskip("websockets.asyncio.client")

from servers import llm_sockets

GENAI = """
import asyncio, sys
from google import genai
from google.genai import live, types

connect = live.ws_connect

def connect_without_tls(uri, *, additional_headers, **_):
    return connect(uri.replace("wss:", "ws:"), additional_headers=additional_headers)

live.ws_connect = connect_without_tls  # the package itself always uses TLS

async def main():
    options = types.HttpOptions(base_url=sys.argv[1])
    client = genai.Client(api_key="key", http_options=options)
    config = {"response_modalities": ["TEXT"], "system_instruction": "prompt"}
    async with client.aio.live.connect(model="gemini-2.5-flash", config=config) as session:
        for _ in range(2):
            turn = types.Content(role="user", parts=[types.Part(text="prompt")])
            await session.send_client_content(turns=turn, turn_complete=True)
            async for message in session.receive():
                if message.usage_metadata:
                    print(message.usage_metadata.total_token_count)

asyncio.run(main())
"""


def test_turns_of_a_live_session_are_calls(run):
    """Each has the usage that the server reports at its end."""
    pytest.importorskip("google.genai")
    with llm_sockets.serving() as url:
        done = run(GENAI, url.replace("ws:", "http:"))
    usage = llm_sockets.LIVE_USAGE
    assert [str(usage["totalTokenCount"])] * 2 == done.stdout.splitlines()
    assert "" == done.stderr
    assert ["generate_content gemini-2.5-flash"] * 2 == [span["name"] for span in done.spans]
    tokens = [span["attributes"]["gen_ai.usage.input_tokens"] for span in done.spans]
    assert [usage["promptTokenCount"]] * 2 == tokens
    assert llm_sockets.SECRET not in repr(done.spans)
