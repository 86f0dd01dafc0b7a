"""How each family of APIs words its usage report: one row a family.

Each provider reports under its own names and with its own arithmetic: Anthropic's ``input_tokens``
leaves cached input out, OpenAI's ``prompt_tokens`` takes it in, Gemini's ``candidatesTokenCount``
leaves reasoning out. A report is read by the first row whose signature it shows, whichever host
it came from, since gateways speak each other's dialects.
"""

from __future__ import annotations

from typing import Mapping, NamedTuple, Tuple

Path = Tuple[str, ...]


class Dialect(NamedTuple):
    """How one family of APIs words its report."""

    name: str
    signature: tuple[str, ...]
    """Members of which the report has at least one."""
    fields: Mapping[str, tuple[Path, ...]]
    """Usage field -> where it stands; the first path that holds a count gives it."""
    adds_input: tuple[str, ...] = ()
    """Usage fields that the reported input leaves out."""
    adds_output: tuple[str, ...] = ()
    """Usage fields that the reported output leaves out."""
    input_extras: tuple[Path, ...] = ()
    """Further input that the reported input leaves out and that has no field of its own."""
    modalities: Mapping[str, str] = {}
    """Usage field prefix (``input``, ``output``) -> a list of counts by modality."""
    extra_rounds: tuple[str, str] = ("", "")
    """A list of further reports, and the ``type`` of those that the outer one leaves out."""


def _at(*names: str) -> tuple[Path, ...]:
    """Paths written with dots, for the tables."""
    return tuple(tuple(name.split(".")) for name in names)


def _flat(name: str) -> tuple[Path, ...]:
    """The name of a count that `read_root_counts` gathered."""
    return ((name,),)


_PALM = "metadata.tokenMetadata"  # of a prediction by Vertex AI's first models
_OPENAI_CACHE = {
    "cache_read_tokens": _at(
        "prompt_tokens_details.cached_tokens",
        "prompt_token_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "input_token_details.cached_tokens",
        "cache_read_input_tokens",
        "prompt_cache_hit_tokens",
        "cached_tokens",
        "num_cached_tokens",
    ),
    "cache_write_tokens": _at(
        "prompt_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_write_tokens",
        "cache_creation_input_tokens",
        "prompt_tokens_details.cache_creation_tokens",
        "cache_write_tokens",
    ),
    "cache_write_5m_tokens": _at("cache_creation.ephemeral_5m_input_tokens"),
    "cache_write_1h_tokens": _at("cache_creation.ephemeral_1h_input_tokens"),
    "total_tokens": _at("total_tokens"),
}

DIALECTS: tuple[Dialect, ...] = (
    Dialect(  # platform.openai.com/docs/api-reference/chat/object and all that follow it
        "openai.chat",
        ("prompt_tokens", "completion_tokens"),
        {
            **_OPENAI_CACHE,
            "input_tokens": _at("prompt_tokens"),
            "output_tokens": _at("completion_tokens"),
            "reasoning_tokens": _at(
                "completion_tokens_details.reasoning_tokens",
                "completion_token_details.reasoning_tokens",
                "reasoning_tokens",
            ),
            "input_audio_tokens": _at("prompt_tokens_details.audio_tokens"),
            "output_audio_tokens": _at("completion_tokens_details.audio_tokens"),
            "input_image_tokens": _at("prompt_tokens_details.image_tokens"),
            "output_image_tokens": _at("completion_tokens_details.image_tokens"),
            "audio_seconds": _at("prompt_audio_seconds"),  # docs.mistral.ai/api/#tag/audio
            "web_searches": _at("num_search_queries"),  # docs.perplexity.ai
        },
    ),
    Dialect(  # docs.anthropic.com/en/api/messages: "Total input tokens ... is the summation"
        "anthropic",
        (
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
            "cache_creation",
            "server_tool_use",
        ),
        {
            "input_tokens": _at("input_tokens"),
            "output_tokens": _at("output_tokens"),
            "cache_read_tokens": _at("cache_read_input_tokens"),
            "cache_write_tokens": _at("cache_creation_input_tokens"),
            "cache_write_5m_tokens": _at("cache_creation.ephemeral_5m_input_tokens"),
            "cache_write_1h_tokens": _at("cache_creation.ephemeral_1h_input_tokens"),
            "reasoning_tokens": _at("output_tokens_details.thinking_tokens"),
            "web_searches": _at("server_tool_use.web_search_requests"),
        },
        adds_input=("cache_read_tokens", "cache_write_tokens"),
        extra_rounds=("iterations", "compaction"),
    ),
    Dialect(  # ai.google.dev/api/generate-content#UsageMetadata
        "gemini",
        ("promptTokenCount", "candidatesTokenCount", "totalTokenCount"),
        {
            "input_tokens": _at("promptTokenCount"),
            "output_tokens": _at("candidatesTokenCount", "responseTokenCount"),
            "cache_read_tokens": _at("cachedContentTokenCount"),
            "reasoning_tokens": _at("thoughtsTokenCount"),
            "total_tokens": _at("totalTokenCount"),
        },
        adds_output=("reasoning_tokens",),
        input_extras=_at("toolUsePromptTokenCount"),
        modalities={
            "input": "promptTokensDetails",
            "output": "candidatesTokensDetails",
            "cache_read": "cacheTokensDetails",
        },
    ),
    Dialect(  # ai.google.dev/api/interactions
        "gemini.interactions",
        ("total_input_tokens", "total_output_tokens"),
        {
            "input_tokens": _at("total_input_tokens"),
            "output_tokens": _at("total_output_tokens"),
            "cache_read_tokens": _at("total_cached_tokens"),
            "reasoning_tokens": _at("total_thought_tokens"),
            "total_tokens": _at("total_tokens"),
        },
        adds_output=("reasoning_tokens",),
        input_extras=_at("total_tool_use_tokens"),
    ),
    Dialect(  # docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
        "bedrock",
        ("inputTokens", "outputTokens"),
        {
            "input_tokens": _at("inputTokens"),
            "output_tokens": _at("outputTokens"),
            "cache_read_tokens": _at("cacheReadInputTokens", "cacheReadInputTokenCount"),
            "cache_write_tokens": _at("cacheWriteInputTokens", "cacheWriteInputTokenCount"),
            "cache_write_5m_tokens": _at("cacheDetails.ttl=5m.inputTokens"),
            "cache_write_1h_tokens": _at("cacheDetails.ttl=1h.inputTokens"),
            "total_tokens": _at("totalTokens"),
        },
        adds_input=("cache_read_tokens", "cache_write_tokens"),
    ),
    Dialect(  # amazon-bedrock-invocationMetrics of a stream, and response headers
        "bedrock.metrics",
        ("inputTokenCount", "outputTokenCount"),
        {
            "input_tokens": _at("inputTokenCount"),
            "output_tokens": _at("outputTokenCount"),
            "cache_read_tokens": _at("cacheReadInputTokenCount"),
            "cache_write_tokens": _at("cacheWriteInputTokenCount"),
        },
        adds_input=("cache_read_tokens", "cache_write_tokens"),
    ),
    Dialect(  # huggingface.github.io/text-generation-inference: details of a generation,
        # among which `tokens` is a list
        "huggingface",
        ("generated_tokens",),
        {
            "input_tokens": _at("input_length"),
            "output_tokens": _at("generated_tokens"),
        },
    ),
    Dialect(  # docs.cohere.com/reference/chat: what the model saw, else what is billed
        "cohere",
        ("tokens", "billed_units"),
        {
            "input_tokens": _at("tokens.input_tokens", "billed_units.input_tokens"),
            "output_tokens": _at("tokens.output_tokens", "billed_units.output_tokens"),
            "cache_read_tokens": _at("cached_tokens"),
            "billed_input_tokens": _at("billed_units.input_tokens"),
            "billed_output_tokens": _at("billed_units.output_tokens"),
        },
    ),
    Dialect(  # platform.openai.com/docs/api-reference/responses; also audio, images and others
        "openai.responses",
        ("input_tokens", "output_tokens"),
        {
            **_OPENAI_CACHE,
            "input_tokens": _at("input_tokens"),
            "output_tokens": _at("output_tokens"),
            "reasoning_tokens": _at("output_tokens_details.reasoning_tokens", "reasoning_tokens"),
            "input_audio_tokens": _at(
                "input_tokens_details.audio_tokens", "input_token_details.audio_tokens"
            ),
            "output_audio_tokens": _at("output_tokens_details.audio_tokens"),
            "input_image_tokens": _at("input_tokens_details.image_tokens"),
            "output_image_tokens": _at("output_tokens_details.image_tokens"),
            "web_searches": _at("tool_calls_details.search_web.invocation"),  # docs.perplexity.ai
        },
    ),
    Dialect(  # docs.ollama.com/api: counts stand beside the answer
        "ollama",
        ("prompt_eval_count", "eval_count"),
        {"input_tokens": _at("prompt_eval_count"), "output_tokens": _at("eval_count")},
    ),
    Dialect(  # docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-text.html
        "titan",
        ("inputTextTokenCount", "totalOutputTextTokenCount"),
        {
            "input_tokens": _at("inputTextTokenCount"),
            "output_tokens": _at("totalOutputTextTokenCount") + _flat("results.tokenCount"),
        },
    ),
    Dialect(  # ... /model-parameters-meta.html
        "llama",
        ("prompt_token_count", "generation_token_count"),
        {
            "input_tokens": _at("prompt_token_count"),
            "output_tokens": _at("generation_token_count"),
        },
    ),
    Dialect(  # cloud.ibm.com/apidocs/watsonx-ai#text-generation
        "watsonx",
        ("results.input_token_count", "results.generated_token_count"),
        {
            "input_tokens": _flat("results.input_token_count"),
            "output_tokens": _flat("results.generated_token_count"),
        },
    ),
    Dialect(  # cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
        "vertex.predict",
        ("predictions.embeddings.statistics.token_count", f"{_PALM}.inputTokenCount.totalTokens"),
        {
            "input_tokens": (
                *_flat("predictions.embeddings.statistics.token_count"),
                *_flat(f"{_PALM}.inputTokenCount.totalTokens"),
            ),
            "output_tokens": _flat(f"{_PALM}.outputTokenCount.totalTokens"),
        },
    ),
    Dialect(  # github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md: /completion
        "llama_cpp",
        ("tokens_evaluated", "tokens_predicted"),
        {
            "input_tokens": _at("tokens_evaluated"),
            "output_tokens": _at("tokens_predicted"),
        },
    ),
    Dialect(  # docs.aleph-alpha.com/api/complete
        "aleph_alpha",
        ("num_tokens_prompt_total", "num_tokens_generated"),
        {
            "input_tokens": _at("num_tokens_prompt_total"),
            "output_tokens": _at("num_tokens_generated"),
        },
    ),
    Dialect(  # replicate.com/docs/reference/http: metrics of a finished prediction
        "replicate",
        ("input_token_count", "output_token_count"),
        {
            "input_tokens": _at("input_token_count"),
            "output_tokens": _at("output_token_count"),
        },
    ),
    Dialect(  # platform.openai.com/docs/api-reference/audio/json-object: usage by duration
        "duration",
        ("seconds",),
        {"audio_seconds": _at("seconds")},
    ),
    Dialect(  # docs.voyageai.com/reference: one figure for all
        "total",
        ("total_tokens",),
        {"total_tokens": _at("total_tokens")},
    ),
)

ROOT_COUNTS: tuple[Path, ...] = _at(
    "prompt_eval_count",
    "eval_count",
    "inputTextTokenCount",
    "totalOutputTextTokenCount",
    "results.tokenCount",
    "results.input_token_count",
    "results.generated_token_count",
    "prompt_token_count",
    "generation_token_count",
    "predictions.embeddings.statistics.token_count",
    f"{_PALM}.inputTokenCount.totalTokens",
    f"{_PALM}.outputTokenCount.totalTokens",
    "input_token_count",
    "num_tokens_prompt_total",
    "num_tokens_generated",
    "tokens_evaluated",
    "tokens_predicted",
)
"""Counts that stand beside the answer itself, not in a report of their own."""
