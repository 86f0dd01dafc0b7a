"""Makes up answers and their token counts: the same request always gets the same answer."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Dict, Iterator, NamedTuple

Json = Dict[str, Any]
VECTOR_SIZE = 64  # the default size of an embedding
# Names of equal members in the requests of different providers.
SCHEMA_KEYS = ("parameters", "input_schema", "parametersJsonSchema", "parameters_json_schema")
TEXT_KEYS = ("text", "content", "parts", "output", "response", "result")
RESULT_TYPES = ("tool_result", "function_call_output")


class Prompt(NamedTuple):
    """A request, in the same form for all providers.

    Attributes:
        model: the model's name.
        turns: the turns of the conversation, oldest first.
        preamble: the system prompt and the tools, which count as input.
        tools: the name and the JSON schema of each offered tool.
    """

    model: str
    turns: list[Any]
    preamble: list[Any]
    tools: list[tuple[str, Json]]


def read_prompt(body: Json, model: str) -> Prompt:
    """Read the body of a request to any provider; they differ only in names of members."""
    turns: Any = next((body[key] for key in ("messages", "input", "contents") if key in body), [])
    system = [body[key] for key in ("system", "instructions", "systemInstruction") if key in body]
    return Prompt(
        model,
        turns if isinstance(turns, list) else [turns],
        [*system, body.get("tools") or []],
        list(tools_in(body)),
    )


def tools_in(body: Json) -> Iterator[tuple[str, Json]]:
    """Yield the name and the schema of each offered function."""
    for tool in body.get("tools") or []:
        for offer in tool.get("functionDeclarations") or [tool.get("function") or tool]:
            schema: Json = next((offer[key] for key in SCHEMA_KEYS if offer.get(key)), {})
            if "name" in offer:
                yield offer["name"], schema


def text_of(value: Any) -> str:
    """Return the text in a message or a part of a message of any provider."""
    if isinstance(value, list):
        return " ".join(filter(None, map(text_of, value)))
    if isinstance(value, dict):
        return next((text_of(value[key]) for key in TEXT_KEYS if key in value), "")
    return "" if value is None else str(value)


def pieces_of(turn: Any) -> Iterator[Json]:
    """Yield a turn and its parts that are objects."""
    if isinstance(turn, dict):
        yield turn
        for key in ("content", "parts"):
            parts = turn.get(key)
            yield from (part for part in parts or () if isinstance(part, dict))


def find_tool_result(turn: Any) -> str | None:
    """Return the tool's result in a turn, or None."""
    for piece in pieces_of(turn):
        if "functionResponse" in piece:
            return text_of(piece["functionResponse"])
        if piece.get("role") == "tool" or piece.get("type") in RESULT_TYPES:
            return text_of(piece)
    return None


def is_user_turn(turn: Any) -> bool:
    """Return whether a turn is the user's, and not the model's, a tool's or the system's."""
    return find_tool_result(turn) is None and (
        not isinstance(turn, dict) or turn.get("role", "user") == "user"
    )


class Answer(NamedTuple):
    """A made-up answer, before it has a provider's format.

    Attributes:
        key: a hexadecimal number for ids, the same for the same request.
        model: the model's name.
        text: the text; empty if there is a tool call.
        call: the name and the arguments of the tool to call.
        fresh: the number of input tokens that are not cached.
        cached: the number of input tokens that an earlier turn has cached.
        spoken: the number of output tokens.
    """

    key: str
    model: str
    text: str
    call: tuple[str, Json] | None
    fresh: int
    cached: int
    spoken: int


def count_tokens(value: Any) -> int:
    """Return a made-up count: one token for every four characters of JSON."""
    return (len(json.dumps(value)) + 3) // 4


def make_answer(prompt: Prompt) -> Answer:
    """Make up the answer to a prompt: first a tool call, if there are tools, then a text."""
    question = text_of(next(filter(is_user_turn, reversed(prompt.turns)), ""))
    result = find_tool_result(prompt.turns[-1]) if prompt.turns else None
    call = None
    if prompt.tools and result is None:
        name, schema = prompt.tools[0]
        call = (name, make_sample(schema, question))
    text = "" if call else make_text(question, result)
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


def make_text(question: str, result: str | None) -> str:
    """Return a made-up text, the same for the same question."""
    if result is not None:
        return f"I looked it up, and this is what I found: {result}"
    excerpt = question if len(question) <= 60 else f"{question[:57]}..."
    return f"You asked {excerpt!r}: a real model would know, this one only ever says so."


def make_sample(schema: Json, question: str) -> Any:
    """Return a value for a JSON schema; a string is the last word of the question."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = str(schema.get("type", "object")).lower()
    if kind == "object":
        fields = schema.get("properties") or {}
        return {
            name: make_sample(fields[name], question) for name in schema.get("required") or fields
        }
    words: list[str] = re.findall(r"\w+", question) or ["anything"]
    return {"string": words[-1], "boolean": True, "array": []}.get(kind, 1)


def digest(value: Any) -> bytes:
    """Return 32 bytes, the same for the same value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()


def vector(text: Any, size: int) -> list[float]:
    """Return a made-up embedding of length 1; texts with common words are near each other."""
    counts = [0.0] * size
    for word in re.findall(r"\w{4,}", str(text).lower()) or [str(text)]:
        counts[int.from_bytes(digest(word)[:4], "big") % size] += 1
    length = sum(count * count for count in counts) ** 0.5
    return [count / length for count in counts]


def split(text: str) -> list[str]:
    """Split a text into the words that a stream sends one by one."""
    return re.findall(r"\S+\s*", text)
