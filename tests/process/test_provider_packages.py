"""A call with a provider's own package has one span with the exact usage.

The packages are large: `pip install --group sdks` installs them. Without them, their tests skip.
"""

from __future__ import annotations

import importlib.util
import json
from types import MappingProxyType
from typing import Mapping, NamedTuple

import pytest
from servers import replay
from servers.event_stream import chunk, event

MESSAGES = '[{"role": "user", "content": "Hi"}]'
MODEL = "test-model"


class Answer(NamedTuple):
    """A response of the provider."""

    body: bytes
    headers: dict
    status: int = 200


class Case(NamedTuple):
    """A call with a package."""

    package: str
    program: str
    """The text of a program that prints the response."""
    path: str
    answer: Answer
    model: str = MODEL
    tokens: tuple = (11, 7)
    environment: Mapping = MappingProxyType({})


def json_answer(value):
    return Answer(json.dumps(value).encode(), {"content-type": "application/json"})


def event_stream_answer(*events, end="data: [DONE]\n\n"):
    text = "".join(
        f"event: {data['type']}\ndata: {json.dumps(data)}\n\n" if "type" in data
        else f"data: {json.dumps(data)}\n\n"
        for data in events
    )  # fmt: skip
    return Answer((text + end).encode(), {"content-type": "text/event-stream"})


def aws_stream_answer(*events):
    kind = "application/vnd.amazon.eventstream"
    return Answer(b"".join(events), {"content-type": kind})


USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
COMPLETION = {"id": "c1", "object": "chat.completion", "created": 1, "model": MODEL}
CHAT = json_answer(
    {
        **COMPLETION,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello"},
            }
        ],
        "usage": USAGE,
    }
)
CHUNK_CHOICE = {
    "index": 0,
    "delta": {"role": "assistant", "content": "Hello"},
    "finish_reason": None,
}
CHUNK = {**COMPLETION, "object": "chat.completion.chunk"}
CHAT_STREAM = event_stream_answer(
    {**CHUNK, "choices": [CHUNK_CHOICE]},
    {**CHUNK, "choices": [{**CHUNK_CHOICE, "delta": {}, "finish_reason": "stop"}]},
    {**CHUNK, "choices": [], "usage": USAGE},
)
TEXT = {"type": "output_text", "text": "Hello", "annotations": []}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": MODEL,
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [TEXT],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 18,
    },
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": MODEL,
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 11, "output_tokens": 7},
}
MESSAGE_EVENTS = (
    {
        "type": "message_start",
        "message": {
            **MESSAGE,
            "content": [],
            "stop_reason": None,
            "usage": {"input_tokens": 11, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "Hello"},
    },
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 7},
    },
    {"type": "message_stop"},
)
GENERATED = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"text": "Hello"}]},
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18},
    "modelVersion": MODEL,
    "responseId": "r1",
}
BEDROCK = """
import boto3
client = boto3.client(
    "bedrock-runtime", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
)
messages = [{"role": "user", "content": [{"text": "Hi"}]}]
"""
CONVERSE_USAGE = {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}
CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"

CASES = {
    "openai": Case(
        "openai",
        f"""
        import openai
        client = openai.OpenAI(api_key="k")
        print(client.chat.completions.create(model="m", messages={MESSAGES}).choices[0].message.content)
        """,
        "/v1/chat/completions",
        CHAT,
    ),
    "openai stream": Case(
        "openai",
        f"""
        import openai
        client = openai.OpenAI(api_key="k")
        for part in client.chat.completions.create(model="m", messages={MESSAGES}, stream=True):
            print(part.id)
        """,
        "/v1/chat/completions",
        CHAT_STREAM,
    ),
    "openai async responses stream": Case(
        "openai",
        """
        import asyncio, openai
        async def main():
            async with openai.AsyncOpenAI(api_key="k") as client:
                async for event in await client.responses.create(model="m", input="Hi", stream=True):
                    print(event.type)
        asyncio.run(main())
        """,
        "/v1/responses",
        event_stream_answer(
            {"type": "response.created", "sequence_number": 0, "response": {**RESPONSE, "usage": None}},
            {"type": "response.completed", "sequence_number": 1, "response": RESPONSE},
            end="",
        ),
    ),
    "anthropic": Case(
        "anthropic",
        f"""
        import anthropic
        client = anthropic.Anthropic(api_key="k")
        print(client.messages.create(model="m", max_tokens=9, messages={MESSAGES}).content[0].text)
        """,
        "/v1/messages",
        json_answer(MESSAGE),
    ),
    "anthropic stream": Case(
        "anthropic",
        f"""
        import anthropic
        client = anthropic.Anthropic(api_key="k")
        with client.messages.stream(model="m", max_tokens=9, messages={MESSAGES}) as stream:
            print(*stream.text_stream)
        """,
        "/v1/messages",
        event_stream_answer(*MESSAGE_EVENTS, end=""),
    ),
    "google-genai": Case(
        "google.genai",
        """
        from google import genai
        client = genai.Client(api_key="k")
        print(client.models.generate_content(model="m", contents="Hi").text)
        """,
        "/v1/models/m:generateContent",
        json_answer(GENERATED),
    ),
    "google-genai async stream": Case(
        "google.genai",
        """
        import asyncio
        from google import genai
        async def main():
            client = genai.Client(api_key="k")
            async for part in await client.aio.models.generate_content_stream(model="m", contents="Hi"):
                print(part.text)
        asyncio.run(main())
        """,
        "/v1/models/m:streamGenerateContent",
        event_stream_answer(GENERATED, end=""),
    ),
    "boto3 converse": Case(
        "boto3",
        f"""{BEDROCK}
print(client.converse(modelId="{CLAUDE}", messages=messages)["stopReason"])
        """,
        f"/model/{CLAUDE}/converse",
        json_answer(
            {
                "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
                "stopReason": "end_turn",
                "usage": CONVERSE_USAGE,
                "metrics": {"latencyMs": 5},
            }
        ),
        None,
    ),
    "boto3 converse stream": Case(
        "boto3",
        f"""{BEDROCK}
for event in client.converse_stream(modelId="{CLAUDE}", messages=messages)["stream"]:
    print(list(event))
        """,
        f"/model/{CLAUDE}/converse-stream",
        aws_stream_answer(
            event("messageStart", {"role": "assistant"}),
            event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}}),
            event("messageStop", {"stopReason": "end_turn"}),
            event("metadata", {"usage": CONVERSE_USAGE, "metrics": {"latencyMs": 5}}),
        ),
        None,
    ),
    "boto3 invoke": Case(
        "boto3",
        f"""{BEDROCK}
print(client.invoke_model(modelId="{CLAUDE}", body=b"{{}}")["body"].read().decode())
        """,
        f"/model/{CLAUDE}/invoke",
        json_answer(MESSAGE),
    ),
    "boto3 invoke stream": Case(
        "boto3",
        f"""{BEDROCK}
for event in client.invoke_model_with_response_stream(modelId="{CLAUDE}", body=b"{{}}")["body"]:
    print(event["chunk"]["bytes"].decode())
        """,
        f"/model/{CLAUDE}/invoke-with-response-stream",
        aws_stream_answer(*map(chunk, MESSAGE_EVENTS)),
    ),
    "mistralai": Case(
        "mistralai",
        f"""
        from mistralai.client import Mistral
        print(Mistral(api_key="k").chat.complete(model="m", messages={MESSAGES}).choices[0].message.content)
        """,
        "/v1/chat/completions",
        CHAT,
    ),
    "mistralai stream": Case(
        "mistralai",
        f"""
        from mistralai.client import Mistral
        for part in Mistral(api_key="k").chat.stream(model="m", messages={MESSAGES}):
            print(part.data.id)
        """,
        "/v1/chat/completions",
        CHAT_STREAM,
    ),
    "groq": Case(
        "groq",
        f"""
        import groq
        print(groq.Groq(api_key="k").chat.completions.create(model="m", messages={MESSAGES}).id)
        """,
        "/openai/v1/chat/completions",
        CHAT,
    ),
    "groq stream": Case(
        "groq",
        f"""
        import groq
        client = groq.Groq(api_key="k")
        for part in client.chat.completions.create(model="m", messages={MESSAGES}, stream=True):
            print(part.id)
        """,
        "/openai/v1/chat/completions",
        event_stream_answer(
            {**CHUNK, "choices": [CHUNK_CHOICE]},
            {**CHUNK, "choices": [{**CHUNK_CHOICE, "delta": {}, "finish_reason": "stop"}],
             "x_groq": {"id": "r", "usage": USAGE}},
        ),
    ),
    "cohere": Case(
        "cohere",
        f"""
        import cohere
        print(cohere.ClientV2("k").chat(model="m", messages={MESSAGES}).message.content[0].text)
        """,
        "/v2/chat",
        json_answer(
            {
                "id": "c1",
                "finish_reason": "COMPLETE",
                "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
                "usage": {
                    "billed_units": {"input_tokens": 5, "output_tokens": 7},
                    "tokens": {"input_tokens": 11, "output_tokens": 7},
                },
            }
        ),
        None,
    ),
    "cohere stream": Case(
        "cohere",
        f"""
        import cohere
        for event in cohere.ClientV2("k").chat_stream(model="m", messages={MESSAGES}):
            print(event.type)
        """,
        "/v2/chat",
        event_stream_answer(
            {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
            {
                "type": "message-end",
                "delta": {
                    "finish_reason": "COMPLETE",
                    "usage": {
                        "billed_units": {"input_tokens": 5, "output_tokens": 7},
                        "tokens": {"input_tokens": 11, "output_tokens": 7},
                    },
                },
            },
        ),
        None,
    ),
    "litellm by httpx": Case(
        "litellm",
        f"""
        import litellm
        print(litellm.completion(model="openai/m", api_key="k", messages={MESSAGES}).id)
        """,
        "/v1/chat/completions",
        CHAT,
    ),
    "litellm by aiohttp": Case(
        "litellm",
        f"""
        import asyncio, litellm
        async def main():
            answer = await litellm.acompletion(
                model="anthropic/m", api_key="k", messages={MESSAGES}, stream=True
            )
            async for part in answer:
                print(part.choices[0].delta.content)
        asyncio.run(main())
        """,
        "/v1/messages",
        event_stream_answer(*MESSAGE_EVENTS, end=""),
        environment={"AIOHTTP_TRUST_ENV": "True"},
    ),
    "langchain-openai": Case(
        "langchain_openai",
        """
        from langchain_openai import ChatOpenAI
        print(ChatOpenAI(model="m", api_key="k").invoke("Hi").content)
        """,
        "/v1/chat/completions",
        CHAT,
    ),
    "langchain-openai stream": Case(
        "langchain_openai",
        """
        from langchain_openai import ChatOpenAI
        for part in ChatOpenAI(model="m", api_key="k", stream_usage=True).stream("Hi"):
            print(part.content)
        """,
        "/v1/chat/completions",
        CHAT_STREAM,
    ),
    "ollama": Case(
        "ollama",
        f"""
        import ollama
        for part in ollama.Client("https://ollama.com").chat("m", {MESSAGES}, stream=True):
            print(part.message.content)
        """,
        "/api/chat",
        Answer(
            b"".join(
                json.dumps({"model": MODEL, "message": {"role": "assistant", "content": "Hello"}, **more}).encode() + b"\n"
                for more in (
                    {"done": False},
                    {"done": True, "done_reason": "stop", "prompt_eval_count": 11, "eval_count": 7},
                )
            ),
            {"content-type": "application/x-ndjson"},
        ),
    ),
}  # fmt: skip


def is_installed(package):
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("name", CASES)
def test_a_call_has_one_span_with_exact_usage(name, run, tmp_path):
    """The program reads the same response as without lupis-run."""
    case = CASES[name]
    if not is_installed(case.package):
        pytest.skip(f"{case.package} is not installed")
    with replay.replaying({case.path: case.answer}, tmp_path, chunk=17, encoding="gzip") as proxy:
        environment = {
            "HTTPS_PROXY": proxy.url,
            "SSL_CERT_FILE": proxy.ca_file,
            "REQUESTS_CA_BUNDLE": proxy.ca_file,
            "AWS_CA_BUNDLE": proxy.ca_file,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "DO_NOT_TRACK": "1",
            **case.environment,
        }
        bare, launched = (
            run(case.program, env=environment, launched=value) for value in (False, True)
        )
    assert 0 == bare.returncode, bare.stderr
    assert (0, bare.stdout) == (launched.returncode, launched.stdout), launched.stderr
    (span,) = launched.spans
    attributes = span["attributes"]
    assert (case.model, *case.tokens, "complete") == (
        attributes.get("gen_ai.response.model"),
        attributes["gen_ai.usage.input_tokens"],
        attributes["gen_ai.usage.output_tokens"],
        attributes["lupis.response.outcome"],
    )
