"""Adds up the calls of a process and of its launch, for the summary at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._export.console import format_dollars
from lupis_instrument._process.native_threads import RLock

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from lupis_instrument._export.accounting import Account

_MAX_CHATS = 10_000
"""A process keeps no more chat ids; from this number on, the summary gives a lower bound."""

_COUNTS = ("calls", "errors", "read", "written", "cached", "unknown", "unpriced", "cost", "seconds")
"""The fields of `CallTotals`, and of the JSON that processes leave in the store."""


class CallTotals:
    """The sums over all calls to one model, or over all calls.

    Attributes:
        calls: the number of calls.
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
        self.calls = self.errors = self.read = self.written = self.cached = 0
        self.unknown = self.unpriced = 0
        self.seconds = self.cost = 0.0

    def add_call(self, span: ReadableSpan, attributes: Any) -> None:
        """Add the figures of the span of one LLM call."""
        self.calls += 1
        self.errors += _semconv.ERROR_TYPE in attributes
        self.read += _count_tokens(attributes, _semconv.GEN_AI_USAGE_INPUT_TOKENS)
        self.written += _count_tokens(attributes, _semconv.GEN_AI_USAGE_OUTPUT_TOKENS)
        self.unknown += _has_unknown_tokens(attributes)
        self.cached += _count_tokens(attributes, _semconv.GEN_AI_USAGE_CACHE_READ)
        self.cost += attributes.get(_semconv.LUPIS_COST_TOTAL, 0.0)
        self.unpriced += attributes.get(_semconv.LUPIS_COST_STATUS) == "unpriced"
        # A program may end a span before its start.
        self.seconds += max(0, (span.end_time or 0) - (span.start_time or 0)) / 1e9

    def merge_counts(self, counts: Mapping[str, Any]) -> None:
        """Add the sums of another process."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + counts.get(name, 0))


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


class Summary:
    """Adds up the LLM calls among the exported spans.

    Attributes:
        spans: the number of spans to export.
        events: the number of events to export.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set all totals to 0; in a forked child, they belong to the parent."""
        # Reentrant: the garbage collector may end a call, on the thread that adds another one.
        self._lock = RLock()
        self._by_model: dict[tuple[str, str], CallTotals] = {}
        self._all = CallTotals()
        self._chats: set[str] = set()
        self.spans = self.events = 0
        self._lost_spans = self._lost_events = 0

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
            if provider is not None and _semconv.GEN_AI_OPERATION_NAME in attributes:
                self._add_call(span, attributes, str(provider))

    def _add_call(self, span: ReadableSpan, attributes: Any, provider: str) -> None:
        model = attributes.get(_semconv.GEN_AI_REQUEST_MODEL) or attributes.get(
            _semconv.GEN_AI_RESPONSE_MODEL, "?"
        )
        self._by_model.setdefault((provider, str(model)), CallTotals()).add_call(span, attributes)
        self._all.add_call(span, attributes)
        chat = attributes.get(_semconv.LUPIS_CHAT_ID)
        # Bounded: a server may have a new conversation with each request.
        if chat is not None and len(self._chats) < _MAX_CHATS:
            self._chats.add(str(chat))

    def to_json(self) -> dict[str, Any]:
        """Return all totals as JSON data, which another process passes to `merge_json`."""
        rows = [
            [provider, model, {name: getattr(totals, name) for name in _COUNTS}]
            for (provider, model), totals in self._by_model.items()
        ]
        return {
            "spans": self.spans,
            "events": self.events,
            "models": rows,
            "chats": sorted(self._chats),
        }

    def merge_json(self, totals: Mapping[str, Any]) -> None:
        """Add the totals of another process of the launch, as its `to_json` returned them."""
        self.spans += totals["spans"]
        self.events += totals["events"]
        self._chats.update(totals["chats"])
        for provider, model, counts in totals["models"]:
            self._by_model.setdefault((provider, model), CallTotals()).merge_counts(counts)
            self._all.merge_counts(counts)

    def format_lines(self, account: Account, endpoint: str, store: str) -> list[str]:
        """Return the lines of the summary; none if nothing was recorded.

        Args:
            account: the counts of delivered, stored and dropped items.
            endpoint: the endpoint, as the user knows it.
            store: the path of the store.
        """
        if not (self.spans or self.events or account.created):
            return []
        rows = [
            (escape_controls(f"{provider} {model}"), totals)
            for (provider, model), totals in sorted(self._by_model.items())
        ]
        width = max((len(name) for name, _ in rows), default=0)
        lines = [f"lupis: {_format_totals(self._all)}{_format_chats(len(self._chats))}"]
        lines += [f"  {name:{width}}  {_format_totals(totals)}" for name, totals in rows]
        items = _format_count(self.spans, "span")
        items += f", {_format_count(self.events, 'event')}" if self.events else ""
        return [*lines, f"  {items}{_format_account(account, endpoint, store)}"]


def _format_account(account: Account, endpoint: str, store: str) -> str:
    """Return where the items went; with numbers only if they did not all go to one place."""
    rows = [
        (account.delivered, f"-> {endpoint}"),
        (account.stored, f"-> {store}"),
        *((count, f"dropped: {reason}") for reason, count in account.dropped.items()),
    ]
    rows = [(count, text) for count, text in rows if count]
    if len(rows) == 1 and not account.dropped:
        return f" {rows[0][1]}"
    parts = ", ".join(f"{count:,} {text}" for count, text in rows)
    return f": {parts}" if parts else f" -> {endpoint}"


def _format_totals(totals: CallTotals) -> str:
    parts = [_format_count(totals.calls, "LLM call")]
    if totals.errors:
        parts.append(_format_count(totals.errors, "error"))
    cached = f" ({totals.cached:,} cached)" if totals.cached else ""
    if totals.read or totals.written or not totals.unknown:
        parts.append(f"{totals.read:,} tokens in{cached}")
        parts.append(f"{totals.written:,} out")
    if totals.unknown:
        parts.append(f"tokens of {_format_count(totals.unknown, 'call')} unknown")
    parts.append(_format_cost(totals))
    parts.append(f"{totals.seconds:.2f} s")
    return ", ".join(part for part in parts if part)


def _format_cost(totals: CallTotals) -> str:
    """Return the known cost, and how many calls have no known price; "" if all were free."""
    known = format_dollars(totals.cost) if totals.cost else ""
    if not totals.unpriced:
        return known
    unknown = f"cost of {totals.unpriced:,} unknown"
    return f"{known} ({unknown})" if known else unknown


def _format_chats(count: int) -> str:
    if count >= _MAX_CHATS:
        return f", at least {_format_count(count, 'conversation')}"
    return f", {_format_count(count, 'conversation')}" if count else ""


def _format_count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
