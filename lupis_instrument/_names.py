"""Every attribute key, header and scope name that leaves the process, once.

HTTP names are the stable OpenTelemetry conventions
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/), GenAI names the conventions of
https://github.com/open-telemetry/semantic-conventions-genai; `lupis.*` are ours.
"""

from __future__ import annotations

SCOPE = "lupis_instrument"
"""Instrumentation scope of the spans this package starts itself."""

# HTTP
ERROR_TYPE = "error.type"
HTTP_REQUEST_METHOD = "http.request.method"
HTTP_REQUEST_HEADER = "http.request.header."
HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count"
HTTP_RESPONSE_HEADER = "http.response.header."
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
NETWORK_PROTOCOL_VERSION = "network.protocol.version"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
URL_FULL = "url.full"

# GenAI
GEN_AI_CONVERSATION_ID = "gen_ai.conversation.id"
GEN_AI_OPERATION_NAME = "gen_ai.operation.name"
GEN_AI_PROVIDER_NAME = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_REQUEST_STREAM = "gen_ai.request.stream"
GEN_AI_RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
GEN_AI_RESPONSE_ID = "gen_ai.response.id"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_USAGE_CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_USAGE_CACHE_WRITE = "gen_ai.usage.cache_write.input_tokens"
GEN_AI_USAGE_CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens"
"""What `cache_write` was called before it moved; backends of today read this one."""
GEN_AI_USAGE_REASONING = "gen_ai.usage.reasoning.output_tokens"

# Users
SESSION_ID = "session.id"
USER_ID = "user.id"

# Ours
LUPIS_CHAT_ID = "lupis.chat.id"
LUPIS_DEDUP = "lupis.dedup"
LUPIS_METADATA = "lupis.metadata."
LUPIS_PROJECT_ID = "lupis.project.id"
LUPIS_RESPONSE_CHUNKS = "lupis.response.chunks"
LUPIS_RESPONSE_OUTCOME = "lupis.response.outcome"
LUPIS_RUN_ID = "lupis.run.id"
LUPIS_USAGE_SOURCE = "lupis.usage.source"
LUPIS_USAGE_TOTAL_TOKENS = "lupis.usage.total_tokens"

# Resource
PROCESS_PID = "process.pid"
SERVICE_NAME = "service.name"
SERVICE_VERSION = "service.version"
TELEMETRY_SDK_LANGUAGE = "telemetry.sdk.language"
TELEMETRY_SDK_NAME = "telemetry.sdk.name"
TELEMETRY_SDK_VERSION = "telemetry.sdk.version"

# Headers of our own requests
HEADER_API_KEY = "x-api-key"
HEADER_PROJECT_ID = "x-project-id"

# Variables that are no settings
ENV_RUN_ID = "LUPIS_RUN_ID"
ENV_LAUNCHER_SITE = "LUPIS_LAUNCHER_SITE"
ENV_SEMCONV_OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"
