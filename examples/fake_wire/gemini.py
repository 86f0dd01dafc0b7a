"""Answers as Gemini does: generated content, embeddings, and counts of tokens."""

from __future__ import annotations

import json

from fake_wire.made_up import VECTOR_SIZE, Answer, Json, answer, read_prompt, split, text_of, vector
from fake_wire.replies import Fault, Reply, event_stream, sse


def generate(body: Json, path: str) -> Reply:
    """POST /v1beta/models/MODEL:generateContent."""
    said = answer(read_prompt(body, model_in(path)))
    return Reply(part_of(said, content_of(said), last=True))


def stream(body: Json, path: str) -> Reply:
    """POST /v1beta/models/MODEL:streamGenerateContent; a JSON array unless ?alt=sse is asked."""
    said = answer(read_prompt(body, model_in(path)))
    contents: list[Json] = [{"text": word} for word in split(said.text)] or [content_of(said)]
    final = len(contents) - 1
    parts = [part_of(said, content, last=place == final) for place, content in enumerate(contents)]
    if "alt=sse" in path:
        return event_stream(map(sse, parts))
    texts = [f"{',' if place else '['}{json.dumps(part)}" for place, part in enumerate(parts)]
    return Reply(None, (text.encode() for text in [*texts, "]"]))


def model_in(path: str) -> str:
    """The model, which Gemini has in the path."""
    return path.partition("/models/")[2].partition(":")[0]


def content_of(said: Answer) -> Json:
    """The one thing that an answer holds: a text or a tool call."""
    if said.call:
        return {"functionCall": {"name": said.call[0], "args": said.call[1]}}
    return {"text": said.text}


def part_of(said: Answer, content: Json, *, last: bool) -> Json:
    """A part of an answer; the last one, or the only one, has the whole usage."""
    candidate: Json = {"content": {"role": "model", "parts": [content]}, "index": 0}
    read = said.fresh + said.cached
    usage: Json = {"promptTokenCount": read, "totalTokenCount": read}
    if last:
        candidate["finishReason"] = "STOP"
        usage.update(candidatesTokenCount=said.spoken, totalTokenCount=read + said.spoken)
        if said.cached:
            usage["cachedContentTokenCount"] = said.cached
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": said.model,
        "responseId": said.key,
    }


def embed(body: Json, _path: str) -> Reply:
    """POST /v1beta/models/MODEL:embedContent."""
    return Reply({"embedding": vector_for(body)})


def embed_many(body: Json, _path: str) -> Reply:
    """POST /v1beta/models/MODEL:batchEmbedContents."""
    return Reply({"embeddings": [vector_for(one) for one in body["requests"]]})


def vector_for(body: Json) -> Json:
    """The embedding that one request asks for."""
    size = body.get("outputDimensionality") or VECTOR_SIZE
    return {"values": vector(text_of(body["content"]), size)}


def count(body: Json, path: str) -> Reply:
    """POST /v1beta/models/MODEL:countTokens."""
    said = answer(read_prompt(body, model_in(path)))
    return Reply({"totalTokens": said.fresh + said.cached})


def error(fault: Fault, message: str) -> Json:
    """An error as Gemini words it."""
    return {"error": {"code": fault.status, "message": message, "status": fault.gemini}}
