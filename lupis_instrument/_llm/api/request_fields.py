"""The parameters of a request that spans show: one row for each, with its place in every API."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from lupis_instrument._llm.api.field_paths import FieldPath, split_paths


class ValueKind(Enum):
    """The values that a parameter may have; any other value is left out."""

    INTEGER = "integer"
    NUMBER = "number"
    WORD = "word"
    TEXTS = "texts"
    OUTPUT = "output"


INTEGER, NUMBER, WORD, TEXTS, OUTPUT = ValueKind


class RequestField(NamedTuple):
    """One parameter.

    Attributes:
        name: its name in this package.
        kind: the values that it may have.
        paths: its paths in requests of all APIs.
    """

    name: str
    kind: ValueKind
    paths: tuple[FieldPath, ...]


REQUEST_FIELDS: tuple[RequestField, ...] = (
    RequestField("max_tokens", INTEGER, split_paths(
        "max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample",
        "generationConfig.maxOutputTokens", "inferenceConfig.maxTokens", "options.num_predict",
        "textGenerationConfig.maxTokenCount", "parameters.max_new_tokens", "max_gen_len",
    )),
    RequestField("temperature", NUMBER, split_paths(
        "temperature", "generationConfig.temperature", "inferenceConfig.temperature",
        "options.temperature", "textGenerationConfig.temperature", "parameters.temperature",
    )),
    RequestField("top_p", NUMBER, split_paths(
        "top_p", "p", "generationConfig.topP", "inferenceConfig.topP", "options.top_p",
        "textGenerationConfig.topP", "parameters.top_p",
    )),
    RequestField("top_k", NUMBER, split_paths(
        "top_k", "k", "generationConfig.topK", "additionalModelRequestFields.top_k",
        "options.top_k", "parameters.top_k",
    )),
    RequestField("seed", INTEGER, split_paths(
        "seed", "random_seed", "generationConfig.seed", "options.seed", "parameters.seed",
    )),
    RequestField("choice_count", INTEGER, split_paths(
        "n", "num_generations", "generationConfig.candidateCount",
    )),
    RequestField("stop_sequences", TEXTS, split_paths(
        "stop", "stop_sequences", "generationConfig.stopSequences",
        "inferenceConfig.stopSequences", "options.stop", "textGenerationConfig.stopSequences",
        "parameters.stop_sequences",
    )),
    RequestField("frequency_penalty", NUMBER, split_paths(
        "frequency_penalty", "generationConfig.frequencyPenalty", "options.frequency_penalty",
    )),
    RequestField("presence_penalty", NUMBER, split_paths(
        "presence_penalty", "generationConfig.presencePenalty", "options.presence_penalty",
    )),
    RequestField("reasoning_level", WORD, split_paths(
        "reasoning_effort", "reasoning.effort", "output_config.effort",
        "generationConfig.thinkingConfig.thinkingLevel",
    )),
    RequestField("previous_response_id", WORD, split_paths("previous_response_id")),
    RequestField("output_type", OUTPUT, split_paths(
        "response_format.type", "text.format.type", "generationConfig.responseMimeType", "format",
    )),
)  # fmt: skip

OUTPUT_TYPES = {
    "text": "text",
    "text/plain": "text",
    "json": "json",
    "json_object": "json",
    "json_schema": "json",
    "application/json": "json",
}
"""OpenTelemetry's gen_ai.output.type by the words of the APIs."""

OPERATION_OUTPUTS = {"image_generation": "image", "speech": "speech"}
"""OpenTelemetry's gen_ai.output.type of operations with one kind of output."""

TOOL_LISTS: tuple[FieldPath, ...] = split_paths("tools", "toolConfig.tools", "functions")
"""The lists of the tools that a request offers."""

MESSAGE_LISTS: tuple[FieldPath, ...] = split_paths(
    "messages", "contents", "input", "input.messages", "thread.messages", "chat_history", "inputs"
)
"""The lists of the messages that a request contains."""


def _index_fields() -> dict[str, list[tuple[RequestField, FieldPath]]]:
    index: dict[str, list[tuple[RequestField, FieldPath]]] = {}
    for field in REQUEST_FIELDS:
        for path in field.paths:
            index.setdefault(path[0], []).append((field, path[1:]))
    return index


FIELDS_BY_MEMBER = _index_fields()
"""For each first name of a path: the parameters below it, each with the remaining path."""
