"""Makes up the answer to a prompt of any provider, and what it used: the same every time."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Dict, Iterator, NamedTuple

Json = Dict[str, Any]
VECTOR_SIZE = 64  # of an embedding, unless a request says otherwise
# The names of the same thing with one provider and another:
SCHEMA_KEYS = ("parameters", "input_schema", "parametersJsonSchema", "parameters_json_schema")
TEXT_KEYS = ("text", "content", "parts", "output", "response", "result")
RESULT_TYPES = ("tool_result", "function_call_output")


class Prompt(NamedTuple):
    """A request, read out of its provider's form."""

    model: str
    turns: list[Any]
    """All that the model is given, oldest first."""
    preamble: list[Any]
    """System prompt and tools: counted, never answered."""
    tools: list[tuple[str, Json]]
    """Name and JSON schema of each tool on offer."""


def read_prompt(body: Json, model: str) -> Prompt:
    """Reads a request of any of the providers: they differ in the names of the fields only."""
    turns: Any = next((body[key] for key in ("messages", "input", "contents") if key in body), [])
    system = [body[key] for key in ("system", "instructions", "systemInstruction") if key in body]
    return Prompt(
        model,
        turns if isinstance(turns, list) else [turns],
        [*system, body.get("tools") or []],
        list(tools_in(body)),
    )


def tools_in(body: Json) -> Iterator[tuple[str, Json]]:
    """Yields name and schema of each function on offer."""
    for tool in body.get("tools") or []:
        for offer in tool.get("functionDeclarations") or [tool.get("function") or tool]:
            schema: Json = next((offer[key] for key in SCHEMA_KEYS if offer.get(key)), {})
            if "name" in offer:
                yield offer["name"], schema


def text_of(value: Any) -> str:
    """The text in a message or a part of one, in any of the providers' forms."""
    if isinstance(value, list):
        return " ".join(filter(None, map(text_of, value)))
    if isinstance(value, dict):
        return next((text_of(value[key]) for key in TEXT_KEYS if key in value), "")
    return "" if value is None else str(value)


def pieces_of(turn: Any) -> Iterator[Json]:
    """Yields a turn and the parts that it is made of, as far as they are objects."""
    if isinstance(turn, dict):
        yield turn
        for key in ("content", "parts"):
            parts = turn.get(key)
            yield from (part for part in parts or () if isinstance(part, dict))


def finding_in(turn: Any) -> str | None:
    """The tool's result that a turn hands in, if it does."""
    for piece in pieces_of(turn):
        if "functionResponse" in piece:
            return text_of(piece["functionResponse"])
        if piece.get("role") == "tool" or piece.get("type") in RESULT_TYPES:
            return text_of(piece)
    return None


def is_users(turn: Any) -> bool:
    """Whether a turn is a person's words: neither the model's, nor a tool's, nor instructions."""
    return finding_in(turn) is None and (
        not isinstance(turn, dict) or turn.get("role", "user") == "user"
    )


class Answer(NamedTuple):
    """What the stand-in says, in no provider's form yet."""

    key: str
    """Hexadecimal, the same for the same request: what ids are made of."""
    model: str
    text: str
    call: tuple[str, Json] | None
    """Name and arguments of the tool to call; then the text is empty."""
    fresh: int
    """Input tokens read anew."""
    cached: int
    """Input tokens that an earlier turn left in the cache."""
    spoken: int
    """Output tokens."""


def count_tokens(value: Any) -> int:
    """A made-up count: one token for every four characters of JSON."""
    return (len(json.dumps(value)) + 3) // 4


def answer(prompt: Prompt) -> Answer:
    """Makes up the answer to a prompt: a tool call first, if there are tools, then text."""
    question = text_of(next(filter(is_users, reversed(prompt.turns)), ""))
    finding = finding_in(prompt.turns[-1]) if prompt.turns else None
    call = None
    if prompt.tools and finding is None:
        name, schema = prompt.tools[0]
        call = (name, sample(schema, question))
    text = "" if call else say(question, finding)
    cached = count_tokens(prompt.turns[:-1]) if len(prompt.turns) > 2 else 0
    return Answer(
        key=digest([prompt.model, prompt.preamble, prompt.turns]).hex()[:24],
        model=prompt.model,
        text=text,
        call=call,
        fresh=count_tokens([prompt.preamble, prompt.turns]) - cached,
        cached=cached,
        spoken=count_tokens(call or text),
    )


def say(question: str, finding: str | None) -> str:
    """Made-up words, the same for the same question."""
    if finding is not None:
        return f"I looked it up, and this is what I found: {finding}"
    asked = question if len(question) <= 60 else f"{question[:57]}..."
    return f"You asked {asked!r}: a real model would know, this one only ever says so."


def sample(schema: Json, question: str) -> Any:
    """A value that fits a JSON schema; a text is the last word of the question."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = str(schema.get("type", "object")).lower()
    if kind == "object":
        fields = schema.get("properties") or {}
        return {name: sample(fields[name], question) for name in schema.get("required") or fields}
    words: list[str] = re.findall(r"\w+", question) or ["anything"]
    return {"string": words[-1], "boolean": True, "array": []}.get(kind, 1)


def digest(value: Any) -> bytes:
    """32 bytes that are the same for the same value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()


def vector(text: Any, size: int) -> list[float]:
    """A made-up embedding of length 1: texts that have words in common are near each other."""
    counts = [0.0] * size
    for word in re.findall(r"\w{4,}", str(text).lower()) or [str(text)]:
        counts[int.from_bytes(digest(word)[:4], "big") % size] += 1
    length = sum(count * count for count in counts) ** 0.5
    return [count / length for count in counts]


def split(text: str) -> list[str]:
    """Cuts a text into the words that a stream sends one by one."""
    return re.findall(r"\S+\s*", text)
