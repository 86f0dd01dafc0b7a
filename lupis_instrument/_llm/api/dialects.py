"""How each family of APIs writes its usage report: one row for each family.

Each provider has its own names and its own arithmetic: Anthropic's ``input_tokens`` excludes
cached input, OpenAI's ``prompt_tokens`` includes it, Gemini's ``candidatesTokenCount`` excludes
reasoning. The first row whose signature matches reads a report. The host doesn't matter, because
gateways also answer in the dialects of other providers.
"""

from __future__ import annotations

from typing import Mapping, NamedTuple

from lupis_instrument._llm.api.field_paths import FieldPath, split_paths


class Dialect(NamedTuple):
    """How one family of APIs writes its usage report.

    Attributes:
        name: the dialect's name in this package.
        signature: member names; a report with at least one of them is in this dialect.
        fields: the paths for each field of `Usage`; the first path that holds a count gives it.
        input_excludes: fields of `Usage` that the reported input doesn't include.
        output_excludes: fields of `Usage` that the reported output doesn't include.
        extra_input: paths of more input that the reported input doesn't include and that has no
            field of its own.
        modalities: the members that list counts by modality, each with the prefix of its fields
            of `Usage` (``input``, ``output``).
        text_counts: whether counts are texts, as JSON writes 64-bit integers of protobuf.
    """

    name: str
    signature: tuple[str, ...]
    fields: Mapping[str, tuple[FieldPath, ...]]
    input_excludes: tuple[str, ...] = ()
    output_excludes: tuple[str, ...] = ()
    extra_input: tuple[FieldPath, ...] = ()
    modalities: Mapping[str, str] = {}
    text_counts: bool = False


def _root_count(name: str) -> tuple[FieldPath, ...]:
    """Return the path of a count in the flat result of `read_root_counts`."""
    return ((name,),)


_PALM = "metadata.tokenMetadata"  # in predictions of PaLM, the first models on Vertex AI
_OPENAI_CACHE = {
    "cache_read_tokens": split_paths(
        "prompt_tokens_details.cached_tokens",
        "prompt_token_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "input_token_details.cached_tokens",
        "input_tokens_details.cache_read_input_tokens",  # docs.perplexity.ai
        "cache_read_input_tokens",
        "prompt_cache_hit_tokens",
        "cached_tokens",
        "num_cached_tokens",
    ),
    "cache_write_tokens": split_paths(
        "prompt_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_creation_input_tokens",
        "cache_creation_input_tokens",
        "prompt_tokens_details.cache_creation_tokens",
        "cache_write_tokens",
    ),
    "cache_write_5m_tokens": split_paths("cache_creation.ephemeral_5m_input_tokens"),
    "cache_write_1h_tokens": split_paths("cache_creation.ephemeral_1h_input_tokens"),
    "cache_read_image_tokens": split_paths(
        "input_tokens_details.cached_tokens_details.image_tokens",
        "input_token_details.cached_tokens_details.image_tokens",
        "cached_tokens_details.cached_image_tokens",
        "prompt_tokens_details.cached_tokens_details.image_tokens",
    ),
    "cache_read_audio_tokens": split_paths(
        "input_token_details.cached_tokens_details.audio_tokens",
        "prompt_tokens_details.cached_tokens_details.audio_tokens",
    ),
    "total_tokens": split_paths("total_tokens"),
}

DIALECTS: tuple[Dialect, ...] = (
    Dialect(  # platform.openai.com/docs/api-reference/chat/object and all compatible APIs
        "openai.chat",
        ("prompt_tokens", "completion_tokens"),
        {
            **_OPENAI_CACHE,
            "input_tokens": split_paths("prompt_tokens"),
            "output_tokens": split_paths("completion_tokens"),
            "reasoning_tokens": split_paths(
                "completion_tokens_details.reasoning_tokens",
                "completion_token_details.reasoning_tokens",
                "reasoning_tokens",
            ),
            "input_audio_tokens": split_paths("prompt_tokens_details.audio_tokens"),
            "output_audio_tokens": split_paths("completion_tokens_details.audio_tokens"),
            "input_image_tokens": split_paths("prompt_tokens_details.image_tokens"),
            "output_image_tokens": split_paths("completion_tokens_details.image_tokens"),
            "input_video_tokens": split_paths("prompt_tokens_details.video_tokens"),
            "input_text_tokens": split_paths("prompt_tokens_details.text_tokens"),
            "output_text_tokens": split_paths("completion_tokens_details.text_tokens"),
            "audio_seconds": split_paths("prompt_audio_seconds"),  # docs.mistral.ai/api/#tag/audio
            "web_searches": split_paths("num_search_queries"),  # docs.perplexity.ai
            "citation_tokens": split_paths("citation_tokens"),
            "input_apart_tokens": split_paths("connector_tokens"),  # docs.mistral.ai/agents
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
            "input_tokens": split_paths("input_tokens"),
            "output_tokens": split_paths("output_tokens"),
            "cache_read_tokens": split_paths("cache_read_input_tokens"),
            "cache_write_tokens": split_paths("cache_creation_input_tokens"),
            "cache_write_5m_tokens": split_paths("cache_creation.ephemeral_5m_input_tokens"),
            "cache_write_1h_tokens": split_paths("cache_creation.ephemeral_1h_input_tokens"),
            "reasoning_tokens": split_paths("output_tokens_details.thinking_tokens"),
        },
        input_excludes=("cache_read_tokens", "cache_write_tokens"),
    ),
    Dialect(  # ai.google.dev/api/generate-content#UsageMetadata
        "gemini",
        ("promptTokenCount", "candidatesTokenCount", "totalTokenCount"),
        {
            "input_tokens": split_paths("promptTokenCount"),
            "output_tokens": split_paths("candidatesTokenCount", "responseTokenCount"),
            "cache_read_tokens": split_paths("cachedContentTokenCount"),
            "reasoning_tokens": split_paths("thoughtsTokenCount"),
            "total_tokens": split_paths("totalTokenCount"),
        },
        output_excludes=("reasoning_tokens",),
        extra_input=split_paths("toolUsePromptTokenCount"),
        modalities={
            "promptTokensDetails": "input",
            "candidatesTokensDetails": "output",
            "responseTokensDetails": "output",  # of the Live API
            "cacheTokensDetails": "cache_read",
        },
    ),
    Dialect(  # lmstudio.ai/docs/developer/rest/chat: `stats`
        "lm_studio",
        ("reasoning_output_tokens", "time_to_first_token_seconds"),
        {
            "input_tokens": split_paths("input_tokens"),
            "output_tokens": split_paths("total_output_tokens"),
            "reasoning_tokens": split_paths("reasoning_output_tokens"),
        },
    ),
    Dialect(  # ai.google.dev/api/interactions
        "gemini.interactions",
        ("total_input_tokens", "total_output_tokens"),
        {
            "input_tokens": split_paths("total_input_tokens"),
            "output_tokens": split_paths("total_output_tokens"),
            "cache_read_tokens": split_paths("total_cached_tokens"),
            "reasoning_tokens": split_paths("total_thought_tokens"),
            "total_tokens": split_paths("total_tokens"),
        },
        output_excludes=("reasoning_tokens",),
        extra_input=split_paths("total_tool_use_tokens"),
        modalities={
            "input_tokens_by_modality": "input",
            "output_tokens_by_modality": "output",
            "cached_tokens_by_modality": "cache_read",
        },
    ),
    Dialect(  # docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
        "bedrock",
        ("inputTokens", "outputTokens"),
        {
            "input_tokens": split_paths("inputTokens"),
            "output_tokens": split_paths("outputTokens"),
            "cache_read_tokens": split_paths("cacheReadInputTokens", "cacheReadInputTokenCount"),
            "cache_write_tokens": split_paths("cacheWriteInputTokens", "cacheWriteInputTokenCount"),
            "cache_write_5m_tokens": split_paths("cacheDetails.ttl=5m.inputTokens"),
            "cache_write_1h_tokens": split_paths("cacheDetails.ttl=1h.inputTokens"),
            "total_tokens": split_paths("totalTokens"),
        },
        input_excludes=("cache_read_tokens", "cache_write_tokens"),
    ),
    Dialect(  # amazon-bedrock-invocationMetrics of a stream, and response headers
        "bedrock.metrics",
        ("inputTokenCount", "outputTokenCount"),
        {
            "input_tokens": split_paths("inputTokenCount"),
            "output_tokens": split_paths("outputTokenCount"),
            "cache_read_tokens": split_paths("cacheReadInputTokenCount"),
            "cache_write_tokens": split_paths("cacheWriteInputTokenCount"),
        },
        input_excludes=("cache_read_tokens", "cache_write_tokens"),
    ),
    Dialect(  # huggingface.github.io/text-generation-inference: details of a generation;
        # their member `tokens` is a list
        "huggingface",
        ("generated_tokens",),
        {
            "input_tokens": split_paths("input_length"),
            "output_tokens": split_paths("generated_tokens"),
        },
    ),
    Dialect(  # docs.cohere.com/reference/chat: the tokens of the model, else the billed tokens
        "cohere",
        ("tokens", "billed_units"),
        {
            "input_tokens": split_paths("tokens.input_tokens", "billed_units.input_tokens"),
            "output_tokens": split_paths("tokens.output_tokens", "billed_units.output_tokens"),
            "cache_read_tokens": split_paths("cached_tokens"),
            "billed_input_tokens": split_paths("billed_units.input_tokens"),
            "billed_output_tokens": split_paths("billed_units.output_tokens"),
        },
    ),
    Dialect(  # platform.openai.com/docs/api-reference/responses; also audio, images, others
        "openai.responses",
        ("input_tokens", "output_tokens"),
        {
            **_OPENAI_CACHE,
            "input_tokens": split_paths("input_tokens"),
            "output_tokens": split_paths("output_tokens"),
            "reasoning_tokens": split_paths(
                "output_tokens_details.reasoning_tokens",
                "output_token_details.reasoning_tokens",
                "reasoning_tokens",
            ),
            "input_audio_tokens": split_paths(
                "input_tokens_details.audio_tokens", "input_token_details.audio_tokens"
            ),
            "output_audio_tokens": split_paths(
                "output_tokens_details.audio_tokens", "output_token_details.audio_tokens"
            ),
            "input_image_tokens": split_paths(
                "input_tokens_details.image_tokens", "input_token_details.image_tokens"
            ),
            "output_image_tokens": split_paths("output_tokens_details.image_tokens"),
            "input_text_tokens": split_paths(
                "input_tokens_details.text_tokens", "input_token_details.text_tokens"
            ),
            "output_text_tokens": split_paths(
                "output_tokens_details.text_tokens", "output_token_details.text_tokens"
            ),
        },
    ),
    Dialect(  # help.aliyun.com/model-studio: an application reports each model that it called
        "dashscope.app",
        ("models",),
        {
            "input_tokens": split_paths("models.input_tokens"),
            "output_tokens": split_paths("models.output_tokens"),
        },
    ),
    Dialect(  # docs.ollama.com/api: counts are members of the answer itself
        "ollama",
        ("prompt_eval_count", "eval_count"),
        {
            "input_tokens": split_paths("prompt_eval_count"),
            "output_tokens": split_paths("eval_count"),
        },
    ),
    Dialect(  # docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-text.html
        "titan",
        ("inputTextTokenCount", "totalOutputTextTokenCount"),
        {
            "input_tokens": split_paths("inputTextTokenCount"),
            "output_tokens": split_paths("totalOutputTextTokenCount")
            + _root_count("results.tokenCount"),
        },
    ),
    Dialect(  # ... /model-parameters-meta.html
        "llama",
        ("prompt_token_count", "generation_token_count"),
        {
            "input_tokens": split_paths("prompt_token_count"),
            "output_tokens": split_paths("generation_token_count"),
        },
    ),
    Dialect(  # cloud.ibm.com/apidocs/watsonx-ai#text-generation
        "watsonx",
        ("results.input_token_count", "results.generated_token_count"),
        {
            "input_tokens": _root_count("results.input_token_count"),
            "output_tokens": _root_count("results.generated_token_count"),
        },
    ),
    Dialect(  # cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
        "vertex.predict",
        ("predictions.embeddings.statistics.token_count", f"{_PALM}.inputTokenCount.totalTokens"),
        {
            "input_tokens": (
                *_root_count("predictions.embeddings.statistics.token_count"),
                *_root_count(f"{_PALM}.inputTokenCount.totalTokens"),
            ),
            "output_tokens": _root_count(f"{_PALM}.outputTokenCount.totalTokens"),
        },
    ),
    Dialect(  # github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md: /completion
        "llama_cpp",
        ("tokens_evaluated", "tokens_predicted"),
        {
            "input_tokens": split_paths("tokens_evaluated"),
            "output_tokens": split_paths("tokens_predicted"),
        },
    ),
    Dialect(  # docs.aleph-alpha.com/api/complete
        "aleph_alpha",
        ("num_tokens_prompt_total", "num_tokens_generated"),
        {
            "input_tokens": split_paths("num_tokens_prompt_total"),
            "output_tokens": split_paths("num_tokens_generated"),
        },
    ),
    Dialect(  # replicate.com/docs/reference/http: metrics of a finished prediction
        "replicate",
        ("input_token_count", "output_token_count"),
        {
            "input_tokens": split_paths("input_token_count"),
            "output_tokens": split_paths("output_token_count"),
        },
    ),
    Dialect(  # yandex.cloud/docs/foundation-models/text-generation/api-ref
        "yandex",
        ("inputTextTokens",),
        {
            "input_tokens": split_paths("inputTextTokens"),
            "output_tokens": split_paths("completionTokens"),
            "total_tokens": split_paths("totalTokens"),
        },
        text_counts=True,
    ),
    Dialect(  # docs.oracle.com/iaas/api/#/en/generative-ai-inference/latest/datatypes/Usage
        "oracle",
        ("promptTokens", "completionTokens"),
        {
            "input_tokens": split_paths("promptTokens"),
            "output_tokens": split_paths("completionTokens"),
            "cache_read_tokens": split_paths("promptTokensDetails.cachedTokens"),
            "reasoning_tokens": split_paths("completionTokensDetails.reasoningTokens"),
            "total_tokens": split_paths("totalTokens"),
        },
    ),
    Dialect(  # llama.developer.meta.com/docs/api/chat: `metrics`, a list of names with values
        "llama_api",
        ("num_prompt_tokens", "num_completion_tokens"),
        {
            "input_tokens": split_paths("num_prompt_tokens"),
            "output_tokens": split_paths("num_completion_tokens"),
            "total_tokens": split_paths("num_total_tokens"),
        },
    ),
    Dialect(  # deepinfra.com/docs/inference: `inference_status`
        "deepinfra",
        ("tokens_input", "tokens_generated"),
        {
            "input_tokens": split_paths("tokens_input"),
            "output_tokens": split_paths("tokens_generated"),
        },
    ),
    Dialect(  # docs.mistral.ai/api/endpoint/ocr: `usage_info`
        "pages",
        ("pages_processed",),
        {"document_pages": split_paths("pages_processed")},
    ),
    Dialect(  # platform.openai.com/docs/api-reference/audio/json-object: usage by duration
        "duration",
        ("seconds",),
        {"audio_seconds": split_paths("seconds")},
    ),
    Dialect(  # docs.voyageai.com/reference: one count for input and output
        "total",
        ("total_tokens",),
        {"total_tokens": split_paths("total_tokens")},
    ),
)

ROOT_COUNTS: tuple[FieldPath, ...] = split_paths(
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
"""Paths of counts that are members of the answer itself instead of a usage report."""
