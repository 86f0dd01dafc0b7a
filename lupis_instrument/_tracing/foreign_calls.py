"""Gives the LLM calls of other libraries' spans the standard attributes.

The tables are in `_semconv`: OpenTelemetry's older names, OpenLLMetry's, OpenInference's, and more.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from lupis_instrument import _semconv
from lupis_instrument._llm.api.providers import PROVIDER_ALIASES

_OTHER = "_OTHER"
_REQUEST_TYPE = "llm.request.type"
_OPERATIONS = {
    "chat": "chat",
    "llm": "chat",
    "generation": "chat",
    "completion": "text_completion",
    "embedding": "embeddings",
    "rerank": "rerank",
    "reranker": "rerank",
}
"""The operation by the words of other libraries."""
_PROVIDERS = {
    **PROVIDER_ALIASES,
    "az.ai.openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "mistralai": "mistral_ai",
    "aws_bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
}
"""The provider by the names of other libraries."""
_FRAMEWORKS = frozenset(
    ("", "langchain", "langgraph", "llamaindex", "llama_index", "litellm", "haystack", "crewai")
)
"""Names of libraries that stand where the name of a provider belongs."""
_MODELS = (
    (re.compile(r"gpt-|chatgpt|o\d|text-embedding-|codex|dall-e"), "openai"),
    (re.compile(r"claude"), "anthropic"),
    (re.compile(r"gemini|gemma"), "gcp.gemini"),
    (re.compile(r"mistral|ministral|codestral|magistral|pixtral"), "mistral_ai"),
    (re.compile(r"command|embed-|rerank-"), "cohere"),
    (re.compile(r"deepseek"), "deepseek"),
    (re.compile(r"grok"), "x_ai"),
)
"""The provider by the beginning of the model's name, where a span names none."""
_NUMBERS = frozenset(
    (
        *(_semconv.GEN_AI_USAGE_INPUT_TOKENS, _semconv.GEN_AI_USAGE_OUTPUT_TOKENS),
        *(_semconv.GEN_AI_USAGE_CACHE_READ, _semconv.GEN_AI_USAGE_CACHE_CREATION),
        *(_semconv.GEN_AI_USAGE_REASONING, _semconv.LUPIS_USAGE_TOTAL_TOKENS),
    )
)
_FLOATS = frozenset((_semconv.LUPIS_COST_TOTAL, _semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK))
_CONVERTED_NAMES = frozenset(
    name for row in _semconv.FOREIGN_NAMES.items() for name in (row[0], *row[1])
)
_OWN_SESSION = _semconv.LUPIS_METADATA + "session_id"
_MAX_DIGITS = 15


def is_foreign_call(attributes: dict[str, Any]) -> bool:
    """Return whether a span of another library reports a single LLM call."""
    if attributes.get(_semconv.GEN_AI_OPERATION_NAME) in _semconv.AGENT_OPERATIONS:
        return False
    if any(attributes.get(name) in kinds for name, kinds in _semconv.LLM_KINDS):
        return True
    if any(name in attributes for name in _semconv.NO_CALL_KINDS):
        return False
    return any(name in attributes for name in _semconv.LLM_SPAN_MARKS)


def complete_call(attributes: dict[str, Any], name: str) -> None:
    """Add the standard attributes to the attributes of an LLM call.

    Args:
        attributes: the attributes. Standard ones stay as they are, except the provider's name,
            which is replaced by its standard name.
        name: the name of the span.
    """
    for standard, other in _find_foreign_names(_CONVERTED_NAMES.intersection(attributes)):
        value = _convert(standard, attributes[other])
        # The program's own session, which may hold many conversations, is not the library's.
        is_session = other == _semconv.SESSION_ID and _OWN_SESSION in attributes
        if value is not None and not is_session:
            attributes[standard] = value
    attributes[_semconv.GEN_AI_PROVIDER_NAME] = _find_provider(attributes)
    attributes.setdefault(_semconv.GEN_AI_OPERATION_NAME, _find_operation(attributes, name))
    _include_cache(attributes)
    _include_reasoning(attributes)
    if _semconv.LUPIS_COST_TOTAL in attributes:
        attributes.setdefault(_semconv.LUPIS_COST_STATUS, "priced")
        attributes.setdefault(_semconv.LUPIS_COST_SOURCE, "reported")


@lru_cache(maxsize=256)
def _find_foreign_names(given: frozenset[str]) -> list[tuple[str, str]]:
    """Return the standard names that a span lacks, each with the name that it has instead.

    The spans of a library have the same few sets of names.
    """
    return [
        (standard, next(other for other in others if other in given))
        for standard, others in _semconv.FOREIGN_NAMES.items()
        if standard not in given and not given.isdisjoint(others)
    ]


def _convert(standard: str, value: Any) -> Any:
    """Return a value in the type of its attribute; None if that is impossible."""
    if standard in _NUMBERS:
        return read_count(value)
    if standard in _FLOATS:
        return float(value) if type(value) in (int, float) and value >= 0 else None
    return value if isinstance(value, str) and value else None


def read_count(value: Any) -> int | None:
    """Return a count, which some senders write as text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < _MAX_DIGITS:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int and value >= 0 else None


def _find_provider(attributes: dict[str, Any]) -> str:
    text = str(attributes.get(_semconv.GEN_AI_PROVIDER_NAME, "")).lower()
    text = text.partition(".responses")[0].partition(".chat")[0]  # the Vercel AI SDK
    if text not in _FRAMEWORKS:
        return _PROVIDERS.get(text, text)
    names = (_semconv.GEN_AI_REQUEST_MODEL, _semconv.GEN_AI_RESPONSE_MODEL)
    model = next((str(attributes[name]) for name in names if name in attributes), "").lower()
    return next((provider for pattern, provider in _MODELS if pattern.match(model)), _OTHER)


def _find_operation(attributes: dict[str, Any], name: str) -> str:
    words = [attributes.get(key) for key, _ in _semconv.LLM_KINDS]
    for word in (attributes.get(_REQUEST_TYPE), *words):
        operation = _OPERATIONS.get(word.strip('"').lower()) if isinstance(word, str) else None
        if operation is not None:
            return operation
    first = name.partition(" ")[0]
    return first if first in _semconv.LLM_OPERATIONS else "chat"


def _include_cache(attributes: dict[str, Any]) -> None:
    """Count cached tokens as input, where a library follows Anthropic in leaving them out."""
    read = attributes.get(_semconv.GEN_AI_USAGE_CACHE_READ, 0)
    written = attributes.get(_semconv.GEN_AI_USAGE_CACHE_CREATION, 0)
    given = attributes.get(_semconv.GEN_AI_USAGE_INPUT_TOKENS)
    if all(type(count) is int for count in (read, written, given)) and given < read + written:
        attributes[_semconv.GEN_AI_USAGE_INPUT_TOKENS] = given + read + written


def _include_reasoning(attributes: dict[str, Any]) -> None:
    """Count reasoning as output, where the library's total shows that it leaves it out (xAI)."""
    names = (
        *(_semconv.LUPIS_USAGE_TOTAL_TOKENS, _semconv.GEN_AI_USAGE_INPUT_TOKENS),
        *(_semconv.GEN_AI_USAGE_OUTPUT_TOKENS, _semconv.GEN_AI_USAGE_REASONING),
    )
    total, given, output, reasoning = (attributes.get(name, 0) for name in names)
    are_counts = all(type(count) is int for count in (total, given, output, reasoning))
    if are_counts and reasoning and total == given + output + reasoning:
        attributes[_semconv.GEN_AI_USAGE_OUTPUT_TOKENS] = output + reasoning
