"""Replies in Anthropic's format: messages, and counts of their tokens."""

from __future__ import annotations

import json
from typing import Iterator

from fake_wire.made_up import Answer, Json, make_answer, read_prompt, split
from fake_wire.replies import Fault, Reply, event_stream, sse


def messages(body: Json, _path: str) -> Reply:
    """Reply to POST /v1/messages."""
    answer = make_answer(read_prompt(body, body["model"]))
    if body.get("stream"):
        return event_stream(sse(event, event["type"]) for event in events_of(answer))
    return Reply(
        {
            **head_of(answer),
            "content": [block_of(answer)],
            "stop_reason": reason_of(answer),
            "usage": usage_of(answer, answer.spoken),
        }
    )


def head_of(answer: Answer) -> Json:
    """Return a message without content."""
    return {
        "id": f"msg_{answer.key}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage_of(answer, 1),
    }


def usage_of(answer: Answer, spoken: int) -> Json:
    """Return the usage of a message; Anthropic does not count cached tokens as input tokens."""
    return {
        "input_tokens": answer.fresh,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached,
        "output_tokens": spoken,
        "service_tier": "standard",
    }


def reason_of(answer: Answer) -> str:
    """Return the reason for which the model stopped."""
    return "tool_use" if answer.call else "end_turn"


def block_of(answer: Answer) -> Json:
    """Return the only block of a message: a text or a tool call."""
    if answer.call:
        name, arguments = answer.call
        return {"type": "tool_use", "id": f"toolu_{answer.key}", "name": name, "input": arguments}
    return {"type": "text", "text": answer.text}


def events_of(answer: Answer) -> Iterator[Json]:
    """Yield the events of a streamed message: input tokens come first, output tokens last."""
    block = block_of(answer)
    empty = {**block, "input": {}} if answer.call else {**block, "text": ""}
    yield {"type": "message_start", "message": head_of(answer)}
    yield {"type": "content_block_start", "index": 0, "content_block": empty}
    yield {"type": "ping"}
    deltas: list[Json] = [{"type": "text_delta", "text": word} for word in split(answer.text)]
    if answer.call:
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(answer.call[1])}]
    for delta in deltas:
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    ending = {"stop_reason": reason_of(answer), "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": {"output_tokens": answer.spoken}}
    yield {"type": "message_stop"}


def count(body: Json, _path: str) -> Reply:
    """Reply to POST /v1/messages/count_tokens."""
    answer = make_answer(read_prompt(body, body["model"]))
    return Reply({"input_tokens": answer.fresh + answer.cached})


def error(fault: Fault, message: str) -> Json:
    """Return an error in Anthropic's format."""
    return {"type": "error", "error": {"type": fault.kind, "message": message}}
