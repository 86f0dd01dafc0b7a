"""Recognises LLM calls in the usage logs of coding agents.

Claude Code: https://docs.anthropic.com/en/docs/claude-code/monitoring-usage#api-request-event
Codex: https://developers.openai.com/codex/config-advanced#observability-and-telemetry
Gemini CLI: https://github.com/google-gemini/gemini-cli/blob/main/docs/cli/telemetry.md
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from lupis_instrument import _semconv
from lupis_instrument._tracing.foreign_calls import read_count

if TYPE_CHECKING:
    from lupis_instrument._viewer.otlp_logs import LogEvent

_MILLISECOND = 1_000_000
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_COMPLETED = ("event.kind", "response.completed")


class UsageLog(NamedTuple):
    """An event that reports one LLM call.

    Attributes:
        provider: the provider.
        input_tokens: the attributes whose sum is the input, cached tokens included.
        output_tokens: the attributes whose sum is the output, reasoning included.
        cache_read: the attribute with the tokens read from the cache.
        cache_write: the attribute with the tokens written to the cache.
        reasoning: the attribute with the tokens of reasoning.
        chat: the attribute with the id of the conversation.
        needs: an attribute and its value, without which the event is no call.
    """

    provider: str
    input_tokens: tuple[str, ...] = ()
    output_tokens: tuple[str, ...] = ()
    cache_read: str = ""
    cache_write: str = ""
    reasoning: str = ""
    chat: str = _semconv.SESSION_ID
    needs: tuple[str, str] | None = None


_CLAUDE = UsageLog(
    "anthropic",
    ("input_tokens", "cache_read_tokens", "cache_creation_tokens"),
    ("output_tokens",),
    "cache_read_tokens",
    "cache_creation_tokens",
)
_CODEX = UsageLog(
    "openai",
    ("input_token_count",),
    ("output_token_count",),
    "cached_token_count",
    "cache_write_token_count",
    "reasoning_token_count",
    chat="conversation.id",
    needs=_COMPLETED,
)
_GEMINI = UsageLog(
    "gcp.gemini",
    ("input_token_count",),
    ("output_token_count", "thoughts_token_count"),
    "cached_content_token_count",
    reasoning="thoughts_token_count",
)
USAGE_LOGS = {
    "claude_code.api_request": _CLAUDE,
    "claude_code.api_error": _CLAUDE,
    "codex.sse_event": _CODEX,
    "codex.websocket_event": _CODEX,
    "gemini_cli.api_response": _GEMINI,
    "gemini_cli.api_error": _GEMINI,
}
"""By the name of the event."""
_ERRORS = ("status_code", "error_type", "error")
"""Attributes with the error of a call; the first one that is set counts."""
_ERROR_END = "api_error"


def make_call(event: LogEvent) -> ReadableSpan | None:
    """Return the span of the LLM call that an event reports; None for any other event."""
    usage = USAGE_LOGS.get(event.name)
    if usage is None:
        return None
    if usage.needs is not None and event.attributes.get(usage.needs[0]) != usage.needs[1]:
        return None
    attributes = _make_attributes(event, usage)
    duration = event.attributes.get("duration_ms")
    milliseconds = read_count(duration) if not isinstance(duration, float) else int(duration)
    failed = _semconv.ERROR_TYPE in attributes
    model = attributes.get(_semconv.GEN_AI_REQUEST_MODEL)
    return ReadableSpan(
        name=f"chat {model}" if model else "chat",
        context=_make_context(event, attributes),
        resource=Resource(event.resource),
        attributes=attributes,
        kind=SpanKind.CLIENT,
        status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
        start_time=event.at - max(milliseconds or 0, 0) * _MILLISECOND,
        end_time=event.at,
        instrumentation_scope=InstrumentationScope(event.name.partition(".")[0]),
    )


def _make_attributes(event: LogEvent, usage: UsageLog) -> dict[str, Any]:
    values = event.attributes
    user = next((values[name] for name in _USERS if name in values), None)
    attributes = {
        _semconv.GEN_AI_PROVIDER_NAME: usage.provider,
        _semconv.GEN_AI_OPERATION_NAME: "chat",
        _semconv.GEN_AI_REQUEST_MODEL: values.get("model"),
        _semconv.GEN_AI_USAGE_INPUT_TOKENS: _add_up(values, usage.input_tokens),
        _semconv.GEN_AI_USAGE_OUTPUT_TOKENS: _add_up(values, usage.output_tokens),
        _semconv.GEN_AI_USAGE_CACHE_READ: read_count(values.get(usage.cache_read)),
        _semconv.GEN_AI_USAGE_CACHE_CREATION: read_count(values.get(usage.cache_write)),
        _semconv.GEN_AI_USAGE_REASONING: read_count(values.get(usage.reasoning)),
        _semconv.LUPIS_CHAT_ID: values.get(usage.chat),
        _semconv.SESSION_ID: values.get(_semconv.SESSION_ID),
        _semconv.USER_ID: user,
        _semconv.GEN_AI_RESPONSE_ID: values.get("request_id"),
        _semconv.HTTP_RESPONSE_STATUS_CODE: read_count(values.get("status_code")),
        **_read_cost(values),
    }
    if event.name.endswith(_ERROR_END):
        error = next((values[name] for name in _ERRORS if values.get(name)), "_OTHER")
        attributes[_semconv.ERROR_TYPE] = str(error).partition(" ")[0][:80]
    return {name: value for name, value in attributes.items() if value is not None}


_USERS = (_semconv.USER_ID, "user.account_uuid", "user.account_id")


def _add_up(values: dict[str, Any], names: tuple[str, ...]) -> int | None:
    counts = [read_count(values.get(name)) for name in names]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _read_cost(values: dict[str, Any]) -> dict[str, Any]:
    cost = values.get("cost_usd")
    try:
        amount = float(cost) if isinstance(cost, (int, float, str)) else 0.0
    except ValueError:
        return {}
    if not 0 < amount < float("inf"):
        return {}
    return {
        _semconv.LUPIS_COST_TOTAL: amount,
        _semconv.LUPIS_COST_STATUS: "priced",
        _semconv.LUPIS_COST_SOURCE: "reported",
    }


def _make_context(event: LogEvent, attributes: dict[str, Any]) -> SpanContext:
    """Return ids that are the same each time the event arrives."""
    key = repr((event.name, event.at, sorted(event.attributes.items(), key=str))).encode()
    chat = str(attributes.get(_semconv.LUPIS_CHAT_ID, "")) + str(event.attributes.get("prompt.id"))
    has_trace = len(event.trace) == _TRACE_ID_BYTES and any(event.trace)
    trace = event.trace if has_trace else sha256(chat.encode()).digest()[:_TRACE_ID_BYTES]
    span = sha256(key).digest()[:_SPAN_ID_BYTES]
    sampled = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(
        int.from_bytes(trace, "big"), int.from_bytes(span, "big") or 1, False, sampled
    )
