"""Answers as OpenAI does: chat completions, responses and embeddings."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any, Iterator

from fake_wire.made_up import (
    VECTOR_SIZE,
    Answer,
    Json,
    answer,
    count_tokens,
    read_prompt,
    split,
    vector,
)
from fake_wire.replies import Fault, Reply, event_stream, sse

CREATED = 1_767_225_600  # the one moment at which everything here is said to happen


def chat(body: Json, _path: str) -> Reply:
    """POST /v1/chat/completions."""
    said = answer(read_prompt(body, body["model"]))
    if body.get("stream"):
        asked = (body.get("stream_options") or {}).get("include_usage")
        return event_stream(chat_events(said, with_usage=bool(asked)))
    message: Json = {"role": "assistant", "content": said.text or None, "refusal": None}
    if said.call:
        message["tool_calls"] = [chat_tool_call(said)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": chat_reason(said)}
    return Reply({**chat_head(said, ""), "choices": [choice], "usage": chat_usage(said)})


def chat_head(said: Answer, suffix: str) -> Json:
    """The fields that an answer and each part of its stream begin with."""
    kind = f"chat.completion{suffix}"
    return {
        "id": f"chatcmpl-{said.key}",
        "object": kind,
        "created": CREATED,
        "model": said.model,
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
    }


def chat_usage(said: Answer) -> Json:
    """What a chat completion, or an embedding, reports as used."""
    read = said.fresh + said.cached
    return {
        "prompt_tokens": read,
        "completion_tokens": said.spoken,
        "total_tokens": read + said.spoken,
        "prompt_tokens_details": {"cached_tokens": said.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def chat_reason(said: Answer) -> str:
    """Why the model stopped."""
    return "tool_calls" if said.call else "stop"


def chat_tool_call(said: Answer) -> Json:
    """The tool call of an answer."""
    name, arguments = said.call or ("", {})
    return {
        "id": f"call_{said.key}",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }


def chat_events(said: Answer, *, with_usage: bool) -> Iterator[bytes]:
    """The parts of a streamed chat completion; the usage comes last, if it was asked for."""
    extra: Json = {"usage": None} if with_usage else {}

    def part(delta: Json, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return sse({**chat_head(said, ".chunk"), "choices": [choice], **extra})

    yield part({"role": "assistant", "content": None if said.call else ""})
    if said.call:
        yield part({"tool_calls": [{"index": 0, **chat_tool_call(said)}]})
    for word in split(said.text):
        yield part({"content": word})
    yield part({}, chat_reason(said))
    if with_usage:
        yield sse({**chat_head(said, ".chunk"), "choices": [], "usage": chat_usage(said)})
    yield sse("[DONE]")


# OpenAI: responses.


def responses(body: Json, _path: str) -> Reply:
    """POST /v1/responses."""
    said = answer(read_prompt(body, body["model"]))
    if body.get("stream"):
        return event_stream(
            sse({**event, "sequence_number": place}, event["type"])
            for place, event in enumerate(response_events(said))
        )
    return Reply(response_object(said, done=True))


def response_object(said: Answer, *, done: bool) -> Json:
    """A response, at its beginning or at its end."""
    return {
        "id": f"resp_{said.key}",
        "object": "response",
        "created_at": CREATED,
        "status": "completed" if done else "in_progress",
        "model": said.model,
        "output": [response_item(said)] if done else [],
        "error": None,
        "incomplete_details": None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": response_usage(said) if done else None,
    }


def response_usage(said: Answer) -> Json:
    """What a response reports as used."""
    read = said.fresh + said.cached
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": said.cached},
        "output_tokens": said.spoken,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + said.spoken,
    }


def response_item(said: Answer) -> Json:
    """The one thing that a response holds: a message or a tool call."""
    if said.call:
        return {
            "type": "function_call",
            "id": f"fc_{said.key}",
            "call_id": f"call_{said.key}",
            "status": "completed",
            "name": said.call[0],
            "arguments": json.dumps(said.call[1]),
        }
    return {
        "type": "message",
        "id": f"msg_{said.key}",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": said.text, "annotations": []}],
    }


def response_events(said: Answer) -> Iterator[Json]:
    """The events of a streamed response."""
    item = response_item(said)
    yield {"type": "response.created", "response": response_object(said, done=False)}
    opened = {**item, "status": "in_progress"}
    if said.call:
        opened["arguments"] = ""
        yield {"type": "response.output_item.added", "output_index": 0, "item": opened}
        yield from response_part(item, "function_call_arguments", "arguments", [item["arguments"]])
    else:
        opened["content"] = []
        yield {"type": "response.output_item.added", "output_index": 0, "item": opened}
        yield from response_text(item, said.text)
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": response_object(said, done=True)}


def response_text(item: Json, text: str) -> Iterator[Json]:
    """The events of a streamed response that carry its text."""
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    part = item["content"][0]
    yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
    yield from response_part(item, "output_text", "text", split(text))
    yield {"type": "response.content_part.done", **place, "part": part}


def response_part(item: Json, kind: str, field: str, words: list[str]) -> Iterator[Json]:
    """The events that carry a text bit by bit, and then as a whole."""
    place: Json = {"item_id": item["id"], "output_index": 0}
    if field == "text":
        place.update(content_index=0, logprobs=[])
    for word in words:
        yield {"type": f"response.{kind}.delta", **place, "delta": word}
    yield {"type": f"response.{kind}.done", **place, field: "".join(words)}


# OpenAI: embeddings.


def embeddings(body: Json, _path: str) -> Reply:
    """POST /v1/embeddings."""
    inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data: list[Json] = []
    for place, text in enumerate(inputs):
        numbers: Any = vector(text, body.get("dimensions") or VECTOR_SIZE)
        if body.get("encoding_format") == "base64":
            numbers = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
        data.append({"object": "embedding", "index": place, "embedding": numbers})
    used = count_tokens(inputs)
    usage = {"prompt_tokens": used, "total_tokens": used}
    return Reply({"object": "list", "data": data, "model": body["model"], "usage": usage})


def error(fault: Fault, message: str) -> Json:
    """An error as OpenAI words it."""
    return {"error": {"message": message, "type": fault.kind, "param": None, "code": fault.kind}}
