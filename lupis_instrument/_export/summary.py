"""Adds up the calls of a process and of its launch, for the summary at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from lupis_instrument import _semconv
from lupis_instrument._process.native_threads import RLock

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

MAX_CHATS = 10_000
"""A process keeps no more chat ids; from this number on, the summary gives a lower bound."""
_MAX_ERRORS, _MAX_HOSTS = 100, 100
"""A process counts no more kinds of errors, and no more hosts of other calls."""
_DEFAULT_PORTS = (80, 443)

_COUNTS = (
    *("calls", "retries", "errors", "read", "written", "cached", "unknown", "unpriced", "cost"),
    "seconds",
)
"""The fields of `CallTotals`, and of the JSON that processes leave in the store."""


class CallTotals:
    """The sums over all calls to one model, or over all calls.

    Attributes:
        calls: the number of calls.
        retries: the number of calls that repeat an earlier one.
        errors: the number of calls that failed.
        read: input tokens.
        written: output tokens.
        cached: input tokens that came from the cache.
        unknown: the number of calls whose tokens are unknown.
        unpriced: the number of calls without a known price.
        cost: the known cost in USD.
        seconds: the duration of all calls.
    """

    __slots__ = _COUNTS

    def __init__(self) -> None:
        self.calls = self.retries = self.errors = self.read = self.written = self.cached = 0
        self.unknown = self.unpriced = 0
        self.seconds = self.cost = 0.0

    def add_call(self, span: ReadableSpan, attributes: Any) -> None:
        """Add the figures of the span of one LLM call."""
        self.calls += 1
        self.retries += _semconv.HTTP_REQUEST_RESEND_COUNT in attributes
        self.errors += _semconv.ERROR_TYPE in attributes
        self.read += _count_tokens(attributes, _semconv.GEN_AI_USAGE_INPUT_TOKENS)
        self.written += _count_tokens(attributes, _semconv.GEN_AI_USAGE_OUTPUT_TOKENS)
        self.unknown += _has_unknown_tokens(attributes)
        self.cached += _count_tokens(attributes, _semconv.GEN_AI_USAGE_CACHE_READ)
        self.cost += attributes.get(_semconv.LUPIS_COST_TOTAL, 0.0)
        self.unpriced += attributes.get(_semconv.LUPIS_COST_STATUS) == "unpriced"
        self.seconds += _measure_seconds(span)

    def to_json(self) -> dict[str, Any]:
        """Return the sums by name, as `merge_counts` takes them."""
        return {name: getattr(self, name) for name in _COUNTS}

    def merge_counts(self, counts: Mapping[str, Any]) -> None:
        """Add other sums, maybe from another process."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + counts.get(name, 0))


def _measure_seconds(span: ReadableSpan) -> float:
    # A program may end a span before its start.
    return max(0, (span.end_time or 0) - (span.start_time or 0)) / 1e9


def _has_unknown_tokens(attributes: Any) -> bool:
    """Return whether a call without a price has no tokens either, so it may have used any number.

    `lupis report` counts such calls in the same manner.
    """
    return attributes.get(_semconv.LUPIS_COST_STATUS) == "unpriced" and not any(
        name in attributes or _semconv.REPEATED_TOKENS[name] in attributes
        for name in (_semconv.GEN_AI_USAGE_INPUT_TOKENS, _semconv.GEN_AI_USAGE_OUTPUT_TOKENS)
    )


def _count_tokens(attributes: Any, name: str) -> int:
    """Return the tokens of a call, also where another library's span has the standard attribute."""
    tokens: int = attributes.get(name) or attributes.get(_semconv.REPEATED_TOKENS[name], 0)
    return tokens


def is_call(attributes: Any) -> bool:
    """Return whether a span with these attributes reports an LLM call of its own.

    Spans of agents and tools have a provider too. And a library's span around a call that this
    package records does not count again.
    """
    operation = attributes.get(_semconv.GEN_AI_OPERATION_NAME)
    if operation is None or _semconv.GEN_AI_PROVIDER_NAME not in attributes:
        return False
    if _semconv.HTTP_REQUEST_METHOD in attributes:
        return True
    is_repeated = attributes.get(_semconv.LUPIS_DEDUP) == "child"
    return operation not in _semconv.AGENT_OPERATIONS and not is_repeated


class Summary:
    """Adds up the LLM calls among the exported spans.

    Attributes:
        spans: the number of spans to export.
        events: the number of events to export.
        by_model: the totals by provider and model.
        errors: the number of failed calls by the kind of error.
        chats: the number of calls by chat id.
        hosts: by host of other HTTP calls, the number of calls, and how many of them are POSTs.
        slowest: the longest call: its seconds, the name of its span, and its trace id.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set all totals to 0; in a forked child, they belong to the parent."""
        # Reentrant: the garbage collector may end a call, on the thread that adds another one.
        self._lock = RLock()
        self.by_model: dict[tuple[str, str], CallTotals] = {}
        self.errors: dict[str, int] = {}
        self.chats: dict[str, int] = {}
        self.hosts: dict[str, tuple[int, int]] = {}
        self.slowest: tuple[float, str, str] | None = None
        self.spans = self.events = 0
        self._lost_spans = self._lost_events = 0

    @property
    def all_calls(self) -> CallTotals:
        """The totals of all calls."""
        totals = CallTotals()
        for model_totals in list(self.by_model.values()):
            totals.merge_counts(model_totals.to_json())
        return totals

    def add_event(self) -> None:
        """Count an event that will be exported."""
        with self._lock:
            self.events += 1

    def set_lost(self, spans: int, events: int) -> None:
        """Count spans and events that were lost before they could be added.

        Args:
            spans: the total since the process began; it replaces the total given before.
            events: the same for events.
        """
        with self._lock:
            self.spans += spans - self._lost_spans
            self.events += events - self._lost_events
            self._lost_spans, self._lost_events = spans, events

    def add_span(self, span: ReadableSpan) -> None:
        """Count one span, and add it to the totals if it is an LLM call."""
        attributes = span.attributes or {}
        provider = attributes.get(_semconv.GEN_AI_PROVIDER_NAME)
        with self._lock:
            self.spans += 1
            if is_call(attributes):
                self._add_call(span, attributes, str(provider))
            elif _semconv.HTTP_REQUEST_METHOD in attributes:
                self._add_other_call(attributes)

    def _add_call(self, span: ReadableSpan, attributes: Any, provider: str) -> None:
        model = attributes.get(_semconv.GEN_AI_REQUEST_MODEL) or attributes.get(
            _semconv.GEN_AI_RESPONSE_MODEL, "?"
        )
        self.by_model.setdefault((provider, str(model)), CallTotals()).add_call(span, attributes)
        chat = attributes.get(_semconv.LUPIS_CHAT_ID)
        # Bounded: a server may have a new conversation with each request.
        if chat is not None:
            _count_key(self.chats, str(chat), MAX_CHATS)
        if _semconv.ERROR_TYPE in attributes:
            _count_key(self.errors, _describe_error(attributes), _MAX_ERRORS)
        seconds = _measure_seconds(span)
        if self.slowest is None or seconds > self.slowest[0]:
            self.slowest = (seconds, span.name, f"{span.context.trace_id:032x}")

    def _add_other_call(self, attributes: Any) -> None:
        """Count a call to a host that is no known LLM API; it may be a gateway to one."""
        address, port = map(attributes.get, (_semconv.SERVER_ADDRESS, _semconv.SERVER_PORT))
        host = f"{address}:{port}" if port and port not in _DEFAULT_PORTS else str(address)
        if address and (host in self.hosts or len(self.hosts) < _MAX_HOSTS):
            calls, posts = self.hosts.get(host, (0, 0))
            is_post = attributes[_semconv.HTTP_REQUEST_METHOD] == "POST"
            self.hosts[host] = (calls + 1, posts + is_post)

    def to_json(self) -> dict[str, Any]:
        """Return all totals as JSON data, which another process passes to `merge_json`."""
        rows = [
            [provider, model, totals.to_json()]
            for (provider, model), totals in self.by_model.items()
        ]
        return {
            "spans": self.spans,
            "events": self.events,
            "models": rows,
            # A chat id twice has more than one call; the first versions have read it once.
            "chats": [chat for chat in sorted(self.chats) for _ in range(min(self.chats[chat], 2))],
            "errors": self.errors,
            "hosts": self.hosts,
            "slowest": self.slowest,
        }

    def merge_json(self, totals: Mapping[str, Any]) -> None:
        """Add the totals of another process of the launch, as its `to_json` returned them.

        Processes with an older version of this package have left fewer members.
        """
        self.spans += totals["spans"]
        self.events += totals["events"]
        for chat in totals["chats"]:
            self.chats[chat] = self.chats.get(chat, 0) + 1
        for provider, model, counts in totals["models"]:
            self.by_model.setdefault((provider, model), CallTotals()).merge_counts(counts)
        for error, count in totals.get("errors", {}).items():
            self.errors[error] = self.errors.get(error, 0) + count
        for host, (calls, posts) in totals.get("hosts", {}).items():
            known_calls, known_posts = self.hosts.get(host, (0, 0))
            self.hosts[host] = (known_calls + calls, known_posts + posts)
        slowest = totals.get("slowest")
        if slowest and (self.slowest is None or slowest[0] > self.slowest[0]):
            self.slowest = tuple(slowest)


def _count_key(counts: dict[str, int], key: str, max_keys: int) -> None:
    """Add 1 to the count of a key, unless it is new and there are `max_keys` already."""
    if key in counts or len(counts) < max_keys:
        counts[key] = counts.get(key, 0) + 1


def _describe_error(attributes: Any) -> str:
    """Return the kind of an error: its type, and the provider's word for it."""
    words = map(attributes.get, (_semconv.ERROR_TYPE, _semconv.LUPIS_ERROR_CODE))
    return " ".join(dict.fromkeys(str(word) for word in words if word))
