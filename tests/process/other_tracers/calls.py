"""Makes LLM calls with many libraries; tests/process/test_calls_are_counted_once.py names them."""

import asyncio
import os

BASE = os.environ["WIRE_URL"]
URL = f"{BASE}/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "Count!"}]
BODY = {"model": "test-model", "messages": MESSAGES}
STREAMED = {"form": "stream"}
OPENAI = {"base_url": f"{BASE}/v1", "api_key": "made-up", "max_retries": 0}


def call_requests():
    import requests

    requests.post(URL, json=BODY, timeout=30).json()


def call_urllib3():
    import urllib3

    urllib3.PoolManager().request("POST", URL, json=BODY).json()


def call_urllib():
    import json
    import urllib.request

    request = urllib.request.Request(URL, json.dumps(BODY).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


def call_httpx():
    import httpx

    httpx.post(URL, json=BODY).json()


def call_httpx2():
    import httpx2

    httpx2.post(URL, json=BODY).json()


def call_async_httpx():
    import httpx

    async def call():
        async with httpx.AsyncClient() as client:
            (await client.post(URL, json=BODY)).json()

    asyncio.run(call())


def call_aiohttp():
    import aiohttp

    async def call():
        async with aiohttp.ClientSession() as session, session.post(URL, json=BODY) as answer:
            await answer.json()

    asyncio.run(call())


def call_httpx_aiohttp():
    import httpx
    from httpx_aiohttp import AiohttpTransport

    async def call():
        async with httpx.AsyncClient(transport=AiohttpTransport()) as client:
            (await client.post(URL, json=BODY)).json()

    asyncio.run(call())


def call_openai():
    import openai

    with openai.OpenAI(**OPENAI) as client:
        client.chat.completions.create(model="test-model", messages=MESSAGES)


def call_openai_stream():
    import openai

    with openai.OpenAI(**OPENAI, default_query=STREAMED) as client:
        options = {"stream_options": {"include_usage": True}}
        for _ in client.chat.completions.create(
            model="test-model", messages=MESSAGES, stream=True, **options
        ):
            pass


def call_async_openai():
    import openai

    async def call():
        async with openai.AsyncOpenAI(**OPENAI) as client:
            await client.chat.completions.create(model="test-model", messages=MESSAGES)

    asyncio.run(call())


def call_openai_aiohttp():
    import openai

    async def call():
        http_client = openai.DefaultAioHttpClient()
        async with openai.AsyncOpenAI(**OPENAI, http_client=http_client) as client:
            await client.chat.completions.create(model="test-model", messages=MESSAGES)

    asyncio.run(call())


def call_openai_abandoned():
    """Closes a stream early: the library's span may never learn its tokens."""
    import openai

    with openai.OpenAI(**OPENAI, default_query=STREAMED) as client:
        stream = client.chat.completions.create(model="test-model", messages=MESSAGES, stream=True)
        next(iter(stream))
        stream.close()


def call_anthropic():
    import anthropic

    with anthropic.Anthropic(base_url=BASE, api_key="made-up", max_retries=0) as client:
        client.messages.create(model="test-model", max_tokens=9, messages=MESSAGES)


def call_litellm():
    import litellm

    litellm.completion(
        model="openai/test-model", messages=MESSAGES, api_base=f"{BASE}/v1", api_key="made-up"
    )


def call_async_litellm():
    import litellm

    async def call():
        await litellm.acompletion(
            model="openai/test-model", messages=MESSAGES, api_base=f"{BASE}/v1", api_key="made-up"
        )

    asyncio.run(call())


def call_boto3():
    import boto3

    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=BASE,
        region_name="us-east-1",
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
    )
    messages = [{"role": "user", "content": [{"text": "Count!"}]}]
    client.converse(modelId="test-model", messages=messages)
