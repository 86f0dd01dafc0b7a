"""The paths of each fact in a response, for all APIs.

A response is only read at these paths. A ``usage`` or ``model`` in message content, in tool
arguments or in the caller's own metadata is therefore never taken for the provider's.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Pattern

from lupis_instrument._llm.api.dialects import ROOT_COUNTS
from lupis_instrument._llm.api.field_paths import FieldPath, split_paths

RESPONSE_FIELDS: dict[str, tuple[FieldPath, ...]] = {
    "model": split_paths(
        "model", "modelVersion", "model_id", "response.model", "response.modelVersion",
        "message.model", "interaction.model", "result.model", "modelId", "result.modelVersion",
        "model_instance_id",
    ),
    "id": split_paths(
        "id", "responseId", "response_id", "generation_id", "response.id", "response.responseId",
        "response.generation_id", "message.id", "interaction.id", "meta_info.id",
    ),
    "tier": split_paths(
        "service_tier", "serviceTier.type", "usage.service_tier", "response.service_tier",
        "message.usage.service_tier", "interaction.service_tier", "usageMetadata.serviceTier",
        "usageMetadata.trafficType",
    ),
    "speed": split_paths("usage.speed", "message.usage.speed"),
    "geography": split_paths("usage.inference_geo", "message.usage.inference_geo"),
    # The length of transcribed audio.
    "duration": split_paths("duration"),
    # The state of a background job.
    "state": split_paths("status", "response.status"),
    "conversation": split_paths(
        "conversation.id", "conversation_id", "container.id", "thread_id", "sessionId",
        "response.conversation.id", "message.container.id", "delta.container.id",
        "response.conversation_id",
    ),
    "finish": split_paths(
        "stop_reason", "stopReason", "done_reason", "finish_reason", "completionReason",
        "delta.stop_reason", "delta.finish_reason", "messageStop.stopReason",
        "response.finish_reason", "details.finish_reason", "incomplete_details.reason",
        "response.incomplete_details.reason", "response.status_details.reason",
        "serverContent.turnCompleteReason",
    ),
    "usage": split_paths(
        "usage", "usageMetadata", "meta", "metrics", "details", "message.usage", "delta.usage",
        "response.usage", "response.usageMetadata", "response.meta", "interaction.usage",
        "metadata.usage", "result.usage", "x_groq.usage", "usage_info", "meta_info", "stats",
        "result.stats", "chatResponse.usage", "inferenceResponse.usage", "event.metrics",
        "inference_status",
    ),
    # A statement of the cost beside the usage report.
    "charges": split_paths("cost", "copilot_usage", "inference_status"),
    # The usage of tools that the provider ran, and the items that they made.
    "tools": split_paths("tool_usage", "response.tool_usage"),
    "output": split_paths("output", "response.output"),
    # The id by which a later request asks for the answer.
    "job": split_paths("request_id"),
    # Counts by the host of a model, which are used if the model itself reports none.
    "metrics": split_paths("amazon-bedrock-invocationMetrics"),
    # The usage of one model call of a Bedrock agent, which makes several for one answer.
    "part": split_paths(
        *(
            f"trace.{step}.modelInvocationOutput.metadata.usage"
            for step in (
                "preProcessingTrace", "orchestrationTrace", "postProcessingTrace",
                "routingClassifierTrace",
            )
        )
    ),
    "error": split_paths(
        "error", "response.error", "response.status_details.error", "detail.error",
        "error_code", "base_resp.status_code",
    ),
}  # fmt: skip
"""The paths of each kind of fact."""

FINISH_REASON_LISTS: dict[str, tuple[str, ...]] = {
    "choices": ("finish_reason",),
    "candidates": ("finishReason",),
    "results": ("completionReason", "stop_reason"),
    "outputs": ("stop_reason",),
    "generations": ("finish_reason",),
    "completions": ("finish_reason",),
}
"""The lists of answers, with the members of an answer that hold its finish reason.

In a stream, an answer's `index` says to which of several answers the reason belongs.
"""

TOOL_CALL_MEMBERS = frozenset(
    ("candidates", "choices", "content", "contentBlockStart", "content_block", "delta", "item",
     "message", "output", "parts", "response", "start", "tool_calls"),
)  # fmt: skip
"""Members of a response that may contain calls of tools, at any level."""

TOOL_CALL_OBJECTS = ("function", "functionCall", "function_call", "toolUse")
"""Members that describe one call of a tool. Only its name is read, never its arguments."""

TOOL_CALL_TYPES = frozenset(("custom_tool_call", "function_call", "tool_use", "server_tool_use"))
"""The `type` of objects that are themselves one call of a tool."""

ERROR_FIELDS = ("code", "type", "status")
"""Members of an error that name it, the most specific first."""

ROOT_ERROR_FIELDS = ("__type", "error_type", "type", "code")
"""Members that name an error which is the whole body, the most specific first."""


def _index_fields() -> dict[str, list[tuple[str, FieldPath]]]:
    index: dict[str, list[tuple[str, FieldPath]]] = {}
    for kind, paths in RESPONSE_FIELDS.items():
        for path in paths:
            index.setdefault(path[0], []).append((kind, path[1:]))
    return index


FIELDS_BY_ROOT = _index_fields()
"""For each first name of a path: the kinds of facts below it, each with the remaining path."""

_ALL_PATHS = (*(path for paths in RESPONSE_FIELDS.values() for path in paths), *ROOT_COUNTS)
FIELD_NAMES: frozenset[str] = frozenset(name for path in _ALL_PATHS for name in path).union(
    FINISH_REASON_LISTS,
    *FINISH_REASON_LISTS.values(),
    ERROR_FIELDS,
    ROOT_ERROR_FIELDS,
    ("index", "object", "svg_usage", "metric", "value"),
)
"""All member names in the paths: the names that a scan of a large body has to keep."""
WHOLE_FIELDS: frozenset[str] = frozenset(
    path[-1]
    for kind in ("usage", "metrics", "part", "charges", "tools")
    for path in RESPONSE_FIELDS[kind]
) | {"svg_usage"}
"""Members whose whole value a scan keeps, whatever names are in it."""

# Member names that make an event worth parsing, for the APIs that need few of them. `name` is the
# name of a tool that the model calls.
_REPORT_NAMES: dict[str, tuple[str, ...]] = {
    "openai.chat": ("usage", "finish_reason", "error", "name"),
    "openai.completions": ("usage", "finish_reason", "error"),
    "openai.responses": ("usage", "incomplete_details", "error", "name"),
    "anthropic.messages": ("usage", "stop_reason", "error", "name"),
    "anthropic.complete": ("stop_reason", "error"),
    "gemini": ("usageMetadata", "finishReason", "error", "name"),
    "gemini.live": ("usageMetadata", "turnCompleteReason", "error", "name"),
    "openai.realtime": ("usage", "status_details", "error", "name"),
}
_ALL_REPORT_NAMES = tuple(
    sorted(
        {
            path[-1]
            for kind in ("usage", "metrics", "part", "finish")
            for path in RESPONSE_FIELDS[kind]
        }
        | {"conversation_id", "incomplete_details", "error", "__type", "error_type", "name"}
        | {path[-1] for path in ROOT_COUNTS}
        | {word for words in FINISH_REASON_LISTS.values() for word in words}
    )
)


@lru_cache(maxsize=64)
def compile_report_patterns(api: str) -> tuple[Pattern[bytes], ...]:
    """Return patterns that find the events of an API that report something.

    Each pattern finds a member whose value is not null, false or 0. At least one pattern matches
    in every event with a report. If there are few names, one search for each name is several times
    faster than one search for all names.
    """
    # A value worth reading begins with a brace, a quote or a digit other than 0.
    names = _REPORT_NAMES.get(api)
    searches = names or ("(?:" + "|".join(map(re.escape, _ALL_REPORT_NAMES)) + ")",)
    return tuple(re.compile(f'"{name}"[ \\t]*:[ \\t]*[{{"1-9]'.encode()) for name in searches)
