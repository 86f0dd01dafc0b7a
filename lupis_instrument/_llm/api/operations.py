"""What a request path asks an LLM API for: one row a path."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

ANYWHERE = 0
"""The path alone tells an LLM API, on whatever host."""
LIKELY = 1
"""Telling on a private host, or on one named after LLMs; elsewhere it may be anything."""
KNOWN = 2
"""Telling on the hosts of LLM providers only."""


OTHER_API = "other"
"""The wire API of calls that are no use of a model: files, lists, stored settings."""


class Operation(NamedTuple):
    """What is asked for, and the wire API it is asked in."""

    path: str
    """How the path ends, or a pattern that is found in it."""
    name: str
    """As in OpenTelemetry's gen_ai.operation.name where it knows the operation."""
    api: str
    trust: int = KNOWN
    counts: bool = True
    """Whether a POST uses tokens."""
    provider: str | None = None
    """Who is asked, where the path tells more than the host."""
    is_pattern: bool = False
    """Compiled when a path first meets it: all of them together take a while."""

    def fits(self, path: str) -> bool:
        """Whether `path` (without query) is this operation's."""
        if self.is_pattern:
            return _compile(self.path).search(path) is not None
        return path.endswith(self.path)


_compile = lru_cache(maxsize=None)(re.compile)


def _row(pattern: str, *columns: object, **more: object) -> Operation:
    row = Operation(pattern, *columns, **more)  # type: ignore[arg-type]
    return row._replace(is_pattern=True)


_ROWS: tuple[Operation, ...] = (
    Operation("/chat/completions", "chat", "openai.chat", ANYWHERE),
    _row(r"/v1/prompts/[^/]+/completions$", "chat", "openai.chat"),
    Operation("/fim/completions", "text_completion", "openai.chat", LIKELY),
    Operation("/agents/completions", "chat", "openai.chat", LIKELY),
    Operation("/v1/completions", "text_completion", "openai.completions", ANYWHERE),
    _row(r"/(?:deployments|engines)/[^/]+/completions$", "text_completion", "openai.completions",
         ANYWHERE),
    Operation("/completions", "text_completion", "openai.completions"),
    Operation("/completion", "text_completion", "llama_cpp", LIKELY),
    Operation("/infill", "text_completion", "llama_cpp", LIKELY),
    Operation("/text/chatcompletion_v2", "chat", "openai.chat", LIKELY),
    _row(r"/(?:openai|codex)(?:/v1)?/responses$", "chat", "openai.responses", ANYWHERE),
    Operation("/v1/responses", "chat", "openai.responses", LIKELY),
    Operation("/responses", "chat", "openai.responses"),
    Operation("/responses/compact", "chat", "openai.responses", LIKELY),
    Operation("/responses/input_tokens", "count_tokens", "openai.responses", LIKELY, counts=False),
    _row(r"/(?:deployments/[^/]+|v1|models)/embeddings$", "embeddings", "openai.embeddings",
         ANYWHERE),
    Operation("/api/embeddings", "embeddings", "ollama.embed", LIKELY),
    Operation("/text/embeddings", "embeddings", "watsonx", LIKELY),
    Operation("/embedding/text", "embeddings", "openai.embeddings"),
    Operation("/text-embedding", "embeddings", "dashscope"),
    Operation("/multimodal-embedding", "embeddings", "dashscope"),
    Operation("/embeddings", "embeddings", "openai.embeddings"),
    Operation("/multimodalembeddings", "embeddings", "openai.embeddings"),
    Operation("/contextualizedembeddings", "embeddings", "openai.embeddings"),
    Operation("/images/generations", "image_generation", "openai.images", LIKELY),
    Operation("/images/edits", "image_generation", "openai.images", LIKELY),
    Operation("/images/variations", "image_generation", "openai.images", LIKELY),
    Operation("/audio/speech", "speech", "openai.audio", LIKELY),
    Operation("/audio/transcriptions", "transcription", "openai.audio", LIKELY),
    Operation("/audio/translations", "transcription", "openai.audio", LIKELY),
    Operation("/tts", "speech", "xai.audio"),
    Operation("/stt", "transcription", "xai.audio"),
    Operation("/moderations", "moderation", OTHER_API, counts=False),
    _row(r"/threads(?:/[^/]+)?/runs$", "invoke_agent", "openai.assistants"),
    _row(r"/runs/[^/]+/submit_tool_outputs$", "invoke_agent", "openai.assistants"),
    Operation("/assistants", "create_agent", OTHER_API, counts=False),
    Operation("/anthropic/v1/messages", "chat", "anthropic.messages", ANYWHERE),
    Operation("/v1/messages", "chat", "anthropic.messages", LIKELY),
    Operation("/messages/count_tokens", "count_tokens", "anthropic.messages", LIKELY, counts=False),
    Operation("/v1/complete", "text_completion", "anthropic.complete"),
    Operation("/complete", "text_completion", "aleph_alpha"),
    Operation(":generateContent", "generate_content", "gemini", ANYWHERE),
    Operation(":streamGenerateContent", "generate_content", "gemini", ANYWHERE),
    Operation(":embedContent", "embeddings", "gemini.embed", ANYWHERE),
    Operation(":batchEmbedContents", "embeddings", "gemini.embed", ANYWHERE),
    Operation(":countTokens", "count_tokens", "gemini", ANYWHERE, counts=False),
    Operation("/interactions", "generate_content", "gemini.interactions"),
    _row(r"/publishers/[^/]+/models/[^/]*embedding[^/]*:predict$", "embeddings", "vertex.predict",
         ANYWHERE),
    _row(r"/publishers/[^/]+/models/[^/]+:predict$", "generate_content", "vertex.predict",
         ANYWHERE),
    _row(r"/publishers/anthropic/models/count-tokens:rawPredict$", "count_tokens",
         "anthropic.messages", ANYWHERE, counts=False),
    _row(r"/publishers/anthropic/models/[^/]+:(?:rawPredict|streamRawPredict)$", "chat",
         "anthropic.messages", ANYWHERE),
    _row(r"/publishers/[^/]+/models/[^/]+:(?:rawPredict|streamRawPredict)$", "chat",
         "openai.chat", ANYWHERE),
    _row(r"/model/[^/]+/(?:converse|converse-stream)$", "chat", "bedrock.converse", ANYWHERE),
    _row(r"/model/[^/]*embed[^/]*/invoke$", "embeddings", "bedrock.invoke", ANYWHERE),
    _row(r"/model/[^/]*rerank[^/]*/invoke$", "rerank", "bedrock.invoke", ANYWHERE),
    _row(r"/model/[^/]+/(?:invoke|invoke-with-response-stream)$", "chat", "bedrock.invoke",
         ANYWHERE),
    _row(r"/model/[^/]+/count-tokens$", "count_tokens", "bedrock", ANYWHERE, counts=False),
    _row(r"/agents/[^/]+/agentAliases/[^/]+/sessions/[^/]+/text$", "invoke_agent",
         "bedrock.agent", ANYWHERE),
    Operation("/retrieveAndGenerate", "chat", "bedrock.agent"),
    Operation("/retrieveAndGenerateStream", "chat", "bedrock.agent"),
    _row(r"^/endpoints/[^/]+/(?:invocations|invocations-response-stream)$", "chat", "sagemaker",
         provider="aws.sagemaker"),
    _row(r"/serving-endpoints/[^/]+/invocations$", "chat", "openai.chat", LIKELY),
    Operation("/cortex/inference:complete", "chat", "openai.chat", ANYWHERE),
    Operation("/api/chat", "chat", "ollama.chat", LIKELY),
    Operation("/api/generate", "text_completion", "ollama.generate", LIKELY),
    Operation("/api/embed", "embeddings", "ollama.embed", LIKELY),
    Operation("/text/chat", "chat", "openai.chat", LIKELY),
    Operation("/text/chat_stream", "chat", "openai.chat", LIKELY),
    Operation("/chat", "chat", "cohere.chat"),
    Operation("/generate", "text_completion", "cohere.generate"),
    Operation("/summarize", "text_completion", "cohere.generate"),
    Operation("/embed", "embeddings", "cohere.embed"),
    Operation("/rerank", "rerank", "cohere.rerank"),
    _row(r"/v[12]/rerank$", "rerank", "cohere.rerank", LIKELY),
    Operation("/reranking", "rerank", "cohere.rerank"),
    Operation("/text-rerank", "rerank", "dashscope"),
    Operation("/text/rerank", "rerank", "watsonx", LIKELY),
    Operation("/generate_stream", "text_completion", "huggingface", LIKELY),
    Operation("/generation/text", "text_completion", "watsonx", LIKELY),
    Operation("/generation/text_stream", "text_completion", "watsonx", LIKELY),
    Operation("/text/generation", "text_completion", "watsonx", LIKELY),
    Operation("/text/generation_stream", "text_completion", "watsonx", LIKELY),
    Operation("/generation", "chat", "dashscope"),
    Operation("/predictions", "text_completion", "replicate"),
    Operation("/v1/conversations", "invoke_agent", "mistral.conversations"),
)  # fmt: skip

NESTED: tuple[Operation, ...] = (
    _row(r"^/agents/[^/]+$", "invoke_agent", "bedrock.agent", provider="aws.bedrock"),
    _row(r"/ai/run/@", "chat", "cloudflare", ANYWHERE),
    _row(r"^/(?:hf-inference/)?(?:models|pipeline/[a-z-]+)/[^/]+", "text_completion",
         "huggingface", provider="hugging_face"),
    _row(r"/runs/[^/]+(?:/cancel)?$", "invoke_agent", "openai.assistants", counts=False),
    _row(r"/responses/[^/]+(?:/cancel)?$", "chat", "openai.responses", counts=False),
    _row(r"/chat/completions/[^/]+$", "chat", "openai.chat", counts=False),
    _row(r"/interactions/[^/]+(?:/cancel)?$", "generate_content", "gemini.interactions",
         counts=False),
    _row(r"/predictions/[^/]+(?:/cancel)?$", "text_completion", "replicate", counts=False,
         provider="replicate"),
    _row(r"^/v1/conversations/[^/]+$", "invoke_agent", "mistral.conversations",
         provider="mistral_ai"),
)  # fmt: skip
"""Operations whose path ends with a name of the caller's, or acts on a stored result."""

_LAST_WORD = re.compile(r"[A-Za-z0-9_@-]+")


def _split_words(operation: Operation) -> list[str]:
    """The last words a row's paths may have."""
    end = re.split(r"[/:]", operation.path.replace("(?:", "("))[-1]
    return _LAST_WORD.findall(end)


def _index_rows() -> dict[str, list[Operation]]:
    index: dict[str, list[Operation]] = {}
    for row in _ROWS:
        for word in _split_words(row):
            index.setdefault(word, []).append(row)
    return index


_BY_LAST_WORD = _index_rows()


def find_operation(path: str, trust: int) -> Operation | None:
    """The operation a path (without query) asks for on a host of that trust, if it is one."""
    last = path.rpartition("/")[2].rpartition(":")[2]
    for row in _BY_LAST_WORD.get(last, ()):
        if row.trust <= trust and row.fits(path):
            return row
    return None


def find_nested(path: str, provider: str) -> Operation | None:
    """The operation of a path at a known provider's that ends with a name of the caller's."""
    for row in NESTED:
        if row.provider in (None, provider) and row.fits(path):
            return row
    return None
