"""Answers as Anthropic does: messages, and counts of their tokens."""

from __future__ import annotations

import json
from typing import Iterator

from fake_wire.made_up import Answer, Json, answer, read_prompt, split
from fake_wire.replies import Fault, Reply, event_stream, sse


def messages(body: Json, _path: str) -> Reply:
    """POST /v1/messages."""
    said = answer(read_prompt(body, body["model"]))
    if body.get("stream"):
        return event_stream(sse(event, event["type"]) for event in events_of(said))
    return Reply(
        {
            **head_of(said),
            "content": [block_of(said)],
            "stop_reason": reason_of(said),
            "usage": usage_of(said, said.spoken),
        }
    )


def head_of(said: Answer) -> Json:
    """A message before anything is said in it."""
    return {
        "id": f"msg_{said.key}",
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage_of(said, 1),
    }


def usage_of(said: Answer, spoken: int) -> Json:
    """What a message reports as used: here the cached tokens are not part of the input."""
    return {
        "input_tokens": said.fresh,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": said.cached,
        "output_tokens": spoken,
        "service_tier": "standard",
    }


def reason_of(said: Answer) -> str:
    """Why the model stopped."""
    return "tool_use" if said.call else "end_turn"


def block_of(said: Answer) -> Json:
    """The one thing that a message holds: a text or a tool call."""
    if said.call:
        name, arguments = said.call
        return {"type": "tool_use", "id": f"toolu_{said.key}", "name": name, "input": arguments}
    return {"type": "text", "text": said.text}


def events_of(said: Answer) -> Iterator[Json]:
    """The events of a streamed message: input tokens come first, output tokens last."""
    block = block_of(said)
    empty = {**block, "input": {}} if said.call else {**block, "text": ""}
    yield {"type": "message_start", "message": head_of(said)}
    yield {"type": "content_block_start", "index": 0, "content_block": empty}
    yield {"type": "ping"}
    deltas: list[Json] = [{"type": "text_delta", "text": word} for word in split(said.text)]
    if said.call:
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(said.call[1])}]
    for delta in deltas:
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    ending = {"stop_reason": reason_of(said), "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": {"output_tokens": said.spoken}}
    yield {"type": "message_stop"}


def count(body: Json, _path: str) -> Reply:
    """POST /v1/messages/count_tokens."""
    said = answer(read_prompt(body, body["model"]))
    return Reply({"input_tokens": said.fresh + said.cached})


def error(fault: Fault, message: str) -> Json:
    """An error as Anthropic words it."""
    return {"type": "error", "error": {"type": fault.kind, "message": message}}
