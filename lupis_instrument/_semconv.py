"""The name of every attribute, header, scope and variable of this package.

HTTP names are OpenTelemetry's stable conventions
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/). GenAI names are the conventions of
https://github.com/open-telemetry/semantic-conventions-genai. `lupis.*` names are this package's.

The text under an attribute describes its value. `python -m lupis_instrument._semconv` prints the
documentation's table of attributes from these texts. A name that ends with a dot is a prefix.
"""

from __future__ import annotations

SCOPE = "lupis_instrument"
"""The instrumentation scope of spans that this package starts."""

# HTTP
ERROR_MESSAGE = "error.message"
"""The message of an error, if your program sets it; reduced like `exception.message`."""
ERROR_TYPE = "error.type"
"""The HTTP status or the type of the exception, if the call failed."""
HTTP_REQUEST_METHOD = "http.request.method"
"""The HTTP method, such as `POST`."""
HTTP_REQUEST_HEADER = "http.request.header."
"""The values of a request header, as a list; see `LUPIS_CAPTURE_HEADERS`."""
HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count"
"""The number of the retry or redirect; absent for the first request."""
HTTP_RESPONSE_HEADER = "http.response.header."
"""The values of a response header, as a list; see `LUPIS_CAPTURE_HEADERS`."""
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
"""The HTTP status of the response."""
NETWORK_PEER_ADDRESS = "network.peer.address"
"""The address of the server or proxy at the other end of the connection."""
NETWORK_PEER_PORT = "network.peer.port"
"""The port of the server or proxy at the other end of the connection."""
NETWORK_PROTOCOL_NAME = "network.protocol.name"
"""`websocket`, if the call went over a WebSocket."""
NETWORK_PROTOCOL_VERSION = "network.protocol.version"
"""The HTTP version, such as `1.1`."""
SERVER_ADDRESS = "server.address"
"""The host in the request's URL."""
SERVER_PORT = "server.port"
"""The port in the request's URL."""
URL_FULL = "url.full"
"""The request's URL, with secrets redacted."""
USER_AGENT_ORIGINAL = "user_agent.original"
"""The request's User-Agent header."""

# GenAI
GEN_AI_AGENT_NAME = "gen_ai.agent.name"
"""The agent's name, on spans of `create_span(name, kind="agent")`."""
GEN_AI_CONVERSATION_ID = "gen_ai.conversation.id"
"""The chat id that your program or the API gave; see `LUPIS_AUTO_CHAT_ID`."""
GEN_AI_OPERATION_NAME = "gen_ai.operation.name"
"""The operation, such as `chat` or `embeddings`."""
GEN_AI_PROVIDER_NAME = "gen_ai.provider.name"
"""The provider, such as `openai` or `anthropic`."""
GEN_AI_OUTPUT_TYPE = "gen_ai.output.type"
"""The type of output that the request asks for: `text`, `json`, `image` or `speech`."""
GEN_AI_REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count"
"""The number of answers that the request asks for, if it is not 1."""
GEN_AI_REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
"""The request's frequency penalty."""
GEN_AI_REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
"""The maximum number of output tokens."""
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
"""The model named in the request."""
GEN_AI_REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
"""The request's presence penalty."""
GEN_AI_REQUEST_REASONING_LEVEL = "gen_ai.request.reasoning.level"
"""The effort of reasoning that the request asks for, such as `high`."""
GEN_AI_REQUEST_SEED = "gen_ai.request.seed"
"""The request's seed."""
GEN_AI_REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences"
"""The texts at which the model stops, as a list."""
GEN_AI_REQUEST_STREAM = "gen_ai.request.stream"
"""True if the response is a stream; absent for other responses."""
GEN_AI_REQUEST_TEMPERATURE = "gen_ai.request.temperature"
"""The request's temperature."""
GEN_AI_REQUEST_TOP_K = "gen_ai.request.top_k"
"""The request's top k."""
GEN_AI_REQUEST_TOP_P = "gen_ai.request.top_p"
"""The request's top p."""
GEN_AI_RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
"""The reasons why the model stopped, as a list; `error` for a stream that was cut off."""
GEN_AI_RESPONSE_ID = "gen_ai.response.id"
"""The provider's id of the response."""
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
"""The model named in the response."""
GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
"""Seconds from the start of the call to the first chunk of a stream."""
GEN_AI_TOOL_NAME = "gen_ai.tool.name"
"""The tool's name, on spans of `create_span(name, kind="tool")`."""
GEN_AI_WORKFLOW_NAME = "gen_ai.workflow.name"
"""The workflow's name, on spans of `create_span(name, kind="chain")`."""
GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
"""Input tokens as the provider reported them, cached ones included."""
GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
"""Output tokens as the provider reported them."""
GEN_AI_USAGE_CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
"""Input tokens read from the provider's cache."""
GEN_AI_USAGE_CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens"
"""Input tokens written to the provider's cache."""
GEN_AI_USAGE_COST = "gen_ai.usage.cost"
"""The same as `lupis.cost.total`, under the name that Langfuse and others read."""
GEN_AI_USAGE_REASONING = "gen_ai.usage.reasoning.output_tokens"
"""Output tokens used for reasoning."""

# Events (log records)
EVENT_NAME = "event.name"
"""The name of an event, on log records."""

# Span events
EXCEPTION_ESCAPED = "exception.escaped"
"""Whether the exception left the span's block."""
EXCEPTION_MESSAGE = "exception.message"
"""The words of the exception's message that cannot be content; `[…]` stands for the rest."""
EXCEPTION_STACKTRACE = "exception.stacktrace"
"""The exception's stack trace: files, line numbers, functions; see `LUPIS_STACKTRACE_SOURCE`."""
EXCEPTION_TYPE = "exception.type"
"""The exception's type."""

# Users
SESSION_ID = "session.id"
"""The session id of the metadata, by its name in the conventions."""
USER_ID = "user.id"
"""The user id of the metadata, by its name in the conventions."""

# Lupis
LUPIS_CHAT_ID = "lupis.chat.id"
"""The chat id: set when the span started, or else taken or derived from the LLM call."""
LUPIS_CHAT_SOURCE = "lupis.chat.source"
"""The origin of the chat id: `code`, `environment`, `baggage` (incoming), `api` or `derived`."""
LUPIS_COST_CACHE = "lupis.cost.cache"
"""The cost of cached tokens in USD."""
LUPIS_COST_CATALOG = "lupis.cost.catalog"
"""The version of the price catalog that was used."""
LUPIS_COST_ESTIMATE = "lupis.cost.estimate"
"""The total by the catalog in USD, if the provider states a cost that differs by over 0.5 %."""
LUPIS_COST_INPUT = "lupis.cost.input"
"""The cost of the input in USD."""
LUPIS_COST_OUTPUT = "lupis.cost.output"
"""The cost of the output in USD."""
LUPIS_COST_REASON = "lupis.cost.reason"
"""The reason why a call has no price or only part of one, such as `response not observed`."""
LUPIS_COST_SOURCE = "lupis.cost.source"
"""`reported` by the provider, `catalog`, or `prices_file` for your own prices."""
LUPIS_COST_STATUS = "lupis.cost.status"
"""`priced`, `partial`, `free` or `unpriced`."""
LUPIS_COST_TOTAL = "lupis.cost.total"
"""The cost of the call in USD; absent if no price is known."""
LUPIS_DEDUP = "lupis.dedup"
"""With an LLM library's span around: who has the tokens, `self` or `parent`; there `child`."""
LUPIS_ERROR_CODE = "lupis.error.code"
"""The provider's word for an error that came with an HTTP status, such as `rate_limit_exceeded`."""
LUPIS_METADATA = "lupis.metadata."
"""A field of the metadata, or an item of its `extra`."""
LUPIS_PROJECT_ID = "lupis.project.id"
"""The project, from `LUPIS_PROJECT_ID`."""
LUPIS_REPEATED = "lupis.repeated."
"""Tokens that the span of an LLM library's instrumentor has under their standard name."""
LUPIS_REQUEST_MESSAGE_COUNT = "lupis.request.message_count"
"""The number of messages in the request."""
LUPIS_REQUEST_PREVIOUS_RESPONSE_ID = "lupis.request.previous_response_id"
"""The id of the response that the request continues."""
LUPIS_REQUEST_TOOL_COUNT = "lupis.request.tool_count"
"""The number of tools that the request offers."""
LUPIS_REQUEST_TOOLS = "lupis.request.tools"
"""The names of the tools that the request offers, as a list; at most 64."""
LUPIS_RESPONSE_TOOLS = "lupis.response.tools"
"""The names of the tools that the model calls, as a list; never their arguments."""
LUPIS_REQUEST_FINGERPRINT = "lupis.request.fingerprint"
"""A keyed hash of the request's model and messages: identical requests have the same one."""
LUPIS_RESPONSE_CHUNKS = "lupis.response.chunks"
"""The number of chunks in which the response body arrived."""
LUPIS_RESPONSE_OUTCOME = "lupis.response.outcome"
"""How the response body ended: `complete`, `closed`, `dropped` or `error`."""
LUPIS_RUN_ID = "lupis.run.id"
"""An id of the launch, the same for all processes of one `lupis-run`."""
LUPIS_TAG = "lupis.tag."
"""A tag of the process, on the resource."""
LUPIS_USAGE_AUDIO_INPUT = "lupis.usage.audio.input_tokens"
"""Input tokens of audio, a part of the input."""
LUPIS_USAGE_AUDIO_OUTPUT = "lupis.usage.audio.output_tokens"
"""Output tokens of audio, a part of the output."""
LUPIS_USAGE_IMAGE_INPUT = "lupis.usage.image.input_tokens"
"""Input tokens of images, a part of the input."""
LUPIS_USAGE_IMAGE_OUTPUT = "lupis.usage.image.output_tokens"
"""Output tokens of images, a part of the output."""
LUPIS_USAGE_TEXT_INPUT = "lupis.usage.text.input_tokens"
"""Input tokens of text, a part of the input."""
LUPIS_USAGE_TEXT_OUTPUT = "lupis.usage.text.output_tokens"
"""Output tokens of text, a part of the output."""
LUPIS_USAGE_SOURCE = "lupis.usage.source"
"""`reported`: the provider reported the tokens."""
LUPIS_USAGE_TOTAL_TOKENS = "lupis.usage.total_tokens"
"""The sum of tokens as the provider reported it."""

# Resource
OPENINFERENCE_PROJECT_NAME = "openinference.project.name"
"""The project, under the name that Phoenix reads."""
PROCESS_COMMAND_ARGS = "process.command_args"
"""On the span of `LUPIS_ROOT_SPAN`: the program and the names of its options, without values."""
PROCESS_PID = "process.pid"
"""The id of the process."""
SERVICE_NAME = "service.name"
"""The service, from `LUPIS_SERVICE_NAME`."""
SERVICE_VERSION = "service.version"
"""The version of the service, from `LUPIS_SERVICE_VERSION`."""
TELEMETRY_SDK_LANGUAGE = "telemetry.sdk.language"
"""`python`."""
TELEMETRY_SDK_NAME = "telemetry.sdk.name"
"""`opentelemetry`."""
TELEMETRY_SDK_VERSION = "telemetry.sdk.version"
"""The version of the OpenTelemetry SDK."""

REPEATED_TOKENS = {
    GEN_AI_USAGE_INPUT_TOKENS: LUPIS_REPEATED + "input_tokens",
    GEN_AI_USAGE_OUTPUT_TOKENS: LUPIS_REPEATED + "output_tokens",
    GEN_AI_USAGE_CACHE_READ: LUPIS_REPEATED + "cache_read_tokens",
    GEN_AI_USAGE_CACHE_CREATION: LUPIS_REPEATED + "cache_write_tokens",
    GEN_AI_USAGE_REASONING: LUPIS_REPEATED + "reasoning_tokens",
    LUPIS_USAGE_TOTAL_TOKENS: LUPIS_REPEATED + "total_tokens",
}
"""By the standard name of a number of tokens, its `lupis.repeated.*` name."""

# Attributes and names of LLM libraries' instrumentors, such as OpenTelemetry's, OpenLLMetry
# (Traceloop), OpenInference (Arize), OpenLIT and Logfire.
AGENT_OPERATIONS = frozenset(
    ("create_agent", "execute_tool", "invoke_agent", "invoke_workflow", "plan")
)
"""Operations of spans around LLM calls, which report no tokens of a single call."""
SPAN_KINDS = {
    "agent": ("invoke_agent", GEN_AI_AGENT_NAME),
    "tool": ("execute_tool", GEN_AI_TOOL_NAME),
    "chain": ("invoke_workflow", GEN_AI_WORKFLOW_NAME),
}
"""By the kinds of `create_span`: the operation, and the attribute with the span's name."""
LLM_OPERATIONS = frozenset(("chat", "text_completion", "generate_content", "embeddings"))
"""The first words of a span's name, by OpenTelemetry's conventions for generative AI."""
LLM_KINDS = (
    ("openinference.span.kind", frozenset(("LLM", "EMBEDDING", "RERANKER"))),
    ("langfuse.observation.type", frozenset(("generation", "embedding"))),
    ("mlflow.spanType", frozenset(('"LLM"', '"CHAT_MODEL"', '"EMBEDDING"', '"RERANKER"'))),
)
"""Attributes with the kind of a span, each with its values for single LLM calls."""
LATE_SCOPES = frozenset(("langfuse-sdk",))
"""Scopes of libraries that say only after the start of a span that it is an LLM call."""
LLM_SPAN_TOKENS = (
    GEN_AI_USAGE_INPUT_TOKENS,
    GEN_AI_USAGE_OUTPUT_TOKENS,
    "gen_ai.usage.prompt_tokens",
    "gen_ai.usage.completion_tokens",
    "gen_ai.usage.total_tokens",
    "llm.token_count.prompt",
    "llm.token_count.completion",
    "llm.usage.total_tokens",
    "langfuse.observation.usage_details",
    "mlflow.chat.tokenUsage",
)
"""The names by which instrumentors report tokens."""
LLM_SPAN_MARKS = ("gen_ai.system", GEN_AI_PROVIDER_NAME, "llm.request.type", *LLM_SPAN_TOKENS)
"""Attributes of which an LLM call's span has at least one."""

FOREIGN_NAMES: dict[str, tuple[str, ...]] = {
    GEN_AI_PROVIDER_NAME: ("gen_ai.system", "llm.provider", "llm.system", "ai.model.provider"),
    GEN_AI_REQUEST_MODEL: (
        *("llm.model_name", "embedding.model_name", "reranker.model_name", "llm.request.model"),
        *("langfuse.observation.model.name", "ai.model.id"),
    ),
    GEN_AI_RESPONSE_MODEL: ("llm.response.model",),
    GEN_AI_USAGE_INPUT_TOKENS: (
        *("gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens"),
        *("ai.usage.inputTokens", "ai.usage.promptTokens"),
    ),
    GEN_AI_USAGE_OUTPUT_TOKENS: (
        *("gen_ai.usage.completion_tokens", "llm.token_count.completion"),
        *("llm.usage.completion_tokens", "ai.usage.outputTokens", "ai.usage.completionTokens"),
    ),
    GEN_AI_USAGE_CACHE_READ: (
        *("gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.input_tokens.cached"),
        *("gen_ai.usage.details.cache_read_tokens", "ai.usage.cachedInputTokens"),
        *("llm.token_count.prompt_details.cache_read", "gen_ai.usage.cached_prompt_text_tokens"),
    ),
    GEN_AI_USAGE_CACHE_CREATION: (
        *("gen_ai.usage.cache_creation_input_tokens", "gen_ai.usage.details.cache_write_tokens"),
        "llm.token_count.prompt_details.cache_write",
    ),
    GEN_AI_USAGE_REASONING: (
        *("gen_ai.usage.reasoning_tokens", "gen_ai.usage.details.reasoning_tokens"),
        *("llm.token_count.completion_details.reasoning", "ai.usage.reasoningTokens"),
    ),
    LUPIS_USAGE_TOTAL_TOKENS: (
        *("gen_ai.usage.total_tokens", "llm.token_count.total", "llm.usage.total_tokens"),
        "ai.usage.totalTokens",
    ),
    GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: ("gen_ai.server.time_to_first_token",),
    LUPIS_COST_TOTAL: (GEN_AI_USAGE_COST, "llm.cost.total"),
    LUPIS_CHAT_ID: (
        *(GEN_AI_CONVERSATION_ID, "traceloop.association.properties.chat_id"),
        *("traceloop.association.properties.thread_id", "langfuse.session.id"),
        *("traceloop.association.properties.session_id", SESSION_ID),
    ),
    USER_ID: ("enduser.id", "traceloop.association.properties.user_id", "langfuse.user.id"),
}
"""By attribute: the names that the spans of other libraries use for it, the best one first."""
NO_CALL_KINDS = ("openinference.span.kind", "traceloop.span.kind", "langfuse.observation.type")
"""Attributes with the kind of a span: any value that `LLM_KINDS` lacks is no LLM call."""

CONTENT_ATTRIBUTES = (
    # github.com/open-telemetry/semantic-conventions-genai, docs/registry/attributes/gen-ai.md
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
    "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.tool.definitions",
    "gen_ai.tool.description", "gen_ai.agent.description", "gen_ai.retrieval.documents",
    "gen_ai.retrieval.query.text", "gen_ai.memory.*", "gen_ai.evaluation.explanation",
    # names of its older versions, and OpenLLMetry's
    "gen_ai.prompt", "gen_ai.prompt.[0-9]*", "gen_ai.completion", "gen_ai.completion.[0-9]*",
    "gen_ai.content.*", "gen_ai.event.content", "gen_ai.response.text", "gen_ai.request.prompt",
    "traceloop.entity.input", "traceloop.entity.output", "traceloop.prompt.*",
    "llm.request.functions*", "llm.prompts*", "llm.completions*",
    # arize-ai.github.io/openinference/spec: attributes of spans
    "input", "input.*", "output", "output.*", "llm.input_messages*", "llm.output_messages*",
    "llm.choices*", "llm.prompt_template*", "llm.invocation_parameters", "llm.function_call*",
    "llm.tools*", "message.*", "message_content.*", "tool.parameters", "tool.description",
    "tool.json_schema", "tool_call.*", "retrieval.documents*", "document.*", "reranker.query",
    "reranker.input_documents*", "reranker.output_documents*", "embedding.text",
    "embedding.vector*", "embedding.embeddings*", "prompt.*", "image.url", "audio.url",
    "audio.transcript", "metadata",
    # github.com/google/adk-python, telemetry
    "gcp.vertex.agent.llm_*", "gcp.vertex.agent.tool_*", "gcp.vertex.agent.data",
    # langfuse.com/integrations/native/opentelemetry
    "langfuse.*.input", "langfuse.*.output", "langfuse.*.metadata*", "langfuse.*.status_message",
    # Logfire and Pydantic AI
    "logfire.msg", "request_data", "response_data", "events", "all_messages_events",
    "pydantic_ai.all_messages", "final_result", "tool_arguments", "tool_response",
    "model_request_parameters",
    # CrewAI by OpenInference and by OpenLLMetry, Strands, smolagents, xai-sdk
    "crew_agents", "crew_tasks", "crewai.crew.agents", "crewai.crew.tasks*", "crewai.*.tools",
    "gen_ai.tool.json_schema", "gen_ai.response.*.image.*",
    "smolagents.managed_agents.*.additional_prompting",
    # Haystack, MLflow, the Vercel AI SDK
    "haystack.*.input*", "haystack.*.output*", "mlflow.spaninputs", "mlflow.spanoutputs",
    "mlflow.chat.*", "ai.prompt*", "ai.response.text", "ai.response.object",
    "ai.response.toolcalls", "ai.toolcall.args", "ai.toolcall.result", "ai.schema*", "ai.value*",
)  # fmt: skip
"""Names of attributes that hold content, in lower case; `*` stands for any text."""

CONTENT_NAMES = {("opentelemetry.instrumentation.crewai", ".task"): "task"}
"""By scope and end: spans whose names hold content (OpenLLMetry's), and the name instead."""

CONTENT_EVENTS = (
    "gen_ai.*.message", "gen_ai.choice", "gen_ai.content.*", "gen_ai.client.inference.*",
    "gen_ai.evaluation.result", "message", "prompt", "completion", "*.prompt", "*.completion",
)  # fmt: skip
"""Names of events that hold content."""

WEBSOCKET = "websocket"
"""The value of `NETWORK_PROTOCOL_NAME` for a response on a WebSocket."""

EVENT_ATTEMPT = "lupis.attempt"  # the span event of each further attempt of a call

# Headers of requests to the endpoints
HEADER_API_KEY = "x-api-key"
HEADER_PROJECT_ID = "x-project-id"

# Headers by which a trace goes on in another service (W3C Trace Context, W3C Baggage)
HEADER_TRACEPARENT = "traceparent"
HEADER_TRACESTATE = "tracestate"
HEADER_BAGGAGE = "baggage"
TRACE_HEADERS = (HEADER_TRACEPARENT, HEADER_TRACESTATE, HEADER_BAGGAGE)

# Environment variables that are no settings
ENV_RUN_ID = "LUPIS_RUN_ID"
"""The id of a launch."""
ENV_RUN_PID = "LUPIS_RUN_PID"
"""The first process of a launch that has a budget: `lupis-run`, which becomes the program."""
ENV_LAUNCHER_SITE = "LUPIS_LAUNCHER_SITE"
"""The launcher's interpreter and the folders of its packages."""
ENV_LEADER = "LUPIS_LEADER"
"""The first process of a launch: its pid and start time."""
ENV_LAUNCH_PREFIX = "LUPIS_LAUNCH_"
"""Precedes the names of variables of the exporter, as they were at the launch."""
ENV_UI_TOKEN = "LUPIS_UI_TOKEN"  # noqa: S105 - the name of a variable
"""The token that opens the page of `lupis ui`; like its option `--token`."""
ENV_PROPAGATORS = "OTEL_PROPAGATORS"
ENV_SEMCONV_OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"


def format_attributes_table() -> str:
    """Return the documentation's table of attributes, in Markdown.

    The rows come from this file's source: each constant with a dot in its value and a text below.
    """
    import inspect
    import re
    import sys

    source = inspect.getsource(sys.modules[__name__])
    rows = re.findall(r'^[A-Z_]+ = "(.+\..*)"\n"""(.+)"""$', source, re.MULTILINE)
    lines = [f"| `{name}{'…' if name.endswith('.') else ''}` | {text} |" for name, text in rows]
    return "\n".join(["| attribute | value |", "|---|---|", *sorted(lines), ""])


if __name__ == "__main__":
    import sys

    sys.stdout.write(format_attributes_table())
