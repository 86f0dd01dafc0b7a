"""Which operation of an LLM API a request path means: one row for each path."""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple


class HostTrust(IntEnum):
    """How sure it is that a host serves an LLM API, and how sure a path needs it to be."""

    ANYWHERE = 0
    """Any host: the path alone identifies an LLM API."""
    LIKELY = 1
    """A private host, or a host with a name such as `llm`: some paths are ambiguous elsewhere."""
    KNOWN = 2
    """A host of an LLM provider."""


ANYWHERE, LIKELY, KNOWN = HostTrust

OTHER_API = "other"
"""The wire API of calls that don't use a model: files, lists, stored settings."""


class Operation(NamedTuple):
    """One operation, with the path and the wire API that belong to it.

    Attributes:
        path: the end of the path, or a pattern to search for in it.
        name: the value of OpenTelemetry's gen_ai.operation.name if that lists the operation.
        api: the name of the wire API, which decides how a response is read.
        trust: the least trust in the host with which the path identifies the operation.
        uses_tokens: whether a POST uses tokens.
        provider: the provider, if the path says more about it than the host.
        needs_model: whether the path is so common that it is this operation only if the request
            names a model or the response reports usage.
        is_pattern: whether `path` is a regular expression. It is compiled when a path first needs
            it, because compiling all of them takes a while.
    """

    path: str
    name: str
    api: str
    trust: HostTrust = KNOWN
    uses_tokens: bool = True
    provider: str | None = None
    needs_model: bool = False
    is_pattern: bool = False

    def matches_path(self, path: str) -> bool:
        """Return whether `path` (without query) is a path of this operation."""
        if self.is_pattern:
            return _compile_pattern(self.path).search(path) is not None
        return path.endswith(self.path)


_compile_pattern = lru_cache(maxsize=None)(re.compile)


def _row(pattern: str, *columns: object, **more: object) -> Operation:
    """Return a row whose path is a regular expression."""
    row = Operation(pattern, *columns, **more)  # type: ignore[arg-type]
    return row._replace(is_pattern=True)


# The first row that matches wins, so a longer path comes before a shorter one with its last word.
_OPERATIONS: tuple[Operation, ...] = (
    Operation("/chat/completions", "chat", "openai.chat", ANYWHERE),
    _row(r"/v1/prompts/[^/]+/completions$", "chat", "openai.chat"),
    Operation("/fim/completions", "text_completion", "openai.chat", LIKELY),
    Operation("/agents/completions", "chat", "openai.chat", LIKELY),
    Operation("/v1/completions", "text_completion", "openai.completions", ANYWHERE),
    _row(r"/(?:deployments|engines)/[^/]+/completions$", "text_completion", "openai.completions",
         ANYWHERE),
    Operation("/completions", "text_completion", "openai.completions"),
    _row(r"^/completions$", "text_completion", "openai.completions", LIKELY, needs_model=True),
    Operation("/foundationModels/v1/completion", "chat", "yandex", ANYWHERE, provider="yandex"),
    _row(r"^/api/v1/apps/[^/]+/completion$", "invoke_agent", "dashscope"),
    Operation("/completion", "text_completion", "llama_cpp", LIKELY),
    Operation("/infill", "text_completion", "llama_cpp", LIKELY),
    Operation("/text/chatcompletion_v2", "chat", "openai.chat", LIKELY),
    _row(r"/(?:openai|codex)(?:/v1)?/responses$", "chat", "openai.responses", ANYWHERE),
    Operation("/v1/responses", "chat", "openai.responses", LIKELY),
    Operation("/v1/responses", "chat", "openai.responses", ANYWHERE, needs_model=True),
    _row(r"^(?:/serving-endpoints)?/responses$", "chat", "openai.responses", LIKELY,
         needs_model=True),
    Operation("/responses", "chat", "openai.responses"),
    Operation("/decisions", "decisions", "openai.responses"),
    Operation("/responses/compact", "chat", "openai.responses", LIKELY),
    Operation("/responses/input_tokens", "count_tokens", "openai.responses", LIKELY,
              uses_tokens=False),
    _row(r"/(?:deployments/[^/]+|v1|models)/embeddings$", "embeddings", "openai.embeddings",
         ANYWHERE),
    Operation("/api/embeddings", "embeddings", "ollama.embed", LIKELY),
    _row(r"^(?:/serving-endpoints)?/embeddings$", "embeddings", "openai.embeddings", LIKELY,
         needs_model=True),
    Operation("/embeddings/multimodal", "embeddings", "openai.embeddings"),
    Operation("/text/embeddings", "embeddings", "watsonx", LIKELY),
    Operation("/embedding/text", "embeddings", "openai.embeddings"),
    Operation("/text-embedding", "embeddings", "dashscope"),
    Operation("/multimodal-embedding", "embeddings", "dashscope"),
    Operation("/embeddings", "embeddings", "openai.embeddings"),
    Operation("/multimodalembeddings", "embeddings", "openai.embeddings"),
    Operation("/contextualizedembeddings", "embeddings", "openai.embeddings"),
    Operation("/api/v1/images", "image_generation", "openai.images"),
    Operation("/images/generations", "image_generation", "openai.images", LIKELY),
    Operation("/images/edits", "image_generation", "openai.images", LIKELY),
    Operation("/images/variations", "image_generation", "openai.images", LIKELY),
    Operation("/videos", "video_generation", "openai.videos"),
    Operation("/videos/generations", "video_generation", "openai.videos"),
    Operation("/audio/speech", "speech", "openai.audio", LIKELY),
    Operation("/audio/transcriptions", "transcription", "openai.audio", LIKELY),
    Operation("/audio/translations", "transcription", "openai.audio", LIKELY),
    Operation("/tts", "speech", "xai.audio"),
    Operation("/stt", "transcription", "xai.audio"),
    Operation("/ocr", "ocr", "mistral.ocr"),
    Operation("/moderations", "moderation", OTHER_API, uses_tokens=False),
    _row(r"/(?:openai|api/projects/[^/]+)/threads(?:/[^/]+)?/runs$", "invoke_agent",
         "openai.assistants", LIKELY),
    _row(r"/(?:openai|api/projects/[^/]+)/threads/[^/]+/runs/[^/]+/submit_tool_outputs$",
         "invoke_agent", "openai.assistants", LIKELY),
    _row(r"/threads(?:/[^/]+)?/runs$", "invoke_agent", "openai.assistants"),
    _row(r"/runs/[^/]+/submit_tool_outputs$", "invoke_agent", "openai.assistants"),
    _row(r"/(?:openai|api/projects/[^/]+)/assistants$", "create_agent", OTHER_API, LIKELY,
         uses_tokens=False),
    Operation("/assistants", "create_agent", OTHER_API, uses_tokens=False),
    Operation("/anthropic/v1/messages", "chat", "anthropic.messages", ANYWHERE),
    Operation("/v1/messages", "chat", "anthropic.messages", LIKELY),
    Operation("/v1/messages", "chat", "anthropic.messages", ANYWHERE, needs_model=True),
    Operation("/messages/count_tokens", "count_tokens", "anthropic.messages", LIKELY,
              uses_tokens=False),
    Operation("/v1/complete", "text_completion", "anthropic.complete"),
    Operation("/complete", "text_completion", "aleph_alpha"),
    Operation(":generateContent", "generate_content", "gemini", ANYWHERE),
    Operation(":streamGenerateContent", "generate_content", "gemini", ANYWHERE),
    Operation(":embedContent", "embeddings", "gemini.embed", ANYWHERE),
    Operation(":batchEmbedContents", "embeddings", "gemini.embed", ANYWHERE),
    Operation(":countTokens", "count_tokens", "gemini", ANYWHERE, uses_tokens=False),
    Operation("/interactions", "generate_content", "gemini.interactions"),
    _row(r"/publishers/[^/]+/models/[^/]*embedding[^/]*:predict$", "embeddings", "vertex.predict",
         ANYWHERE),
    _row(r"/models/imagen[^/]*:predict$", "image_generation", "vertex.predict", ANYWHERE),
    _row(r"/models/[^/]+:predictLongRunning$", "video_generation", "vertex.predict", ANYWHERE),
    _row(r"^/v1[^/]*/projects/.+/endpoints/[^/]+:(?:predict|rawPredict|streamRawPredict)$",
         "generate_content", "vertex.predict", LIKELY),
    _row(r"/publishers/[^/]+/models/[^/]+:predict$", "generate_content", "vertex.predict",
         ANYWHERE),
    _row(r"/publishers/anthropic/models/count-tokens:rawPredict$", "count_tokens",
         "anthropic.messages", ANYWHERE, uses_tokens=False),
    _row(r"/publishers/anthropic/models/[^/]+:(?:rawPredict|streamRawPredict)$", "chat",
         "anthropic.messages", ANYWHERE),
    _row(r"/publishers/[^/]+/models/[^/]+:(?:rawPredict|streamRawPredict)$", "chat",
         "openai.chat", ANYWHERE),
    _row(r"/model/[^/]+/(?:converse|converse-stream)$", "chat", "bedrock.converse", ANYWHERE),
    _row(r"/model/[^/]*embed[^/]*/invoke$", "embeddings", "bedrock.invoke", ANYWHERE),
    _row(r"/model/[^/]*rerank[^/]*/invoke$", "rerank", "bedrock.invoke", ANYWHERE),
    _row(r"/model/[^/]*(?:nova-canvas|titan-image|stability\.)[^/]*/invoke$", "image_generation",
         "bedrock.invoke", ANYWHERE),
    _row(r"/model/[^/]+/(?:invoke|invoke-with-response-stream)$", "chat", "bedrock.invoke",
         ANYWHERE),
    _row(r"/model/[^/]+/count-tokens$", "count_tokens", "bedrock", ANYWHERE, uses_tokens=False),
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
    Operation("/api/v1/chat", "chat", "lm_studio", LIKELY),
    _row(r"^/\d{8}/actions/chat$", "chat", "oracle", ANYWHERE),
    _row(r"^/\d{8}/actions/generateText$", "text_completion", "oracle", ANYWHERE),
    _row(r"^/\d{8}/actions/embedText$", "embeddings", "oracle", ANYWHERE),
    _row(r"^/\d{8}/actions/rerankText$", "rerank", "oracle", ANYWHERE),
    Operation("/foundationModels/v1/textEmbedding", "embeddings", "yandex", ANYWHERE,
              provider="yandex"),
    Operation("/text/chat", "chat", "openai.chat", LIKELY),
    Operation("/text/chat_stream", "chat", "openai.chat", LIKELY),
    Operation("/chat", "chat", "cohere.chat"),
    Operation("/async/sonar", "chat", "openai.chat"),
    _row(r"^/generate$", "text_completion", "huggingface", LIKELY, needs_model=True),
    Operation("/generate", "text_completion", "cohere.generate"),
    Operation("/summarize", "text_completion", "cohere.generate"),
    Operation("/embed", "embeddings", "cohere.embed"),
    Operation("/rerank", "rerank", "cohere.rerank"),
    _row(r"/v[12]/rerank$", "rerank", "cohere.rerank", LIKELY),
    _row(r"^/rerank$", "rerank", "cohere.rerank", LIKELY, needs_model=True),
    _row(r"^(?:/v1)?/score$", "rerank", "openai.embeddings", LIKELY, needs_model=True),
    Operation("/classify", "classify", "cohere.classify"),
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
    _row(r"/v1/conversations/[^/]+/restart$", "invoke_agent", "mistral.conversations",
         provider="mistral_ai"),
)  # fmt: skip

NESTED_OPERATIONS: tuple[Operation, ...] = (
    _row(r"^/agents/[^/]+$", "invoke_agent", "bedrock.agent", provider="aws.bedrock"),
    _row(r"/ai/run/@", "chat", "cloudflare", ANYWHERE),
    _row(r"^/(?:hf-inference/)?(?:models|pipeline/[a-z-]+)/[^/]+", "text_completion",
         "huggingface", provider="hugging_face"),
    _row(r"/runs/[^/]+(?:/cancel)?$", "invoke_agent", "openai.assistants", uses_tokens=False),
    _row(r"/responses/[^/]+(?:/cancel)?$", "chat", "openai.responses", uses_tokens=False),
    _row(r"/chat/completions/[^/]+$", "chat", "openai.chat", uses_tokens=False),
    _row(r"/(?:chat/deferred-completion|async/sonar)/[^/]+$", "chat", "openai.chat",
         uses_tokens=False),
    _row(r"/videos/[^/]+$", "video_generation", "openai.videos", uses_tokens=False),
    _row(r"^/v1/inference/.+", "text_completion", "deepinfra", provider="deepinfra"),
    _row(r"^/$", "text_completion", "huggingface", provider="hugging_face"),
    _row(r"/interactions/[^/]+(?:/cancel)?$", "generate_content", "gemini.interactions",
         uses_tokens=False),
    _row(r"/predictions/[^/]+(?:/cancel)?$", "text_completion", "replicate",
         uses_tokens=False, provider="replicate"),
    _row(r"^/v1/conversations/[^/]+$", "invoke_agent", "mistral.conversations",
         provider="mistral_ai"),
)  # fmt: skip
"""Operations whose path ends with a name that the caller chose, or acts on a stored result."""

SOCKET_OPERATIONS: tuple[Operation, ...] = (
    Operation("/responses", "chat", "openai.responses", ANYWHERE),
    Operation("/realtime", "chat", "openai.realtime", ANYWHERE),
    Operation(".BidiGenerateContent", "generate_content", "gemini.live", ANYWHERE),
    Operation("/BidiGenerateContent", "generate_content", "gemini.live", ANYWHERE),
    Operation(".BidiGenerateContentConstrained", "generate_content", "gemini.live", ANYWHERE),
)
"""Operations whose requests and responses are messages on a WebSocket.

Other programs may have sockets at such paths, but the messages on them start no response.
"""

_WORD = re.compile(r"[A-Za-z0-9_@-]+")


def _list_last_words(operation: Operation) -> list[str]:
    """Return the words with which a path of this operation may end."""
    end = re.split(r"[/:]", operation.path.replace("(?:", "("))[-1]
    return _WORD.findall(end)


def _index_by_last_word() -> dict[str, list[Operation]]:
    index: dict[str, list[Operation]] = {}
    for operation in _OPERATIONS:
        for word in _list_last_words(operation):
            index.setdefault(word, []).append(operation)
    return index


# Most requests end with a word that is in no row, and the index rejects them with one look-up.
_BY_LAST_WORD = _index_by_last_word()


def find_operation(path: str, trust: HostTrust) -> Operation | None:
    """Return the operation of a path (without query) on a host with this trust, if there is one."""
    last_word = path.rpartition("/")[2].rpartition(":")[2]
    for operation in _BY_LAST_WORD.get(last_word, ()):
        if operation.trust <= trust and operation.matches_path(path):
            return operation
    return None


def find_nested_operation(path: str, provider: str) -> Operation | None:
    """Return the operation of a path in `NESTED_OPERATIONS` on a host of a known provider."""
    for operation in NESTED_OPERATIONS:
        if operation.provider in (None, provider) and operation.matches_path(path):
            return operation
    return None


def find_socket_operation(path: str) -> Operation | None:
    """Return the operation of the messages on a WebSocket with this path (without query)."""
    path = path.rstrip("/")
    return next((row for row in SOCKET_OPERATIONS if row.matches_path(path)), None)
