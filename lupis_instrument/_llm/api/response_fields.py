"""Where each fact stands in a response, over all APIs.

Only these places are looked at, so that a ``usage`` or ``model`` in message content, in tool
arguments or in the caller's own metadata means nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Pattern

from lupis_instrument._llm.api.dialects import ROOT_COUNTS, Path


def _paths(*dotted: str) -> tuple[Path, ...]:
    return tuple(tuple(path.split(".")) for path in dotted)


# Kind of fact -> where it may stand.
PLACES: dict[str, tuple[Path, ...]] = {
    "model": _paths(
        "model", "modelVersion", "model_id", "response.model", "response.modelVersion",
        "message.model", "interaction.model", "result.model",
    ),
    "id": _paths(
        "id", "responseId", "response_id", "generation_id", "response.id", "response.responseId",
        "response.generation_id", "message.id", "interaction.id",
    ),
    "tier": _paths(
        "service_tier", "serviceTier.type", "usage.service_tier", "response.service_tier",
        "message.usage.service_tier", "interaction.service_tier", "usageMetadata.serviceTier",
        "usageMetadata.trafficType",
    ),
    "speed": _paths("usage.speed", "message.usage.speed"),
    "geography": _paths("usage.inference_geo", "message.usage.inference_geo"),
    "duration": _paths("duration"),
    "state": _paths("status", "response.status"),
    "conversation": _paths(
        "conversation.id", "conversation_id", "container.id", "thread_id", "sessionId",
        "response.conversation.id", "message.container.id", "delta.container.id",
    ),
    "finish": _paths(
        "stop_reason", "stopReason", "done_reason", "finish_reason", "completionReason",
        "delta.stop_reason", "delta.finish_reason", "messageStop.stopReason",
        "response.finish_reason", "details.finish_reason", "incomplete_details.reason",
        "response.incomplete_details.reason",
    ),
    "usage": _paths(
        "usage", "usageMetadata", "meta", "metrics", "details", "message.usage", "delta.usage",
        "response.usage", "response.usageMetadata", "response.meta", "interaction.usage",
        "metadata.usage", "result.usage", "x_groq.usage",
    ),
    "metrics": _paths("amazon-bedrock-invocationMetrics"),
    "part": _paths(
        *(
            f"trace.{step}.modelInvocationOutput.metadata.usage"
            for step in (
                "preProcessingTrace", "orchestrationTrace", "postProcessingTrace",
                "routingClassifierTrace",
            )
        )
    ),
    "error": _paths("error", "response.error", "detail.error"),
}  # fmt: skip
# Lists of answers, each with its own reason; an element's `index` tells them apart in a stream.
FINISH_LISTS: dict[str, tuple[str, ...]] = {
    "choices": ("finish_reason",),
    "candidates": ("finishReason",),
    "results": ("completionReason", "stop_reason"),
    "outputs": ("stop_reason",),
    "generations": ("finish_reason",),
    "completions": ("finish_reason",),
}
# Within an error, the most telling word first; at the root only what can't be mistaken.
ERROR_WORDS = ("code", "type", "status")
ROOT_ERROR_WORDS = ("__type", "error_type", "type", "code")


def _index_places() -> dict[str, list[tuple[str, Path]]]:
    index: dict[str, list[tuple[str, Path]]] = {}
    for kind, paths in PLACES.items():
        for path in paths:
            index.setdefault(path[0], []).append((kind, path[1:]))
    return index


PLACES_BY_NAME = _index_places()
"""First member name -> the facts below it, as kind and the rest of the path."""

_PATHS = (*(path for paths in PLACES.values() for path in paths), *ROOT_COUNTS)
WORDS: frozenset[str] = frozenset(
    (word for path in _PATHS for word in path),
).union(FINISH_LISTS, *FINISH_LISTS.values(), ERROR_WORDS, ROOT_ERROR_WORDS, ("index", "object"))
"""Every member name on the way to a fact: all that a skim of a large body has to keep."""
WHOLE: frozenset[str] = frozenset(
    path[-1] for kind in ("usage", "metrics", "part") for path in PLACES[kind]
)
"""Members whose value is kept whole, whatever its own members are called."""

# What an event has to hold to be worth parsing, by the API that is spoken.
_REPORTING: dict[str, tuple[str, ...]] = {
    "openai.chat": ("usage", "finish_reason", "error"),
    "openai.completions": ("usage", "finish_reason", "error"),
    "openai.responses": ("usage", "incomplete_details", "error"),
    "anthropic.messages": ("usage", "stop_reason", "error"),
    "anthropic.complete": ("stop_reason", "error"),
    "gemini": ("usageMetadata", "finishReason", "error"),
}
_ANY_REPORTING = tuple(
    sorted(
        {path[-1] for kind in ("usage", "metrics", "part", "finish") for path in PLACES[kind]}
        | {"conversation_id", "incomplete_details", "error", "__type", "error_type"}
        | {path[-1] for path in ROOT_COUNTS}
        | {word for words in FINISH_LISTS.values() for word in words}
    )
)


@lru_cache(maxsize=64)
def compile_reports(api: str) -> tuple[Pattern[bytes], ...]:
    """Patterns of which one is found in every event of that API that reports something.

    Each names a member with a value other than null, false and 0. With few names, one search each
    is several times faster than one search for all.
    """
    names = _REPORTING.get(api)
    searches = names or ("(?:" + "|".join(map(re.escape, _ANY_REPORTING)) + ")",)
    return tuple(re.compile(f'"{name}"[ \\t]*:[ \\t]*[{{"1-9]'.encode()) for name in searches)


def value_at(value: Any, path: Path) -> Any:
    """The value at `path` in nested objects; None where there is none."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
