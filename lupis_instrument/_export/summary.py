"""Totals of a process and of its launch, for the lines their user sees at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from lupis_instrument import _semconv
from lupis_instrument._export.console import dollars

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from lupis_instrument._export.accounting import Account

_MOST_CHATS = 10_000
_COUNTS = ("calls", "errors", "read", "written", "cached", "unpriced", "cost", "seconds")


class Totals:
    """What the calls of one kind add up to."""

    __slots__ = _COUNTS

    def __init__(self) -> None:
        self.calls = self.errors = self.read = self.written = self.cached = self.unpriced = 0
        self.seconds = self.cost = 0.0

    def add(self, span: ReadableSpan, attributes: Any) -> None:
        """Count one call."""
        self.calls += 1
        self.errors += _semconv.ERROR_TYPE in attributes
        self.read += _tokens(attributes, _semconv.GEN_AI_USAGE_INPUT_TOKENS)
        self.written += _tokens(attributes, _semconv.GEN_AI_USAGE_OUTPUT_TOKENS)
        self.cached += _tokens(attributes, _semconv.GEN_AI_USAGE_CACHE_READ)
        self.cost += attributes.get(_semconv.LUPIS_COST_TOTAL, 0.0)
        self.unpriced += attributes.get(_semconv.LUPIS_COST_STATUS) == "unpriced"
        self.seconds += ((span.end_time or 0) - (span.start_time or 0)) / 1e9

    def merge(self, counts: Mapping[str, Any]) -> None:
        """Add what another process counted."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + counts[name])


def _tokens(attributes: Any, name: str) -> int:
    """Return tokens of a call, whichever span has them by the standard name."""
    found: int = attributes.get(name) or attributes.get(_semconv.REPEATED_TOKENS[name], 0)
    return found


class Summary:
    """Adds up the LLM calls among the spans that pass.

    Attributes:
        spans: how many spans left the pipeline.
        events: how many events were prepared.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin at nothing; in a forked child the totals are the parent's."""
        self._by_model: dict[tuple[str, str], Totals] = {}
        self._all = Totals()
        self._chats: set[str] = set()
        self.spans = self.events = 0

    def add(self, span: ReadableSpan) -> None:
        """Count one span."""
        self.spans += 1
        attributes = span.attributes or {}
        provider = attributes.get(_semconv.GEN_AI_PROVIDER_NAME)
        if provider is None or _semconv.GEN_AI_OPERATION_NAME not in attributes:
            return
        model = attributes.get(_semconv.GEN_AI_REQUEST_MODEL) or attributes.get(
            _semconv.GEN_AI_RESPONSE_MODEL, "?"
        )
        self._by_model.setdefault((str(provider), str(model)), Totals()).add(span, attributes)
        self._all.add(span, attributes)
        chat = attributes.get(_semconv.LUPIS_CHAT_ID)
        if chat is not None and len(self._chats) < _MOST_CHATS:
            self._chats.add(str(chat))

    def to_json(self) -> dict[str, Any]:
        """Return all of it, for another process to `merge`."""
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

    def merge(self, other: Mapping[str, Any]) -> None:
        """Add what another process of the launch has counted."""
        self.spans += other["spans"]
        self.events += other["events"]
        self._chats.update(other["chats"])
        for provider, model, counts in other["models"]:
            self._by_model.setdefault((provider, model), Totals()).merge(counts)
            self._all.merge(counts)

    def lines(self, account: Account, endpoint: str, store: str) -> list[str]:
        """Return the summary, a line an element; nothing where nothing was recorded.

        Args:
            account: what became of everything.
            endpoint: where it was sent to, as the user knows it.
            store: where the rest lies.
        """
        if not (self.spans or self.events or account.created):
            return []
        rows = [
            (f"{provider} {model}", totals)
            for (provider, model), totals in sorted(self._by_model.items())
        ]
        width = max((len(name) for name, _ in rows), default=0)
        lines = [f"lupis: {_sentence(self._all)}{_chats(len(self._chats))}"]
        lines += [f"  {name:{width}}  {_sentence(totals)}" for name, totals in rows]
        things = _counted(self.spans, "span")
        things += f", {_counted(self.events, 'event')}" if self.events else ""
        return [*lines, f"  {things}{_fate(account, endpoint, store)}"]


def _fate(account: Account, endpoint: str, store: str) -> str:
    """Say where everything went; each number only where not all of it went one way."""
    places = [
        (account.delivered, f"-> {endpoint}"),
        (account.stored, f"-> {store}"),
        *((count, f"dropped: {reason}") for reason, count in account.dropped.items()),
    ]
    found = [(count, place) for count, place in places if count]
    if len(found) == 1 and not account.dropped:
        return f" {found[0][1]}"
    each = ", ".join(f"{count:,} {place}" for count, place in found)
    return f": {each}" if each else f" -> {endpoint}"


def _sentence(totals: Totals) -> str:
    parts = [_counted(totals.calls, "LLM call")]
    if totals.errors:
        parts.append(_counted(totals.errors, "error"))
    cached = f" ({totals.cached:,} cached)" if totals.cached else ""
    parts.append(f"{totals.read:,} tokens in{cached}")
    parts.append(f"{totals.written:,} out")
    parts.append(_cost(totals))
    parts.append(f"{totals.seconds:.2f} s")
    return ", ".join(part for part in parts if part)


def _cost(totals: Totals) -> str:
    """Return what the calls cost, as far as that is known; nothing where none cost anything."""
    known = dollars(totals.cost) if totals.cost else ""
    if not totals.unpriced:
        return known
    unknown = f"cost of {totals.unpriced:,} unknown"
    return f"{known} ({unknown})" if known else unknown


def _chats(count: int) -> str:
    return f", {_counted(count, 'conversation')}" if count else ""


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
