"""What a request to an LLM API asks for: its model, and whether the answer is to be a stream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple
from urllib.parse import unquote

from lupis_instrument._llm.body.encodings import build_decoders
from lupis_instrument._llm.body.framing import parse
from lupis_instrument._llm.body.skimming import Skim

if TYPE_CHECKING:
    from lupis_instrument._llm.body.encodings import Write

LARGEST_PARSED = 4 << 20
"""Bytes of a body that are parsed: cheaper than to skim it, and less than it took to write it."""
_MOST_ESCAPES = 100_000
"""Parsing stops all threads, for as long as it takes: mostly to undo what is escaped."""
_BLOCK = 64 * 1024
_MODEL_WORDS = ("model", "model_id", "modelId", "version")
_WORDS: frozenset[str] = frozenset((*_MODEL_WORDS, "stream"))
_WHOLE: frozenset[str] = frozenset()
_MOST_TEXT = 256

# Paths that name the model, one row an API.
_PATH_MODELS = tuple(
    re.compile(pattern)
    for pattern in (
        r"/model/([^/?]+)/[a-z-]+",  # Bedrock: an id, an ARN, an inference profile
        r"/(?:models|tunedModels|endpoints)/([^/?]+):[A-Za-z]+(?:\?|$)",  # Gemini, Vertex AI
        r"/deployments/([^/?]+)/",  # Azure OpenAI
        r"/(?:serving-)?endpoints/([^/?]+)/invocations",  # Databricks, SageMaker
        r"/models/([^/?]+/[^/?]+)/(?:predictions|v1/|pipeline/)",  # Replicate, Hugging Face
        r"^/(?:models|pipeline/[a-z-]+)/(?!chat/completions)([^?]+)$",  # Hugging Face
        r"/ai/run/(@[^?]+)",  # Cloudflare
        r"/engines/([^/?]+)/",  # OpenAI's first API
    )
)
_PATH_STREAM = re.compile(
    r":stream[A-Z]|/[a-z-]*-stream(?:\?|$)|_stream(?:\?|$)|[?&]alt=sse"
)  # fmt: skip
_FORM_FIELD = re.compile(
    rb'name="(model|stream)"[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n([^\r\n]{1,256})\r?\n'
)
_FORM_END = 64 * 1024


class RequestFacts(NamedTuple):
    """What was asked for, by body or path; None where neither says."""

    model: str | None = None
    stream: bool | None = None
    text_length: int | None = None
    """Of the text in `input`, in characters, where that is short: what is to be spoken is."""


def read_request(path: str, asked: Mapping[str, Any]) -> RequestFacts:
    """Read what a request's path and its body's members, from `read_body`, ask for."""
    model = next((asked[word] for word in _MODEL_WORDS if _is_name(asked.get(word))), None)
    stream = asked.get("stream")
    if _PATH_STREAM.search(path):
        stream = True
    text = asked.get("input")
    return RequestFacts(
        model or _find_path_model(path),
        stream if isinstance(stream, bool) else None,
        len(text) if isinstance(text, str) else None,
    )


def _find_path_model(path: str) -> str | None:
    for pattern in _PATH_MODELS:
        match = pattern.search(path)
        if match:
            return unquote(match.group(1))[:_MOST_TEXT]
    return None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MOST_TEXT


def read_body(body: bytes | None) -> Mapping[str, Any]:
    """Return the members of a request's body.

    All of them are there if it is JSON of up to 4 MiB, compressed or not; of one that is larger,
    cut off or full of escapes only those that name the model and the form of the answer.
    """
    if not body:
        return {}
    if body.startswith(b"--"):
        return _read_form(body)
    value = _parse(body)
    return value if isinstance(value, dict) else _skim(body)


def _parse(body: bytes) -> Any:
    may_have_many = len(body) > 2 * _MOST_ESCAPES  # each takes two bytes at least
    if len(body) > LARGEST_PARSED or (may_have_many and body.count(b"\\") > _MOST_ESCAPES):
        return None
    return parse(body)


def _skim(body: bytes) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    skim = Skim(_WORDS, _WHOLE, asked.update)
    unpacked = bytearray()

    def take(data: bytes) -> None:
        skim.feed(data)
        if len(unpacked) <= LARGEST_PARSED:
            unpacked.extend(data)

    try:
        _unpack(body, take)
        skim.close()
    except Exception:
        pass  # each coding has an error of its own; what came before a body broke still counts
    value = _parse(bytes(unpacked)) if unpacked != body else None
    return value if isinstance(value, dict) else asked


def _unpack(body: bytes, take: Write) -> None:
    stages = build_decoders(None, take)  # some clients compress what they send
    for start in range(0, len(body), _BLOCK):
        stages[0].feed(body[start : start + _BLOCK])
    for stage in stages:
        stage.close()


def _read_form(body: bytes) -> dict[str, Any]:
    """The fields of multipart/form-data; files stand between them, so both ends are searched."""
    ends = body if len(body) <= 2 * _FORM_END else body[:_FORM_END] + body[-_FORM_END:]
    fields = {
        name.decode(): value.decode("utf-8", "replace") for name, value in _FORM_FIELD.findall(ends)
    }
    form: dict[str, Any] = dict(fields)
    if "stream" in form:
        form["stream"] = form["stream"].lower() in ("true", "1")
    return form
