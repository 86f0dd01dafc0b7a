"""Every attribute key, header and scope name that leaves the process, once.

HTTP names are the stable OpenTelemetry conventions
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/), GenAI names the conventions of
https://github.com/open-telemetry/semantic-conventions-genai; `lupis.*` are ours.

The line under a name says what its value is: README's table of attributes, which
`python -m lupis_instrument._semconv` prints, is made of these lines. A name that ends with a dot is
followed by another name.
"""

from __future__ import annotations

SCOPE = "lupis_instrument"
"""Instrumentation scope of the spans this package starts itself."""

# HTTP
ERROR_TYPE = "error.type"
"""The status, or the type of the exception, of a call that failed."""
HTTP_REQUEST_METHOD = "http.request.method"
"""`POST`, for example."""
HTTP_REQUEST_HEADER = "http.request.header."
"""Each header of the request, as a list; see `LUPIS_CAPTURE_HEADERS`."""
HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count"
"""Which repetition of a request this is; absent for the first attempt."""
HTTP_RESPONSE_HEADER = "http.response.header."
"""Each header of the response, as a list; see `LUPIS_CAPTURE_HEADERS`."""
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
"""The status of the response."""
NETWORK_PEER_ADDRESS = "network.peer.address"
"""The address of the server, or of a proxy."""
NETWORK_PEER_PORT = "network.peer.port"
"""Its port."""
NETWORK_PROTOCOL_VERSION = "network.protocol.version"
"""The version of HTTP, `1.1` for example."""
SERVER_ADDRESS = "server.address"
"""The host that the request was sent to."""
SERVER_PORT = "server.port"
"""Its port."""
URL_FULL = "url.full"
"""The URL, secrets in it hidden."""
USER_AGENT_ORIGINAL = "user_agent.original"
"""What the client calls itself."""

# GenAI
GEN_AI_CONVERSATION_ID = "gen_ai.conversation.id"
"""The chat id, by the name that the conventions have for it."""
GEN_AI_OPERATION_NAME = "gen_ai.operation.name"
"""`chat`, `embeddings` and so on."""
GEN_AI_PROVIDER_NAME = "gen_ai.provider.name"
"""`openai`, `anthropic` and so on."""
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
"""The model that was asked for."""
GEN_AI_REQUEST_STREAM = "gen_ai.request.stream"
"""Whether a stream was asked for."""
GEN_AI_RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
"""Why the model stopped, a list."""
GEN_AI_RESPONSE_ID = "gen_ai.response.id"
"""The provider's id of the answer."""
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
"""The model that answered."""
GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
"""Seconds from the start to the first piece of the body."""
GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
"""Tokens read, cached ones included, as the provider reported them."""
GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
"""Tokens written, as the provider reported them."""
GEN_AI_USAGE_CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
"""Input tokens that came from the cache."""
GEN_AI_USAGE_CACHE_WRITE = "gen_ai.usage.cache_write.input_tokens"
"""Input tokens that went into the cache."""
GEN_AI_USAGE_CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens"
"""What `cache_write` was called before it moved; backends of today read this one."""
GEN_AI_USAGE_REASONING = "gen_ai.usage.reasoning.output_tokens"
"""Output tokens spent on reasoning."""

# Events
EVENT_NAME = "event.name"
"""The name of an event, on log records."""

# Events of spans
EXCEPTION_ESCAPED = "exception.escaped"
"""Whether the exception left the span's block."""
EXCEPTION_MESSAGE = "exception.message"
"""What an exception said, secrets in it hidden."""
EXCEPTION_STACKTRACE = "exception.stacktrace"
"""Its stack trace: files, lines and source lines, secrets in them hidden."""
EXCEPTION_TYPE = "exception.type"
"""Its type."""

# Users
SESSION_ID = "session.id"
"""The session id of the metadata in force, by the conventions' name."""
USER_ID = "user.id"
"""The user id of the metadata in force, by the conventions' name."""

# Ours
LUPIS_CHAT_ID = "lupis.chat.id"
"""The chat id in force when the span began, or else the one that an LLM call tells itself."""
LUPIS_CHAT_SOURCE = "lupis.chat.source"
"""Who says so: `code`, `environment`, `baggage` of a request that came in, `api`, or `derived`."""
LUPIS_COST_CACHE = "lupis.cost.cache"
"""What the cached tokens cost, in USD."""
LUPIS_COST_CATALOG = "lupis.cost.catalog"
"""The version of the prices that were used."""
LUPIS_COST_INPUT = "lupis.cost.input"
"""What the input cost, in USD."""
LUPIS_COST_OUTPUT = "lupis.cost.output"
"""What the output cost, in USD."""
LUPIS_COST_REASON = "lupis.cost.reason"
"""In a few words why a call is not priced, or not wholly."""
LUPIS_COST_STATUS = "lupis.cost.status"
"""`priced`, `partial`, `free` or `unpriced`."""
LUPIS_COST_TOTAL = "lupis.cost.total"
"""What the call cost, in USD; absent where no price is known."""
LUPIS_DEDUP = "lupis.dedup"
"""Below the span of an LLM library's instrumentor: which has the tokens, `self` or `parent`."""
LUPIS_METADATA = "lupis.metadata."
"""Each field of the metadata in force, those of `extra` included."""
LUPIS_PROJECT_ID = "lupis.project.id"
"""`LUPIS_PROJECT_ID`."""
LUPIS_REPEATED = "lupis.repeated."
"""The tokens, where the span of an LLM library's instrumentor has them by the standard names."""
LUPIS_RESPONSE_CHUNKS = "lupis.response.chunks"
"""In how many pieces the body came."""
LUPIS_RESPONSE_OUTCOME = "lupis.response.outcome"
"""How the body ended: `complete`, `closed`, `dropped` or `error`."""
LUPIS_RUN_ID = "lupis.run.id"
"""The same for all processes of one `lupis-run`."""
LUPIS_USAGE_SOURCE = "lupis.usage.source"
"""`reported`: by the provider."""
LUPIS_USAGE_TOTAL_TOKENS = "lupis.usage.total_tokens"
"""Tokens read and written, as the provider added them up."""

# Resource
PROCESS_PID = "process.pid"
"""The process."""
SERVICE_NAME = "service.name"
"""`LUPIS_SERVICE_NAME`."""
SERVICE_VERSION = "service.version"
"""`LUPIS_SERVICE_VERSION`."""
TELEMETRY_SDK_LANGUAGE = "telemetry.sdk.language"
"""`python`."""
TELEMETRY_SDK_NAME = "telemetry.sdk.name"
"""`opentelemetry`."""
TELEMETRY_SDK_VERSION = "telemetry.sdk.version"
"""The version of the OpenTelemetry SDK."""

REPEATED = {
    GEN_AI_USAGE_INPUT_TOKENS: LUPIS_REPEATED + "input_tokens",
    GEN_AI_USAGE_OUTPUT_TOKENS: LUPIS_REPEATED + "output_tokens",
    GEN_AI_USAGE_CACHE_READ: LUPIS_REPEATED + "cache_read_tokens",
    GEN_AI_USAGE_CACHE_WRITE: LUPIS_REPEATED + "cache_write_tokens",
    GEN_AI_USAGE_REASONING: LUPIS_REPEATED + "reasoning_tokens",
    LUPIS_USAGE_TOTAL_TOKENS: LUPIS_REPEATED + "total_tokens",
}

# What spans of LLM libraries' instrumentors say: those of OpenTelemetry, OpenLLMetry (Traceloop),
# OpenInference (Arize), OpenLIT and Logfire.
AGENT_OPERATIONS = frozenset(
    ("create_agent", "execute_tool", "invoke_agent", "invoke_workflow", "plan")
)
LLM_OPERATIONS = frozenset(("chat", "text_completion", "generate_content", "embeddings"))
"""With which the name of a span begins, by OpenTelemetry's conventions for generative AI."""
OPENINFERENCE_SPAN_KIND = "openinference.span.kind"
OPENINFERENCE_LLM_KINDS = frozenset(("LLM", "EMBEDDING", "RERANKER"))
LLM_SPAN_TOKENS = (
    GEN_AI_USAGE_INPUT_TOKENS,
    GEN_AI_USAGE_OUTPUT_TOKENS,
    "gen_ai.usage.prompt_tokens",
    "gen_ai.usage.completion_tokens",
    "gen_ai.usage.total_tokens",
    "llm.token_count.prompt",
    "llm.token_count.completion",
    "llm.usage.total_tokens",
)
LLM_SPAN_MARKS = ("gen_ai.system", GEN_AI_PROVIDER_NAME, "llm.request.type", *LLM_SPAN_TOKENS)

EVENT_ATTEMPT = "lupis.attempt"

# Headers of our own requests
HEADER_API_KEY = "x-api-key"
HEADER_PROJECT_ID = "x-project-id"

# Variables that are no settings
ENV_RUN_ID = "LUPIS_RUN_ID"
ENV_LAUNCHER_SITE = "LUPIS_LAUNCHER_SITE"
ENV_LEADER = "LUPIS_LEADER"
ENV_SEMCONV_OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"


def attributes_table() -> str:
    """README's table of attributes, in Markdown."""
    import inspect
    import re
    import sys

    source = inspect.getsource(sys.modules[__name__])
    rows = re.findall(r'^[A-Z_]+ = "(.+\..*)"\n"""(.+)"""$', source, re.MULTILINE)
    lines = [f"| `{name}{'…' if name.endswith('.') else ''}` | {text} |" for name, text in rows]
    return "\n".join(["| attribute | value |", "|---|---|", *sorted(lines), ""])


if __name__ == "__main__":
    import sys

    sys.stdout.write(attributes_table())
