"""Replies in Gemini's format: generated content, embeddings and counts of tokens."""

from __future__ import annotations

import json

from fake_wire.made_up import (
    VECTOR_SIZE,
    Answer,
    Json,
    make_answer,
    read_prompt,
    split,
    text_of,
    vector,
)
from fake_wire.replies import Fault, Reply, event_stream, sse


def generate(body: Json, path: str) -> Reply:
    """Reply to POST /v1beta/models/MODEL:generateContent."""
    answer = make_answer(read_prompt(body, find_model(path)))
    return Reply(part_of(answer, content_of(answer), last=True))


def stream(body: Json, path: str) -> Reply:
    """Reply to POST /v1beta/models/MODEL:streamGenerateContent: JSON, or events if ?alt=sse."""
    answer = make_answer(read_prompt(body, find_model(path)))
    contents: list[Json] = [{"text": word} for word in split(answer.text)] or [content_of(answer)]
    final = len(contents) - 1
    parts = [
        part_of(answer, content, last=number == final) for number, content in enumerate(contents)
    ]
    if "alt=sse" in path:
        return event_stream(map(sse, parts))
    texts = [f"{',' if number else '['}{json.dumps(part)}" for number, part in enumerate(parts)]
    return Reply(None, (text.encode() for text in [*texts, "]"]))


def find_model(path: str) -> str:
    """Return the model, which is part of Gemini's paths."""
    return path.partition("/models/")[2].partition(":")[0]


def content_of(answer: Answer) -> Json:
    """Return the only part of an answer: a text or a tool call."""
    if answer.call:
        return {"functionCall": {"name": answer.call[0], "args": answer.call[1]}}
    return {"text": answer.text}


def part_of(answer: Answer, content: Json, *, last: bool) -> Json:
    """Return a piece of an answer; only the last piece has the whole usage."""
    candidate: Json = {"content": {"role": "model", "parts": [content]}, "index": 0}
    read = answer.fresh + answer.cached
    usage: Json = {"promptTokenCount": read, "totalTokenCount": read}
    if last:
        candidate["finishReason"] = "STOP"
        usage.update(candidatesTokenCount=answer.spoken, totalTokenCount=read + answer.spoken)
        if answer.cached:
            usage["cachedContentTokenCount"] = answer.cached
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": answer.model,
        "responseId": answer.key,
    }


def embed(body: Json, _path: str) -> Reply:
    """Reply to POST /v1beta/models/MODEL:embedContent."""
    return Reply({"embedding": vector_for(body)})


def embed_many(body: Json, _path: str) -> Reply:
    """Reply to POST /v1beta/models/MODEL:batchEmbedContents."""
    return Reply({"embeddings": [vector_for(request) for request in body["requests"]]})


def vector_for(body: Json) -> Json:
    """Return the embedding of one request."""
    size = body.get("outputDimensionality") or VECTOR_SIZE
    return {"values": vector(text_of(body["content"]), size)}


def count(body: Json, path: str) -> Reply:
    """Reply to POST /v1beta/models/MODEL:countTokens."""
    answer = make_answer(read_prompt(body, find_model(path)))
    return Reply({"totalTokens": answer.fresh + answer.cached})


def error(fault: Fault, message: str) -> Json:
    """Return an error in Gemini's format."""
    return {"error": {"code": fault.status, "message": message, "status": fault.gemini}}
