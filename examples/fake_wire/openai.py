"""Replies in OpenAI's format: chat completions, responses and embeddings."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any, Iterator

from fake_wire.made_up import (
    VECTOR_SIZE,
    Answer,
    Json,
    count_tokens,
    make_answer,
    read_prompt,
    split,
    vector,
)
from fake_wire.replies import Fault, Reply, event_stream, sse

CREATED = 1_767_225_600  # the same moment for all replies


def chat(body: Json, _path: str) -> Reply:
    """Reply to POST /v1/chat/completions."""
    answer = make_answer(read_prompt(body, body["model"]))
    if body.get("stream"):
        with_usage = (body.get("stream_options") or {}).get("include_usage")
        return event_stream(chat_events(answer, with_usage=bool(with_usage)))
    message: Json = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.call:
        message["tool_calls"] = [chat_tool_call(answer)]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": chat_reason(answer),
    }
    return Reply({**chat_head(answer, ""), "choices": [choice], "usage": chat_usage(answer)})


def chat_head(answer: Answer, suffix: str) -> Json:
    """Return the fields that a completion and the parts of its stream have in common."""
    kind = f"chat.completion{suffix}"
    return {
        "id": f"chatcmpl-{answer.key}",
        "object": kind,
        "created": CREATED,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
    }


def chat_usage(answer: Answer) -> Json:
    """Return the usage of a chat completion."""
    read = answer.fresh + answer.cached
    return {
        "prompt_tokens": read,
        "completion_tokens": answer.spoken,
        "total_tokens": read + answer.spoken,
        "prompt_tokens_details": {"cached_tokens": answer.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def chat_reason(answer: Answer) -> str:
    """Return the reason for which the model stopped."""
    return "tool_calls" if answer.call else "stop"


def chat_tool_call(answer: Answer) -> Json:
    """Return the tool call in an answer."""
    name, arguments = answer.call or ("", {})
    return {
        "id": f"call_{answer.key}",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }


def chat_events(answer: Answer, *, with_usage: bool) -> Iterator[bytes]:
    """Yield the parts of a streamed chat completion; the usage comes last, if requested."""
    extra: Json = {"usage": None} if with_usage else {}

    def part(delta: Json, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return sse({**chat_head(answer, ".chunk"), "choices": [choice], **extra})

    yield part({"role": "assistant", "content": None if answer.call else ""})
    if answer.call:
        yield part({"tool_calls": [{"index": 0, **chat_tool_call(answer)}]})
    for word in split(answer.text):
        yield part({"content": word})
    yield part({}, chat_reason(answer))
    if with_usage:
        yield sse({**chat_head(answer, ".chunk"), "choices": [], "usage": chat_usage(answer)})
    yield sse("[DONE]")


# OpenAI: responses.


def responses(body: Json, _path: str) -> Reply:
    """Reply to POST /v1/responses."""
    answer = make_answer(read_prompt(body, body["model"]))
    if body.get("stream"):
        return event_stream(
            sse({**event, "sequence_number": number}, event["type"])
            for number, event in enumerate(response_events(answer))
        )
    return Reply(response_object(answer, done=True))


def response_object(answer: Answer, *, done: bool) -> Json:
    """Return a response, finished or just begun."""
    return {
        "id": f"resp_{answer.key}",
        "object": "response",
        "created_at": CREATED,
        "status": "completed" if done else "in_progress",
        "model": answer.model,
        "output": [response_item(answer)] if done else [],
        "error": None,
        "incomplete_details": None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": response_usage(answer) if done else None,
    }


def response_usage(answer: Answer) -> Json:
    """Return the usage of a response."""
    read = answer.fresh + answer.cached
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": answer.cached},
        "output_tokens": answer.spoken,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + answer.spoken,
    }


def response_item(answer: Answer) -> Json:
    """Return the only item of a response: a message or a tool call."""
    if answer.call:
        return {
            "type": "function_call",
            "id": f"fc_{answer.key}",
            "call_id": f"call_{answer.key}",
            "status": "completed",
            "name": answer.call[0],
            "arguments": json.dumps(answer.call[1]),
        }
    return {
        "type": "message",
        "id": f"msg_{answer.key}",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": answer.text, "annotations": []}],
    }


def response_events(answer: Answer) -> Iterator[Json]:
    """Yield the events of a streamed response."""
    item = response_item(answer)
    yield {"type": "response.created", "response": response_object(answer, done=False)}
    opened = {**item, "status": "in_progress"}
    if answer.call:
        opened["arguments"] = ""
        yield {"type": "response.output_item.added", "output_index": 0, "item": opened}
        yield from response_part(item, "function_call_arguments", "arguments", [item["arguments"]])
    else:
        opened["content"] = []
        yield {"type": "response.output_item.added", "output_index": 0, "item": opened}
        yield from response_text(item, answer.text)
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": response_object(answer, done=True)}


def response_text(item: Json, text: str) -> Iterator[Json]:
    """Yield the events with the text of a streamed response."""
    position = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    part = item["content"][0]
    yield {"type": "response.content_part.added", **position, "part": {**part, "text": ""}}
    yield from response_part(item, "output_text", "text", split(text))
    yield {"type": "response.content_part.done", **position, "part": part}


def response_part(item: Json, kind: str, field: str, words: list[str]) -> Iterator[Json]:
    """Yield the events with a text in pieces, then the event with the whole text."""
    position: Json = {"item_id": item["id"], "output_index": 0}
    if field == "text":
        position.update(content_index=0, logprobs=[])
    for word in words:
        yield {"type": f"response.{kind}.delta", **position, "delta": word}
    yield {"type": f"response.{kind}.done", **position, field: "".join(words)}


# OpenAI: embeddings.


def embeddings(body: Json, _path: str) -> Reply:
    """Reply to POST /v1/embeddings."""
    inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data: list[Json] = []
    for index, text in enumerate(inputs):
        numbers: Any = vector(text, body.get("dimensions") or VECTOR_SIZE)
        if body.get("encoding_format") == "base64":
            numbers = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
        data.append({"object": "embedding", "index": index, "embedding": numbers})
    used = count_tokens(inputs)
    usage = {"prompt_tokens": used, "total_tokens": used}
    return Reply({"object": "list", "data": data, "model": body["model"], "usage": usage})


def error(fault: Fault, message: str) -> Json:
    """Return an error in OpenAI's format."""
    return {"error": {"message": message, "type": fault.kind, "param": None, "code": fault.kind}}
