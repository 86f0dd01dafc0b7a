"""What a provider's usage report says, read into one meaning: OpenTelemetry's.

Each provider reports under its own names and with its own arithmetic: Anthropic's ``input_tokens``
leaves cached input out, OpenAI's ``prompt_tokens`` takes it in, Gemini's ``candidatesTokenCount``
leaves reasoning out. Every such habit is one row of `DIALECTS`; a report is read by the first row
whose signature it shows, whichever host it came from, since gateways speak each other's dialects.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Tuple

Path = Tuple[str, ...]
Report = Mapping[str, Any]


class Usage(NamedTuple):
    """Tokens of one call as the provider reported them; None where it reported nothing.

    Input and output have OpenTelemetry's meaning: `input_tokens` includes what was read from and
    written to the cache, `output_tokens` includes reasoning; the other fields are parts of these.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    total_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    cache_read_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_image_tokens: int | None = None


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
            "total_tokens": _at("totalTokens"),
        },
        adds_input=("cache_read_tokens", "cache_write_tokens"),
    ),
    Dialect(  # ... /APIReference/API_runtime_InvokeModelWithResponseStream.html, and response headers
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
    Dialect(  # docs.cohere.com/reference/chat: tokens is what the model saw, billed_units what costs
        "cohere",
        ("tokens", "billed_units"),
        {
            "input_tokens": _at("tokens.input_tokens", "billed_units.input_tokens"),
            "output_tokens": _at("tokens.output_tokens", "billed_units.output_tokens"),
            "cache_read_tokens": _at("cached_tokens"),
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
        ("predictions.embeddings.statistics.token_count",),
        {"input_tokens": _flat("predictions.embeddings.statistics.token_count")},
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
    Dialect(  # huggingface.github.io/text-generation-inference: details of a generation
        "huggingface",
        ("generated_tokens",),
        {
            "input_tokens": _at("input_length"),
            "output_tokens": _at("generated_tokens"),
        },
    ),
    Dialect(  # docs.voyageai.com/reference: one figure, and only input can be meant
        "total",
        ("total_tokens",),
        {"input_tokens": _at("total_tokens"), "total_tokens": _at("total_tokens")},
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
    "num_tokens_prompt_total",
    "num_tokens_generated",
    "tokens_evaluated",
    "tokens_predicted",
)
"""Counts that stand beside the answer itself, not in a report of their own."""


def read_root_counts(value: Report, counts: dict[str, int]) -> None:
    """Lay the counts beside an answer over those of the answer's earlier parts.

    They only grow: watsonx reports input with the first part and 0 with all others.
    """
    for path in ROOT_COUNTS:
        count = _count_at(value, path) if path[0] in value else None
        if count is not None:
            name = ".".join(path)
            counts[name] = max(count, counts.get(name, 0))


_MODALITY_FIELDS = {"AUDIO": "audio", "IMAGE": "image"}


def find_dialect(report: Report) -> Dialect | None:
    """The first dialect of which `report` shows a member; None for no usage report at all."""
    for dialect in DIALECTS:
        for name in dialect.signature:
            if name in report:
                return dialect
    return None


def read_usage(report: Report) -> Usage | None:
    """Read a usage report, in whichever dialect; None where it holds no token counts."""
    dialect = find_dialect(report)
    if dialect is None:
        return None
    counts: dict[str, int] = {}
    for part in (report, *_find_extra_rounds(report, dialect)):
        _count_fields(part, dialect, counts)
    _split_modalities(report, dialect, counts)
    _complete(report, dialect, counts)
    return Usage(**counts) if counts else None


def _find_extra_rounds(report: Report, dialect: Dialect) -> list[Report]:
    name, kind = dialect.extra_rounds
    rounds = report.get(name)
    if not isinstance(rounds, list):
        return []
    return [row for row in rounds if isinstance(row, dict) and row.get("type") == kind]


def _count_fields(report: Report, dialect: Dialect, counts: dict[str, int]) -> None:
    for field, paths in dialect.fields.items():
        value = _first_count(report, paths)
        if value is not None:
            counts[field] = counts.get(field, 0) + value


def _complete(report: Report, dialect: Dialect, counts: dict[str, int]) -> None:
    """Bring input and output to OpenTelemetry's meaning."""
    extras = [_count_at(report, path) or 0 for path in dialect.input_extras]
    _add(counts, "input_tokens", sum(extras) + _sum(counts, dialect.adds_input))
    _add(counts, "output_tokens", _sum(counts, dialect.adds_output))
    if dialect.name in _UNSETTLED:
        _settle(counts)


# Attributes are signed 64-bit; no call uses as many tokens as that.
_MOST = 2**63 - 1
_UNSETTLED = frozenset(("openai.chat", "openai.responses"))
# What some providers leave out although the dialect takes it in: xAI reasoning, Mistral audio.
_LEFT_OUT = (("reasoning_tokens", "output_tokens"), ("input_audio_tokens", "input_tokens"))


def _settle(counts: dict[str, int]) -> None:
    """Add a part that the provider left out of its whole, where its own total says that it did."""
    whole = counts.get("input_tokens", 0) + counts.get("output_tokens", 0)
    missing = counts.get("total_tokens", whole) - whole
    for part, field in _LEFT_OUT:
        if 0 < missing == counts.get(part):
            _add(counts, field, missing)
            return
    cached = counts.get("cache_read_tokens", 0)
    if cached > counts.get("input_tokens", cached):
        _add(counts, "input_tokens", cached)


def _split_modalities(report: Report, dialect: Dialect, counts: dict[str, int]) -> None:
    for prefix, path in dialect.modalities.items():
        rows = report.get(path)
        for row in rows if isinstance(rows, list) else ():
            modality = row.get("modality") if isinstance(row, dict) else None
            name = _MODALITY_FIELDS.get(modality) if isinstance(modality, str) else None
            field = f"{prefix}_{name}_tokens"
            if name and field in Usage._fields:
                _add(counts, field, _count(row.get("tokenCount")) or 0)


def _sum(counts: Mapping[str, int], fields: tuple[str, ...]) -> int:
    return sum(counts.get(field, 0) for field in fields)


def _add(counts: dict[str, int], field: str, more: int) -> None:
    if more:
        counts[field] = counts.get(field, 0) + more


def _first_count(report: Report, paths: tuple[Path, ...]) -> int | None:
    for path in paths:
        value = _count_at(report, path)
        if value is not None:
            return value
    return None


def _count_at(node: Any, path: Path) -> int | None:
    """The count at `path`; where a list is on the way, the sum over its elements."""
    for depth, name in enumerate(path):
        if isinstance(node, list):
            found = [_count_at(element, path[depth:]) for element in node]
            counts = [count for count in found if count is not None]
            return sum(counts) if counts else None
        if not isinstance(node, dict):
            return None
        node = node.get(name)
    return _count(node)


def _count(value: Any) -> int | None:
    """A count as a number; bool, negative, fractional and endless ones are none."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= _MOST else None
