"""What one LLM call costs, by the user's own prices or else the catalogue's."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Iterable, Mapping, NamedTuple

from lupis_instrument._llm import catalog as _catalog
from lupis_instrument._llm import price_lists
from lupis_instrument._llm.tariff import InconsistentError, UncountedError

if TYPE_CHECKING:
    from datetime import datetime

    from lupis_instrument._llm.catalog import Found
    from lupis_instrument._llm.own_prices import OwnPrices
    from lupis_instrument._llm.tariff import Charge, Number, Prices, Rate
    from lupis_instrument._llm.usage import Usage

PRICED = "priced"
PARTIAL = "partial"
UNPRICED = "unpriced"
FREE = "free"
OWN = "LUPIS_PRICES_FILE"
"""The catalogue named by what was priced by the user's own prices."""


class Price(NamedTuple):
    """What a call costs, in USD; None is unknown, never 0.

    The parts add up to the total. Units that are neither input nor output (requests, searches,
    hours of audio) count as input; audio and images count as what they are, input or output.
    Cached tokens that have no price of their own cost what other input does, and count as input.
    """

    status: str
    """`PRICED`, `PARTIAL` (some part is not known for certain), `UNPRICED` or `FREE`."""
    reason: str | None = None
    """In a few words why it is not priced, or not wholly."""
    input: Decimal | None = None
    """Input that is not from or for the cache."""
    output: Decimal | None = None
    cache: Decimal | None = None
    """What was read from and written to the cache."""
    total: Decimal | None = None
    catalog: str | None = None
    """Where the prices are from, with its version."""


COUNTS: dict[str, str] = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_5m_tokens": "cache_write_5m_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "cache_read_audio_tokens": "cache_audio_read_tokens",
    "input_image_tokens": "input_image_tokens",
    "output_image_tokens": "output_image_tokens",
}
"""Field of `Usage` -> unit of the catalogue; a field that `Usage` lacks is never counted."""

# Words of providers for calls at the standard prices.
_STANDARD_TIERS = frozenset(("default", "standard", "auto", "on_demand", "standard_only"))
_ZERO = Decimal(0)
_BATCH = "batch"
_SPEED_STANDARD = "standard"
# Kinds of token whose price is far from that of text: (unit, its price, what to call it).
_APART = (
    ("input_audio_tokens", "input_audio_mtok", "audio input"),
    ("output_audio_tokens", "output_audio_mtok", "audio output"),
)
_DIRECTIONS = (("input_tokens", "input_mtok", "input"), ("output_tokens", "output_mtok", "output"))
# ai.google.dev/gemini-api/docs/pricing: audio is listed apart wherever it has a price of its own.
_SAME_FOR_ALL_KINDS = frozenset(("google",))
# What Gemini's API gives away is billed by the hour on Vertex AI.
_NOTHING_FREE = frozenset(("gcp.vertex_ai",))


def price(
    *,
    provider: str,
    api_url: str,
    models: Iterable[str | None],
    usage: Usage | None,
    at: datetime,
    service_tier: str | None = None,
    speed: str | None = None,
    own: OwnPrices | None = None,
) -> Price:
    """Price one call.

    Args:
        provider: gen_ai.provider.name.
        api_url: the URL called.
        models: the model's names: the response's, then the request's; None for one not known.
        usage: what the provider reported.
        at: when the call was made; UTC, where it doesn't say.
        service_tier: the provider's word for how the call was served, such as ``flex``; ``batch``
            for calls of a batch API.
        speed: Anthropic's word for that, such as ``fast``.
        own: the user's own prices.
    """
    names = tuple(name for name in models if name)
    given = own.find(provider, price_lists.order_names(provider, names)) if own else None
    if given is not None:
        return _assess(given, _count(usage), [], OWN)
    found = _find(provider, api_url.partition("?")[0], names)
    version = str(_catalog.load())
    if isinstance(found, str):
        return Price(UNPRICED, found, catalog=version)
    context = _describe_service(service_tier, speed)
    notes = [] if _is_priced(found, at, context) else [f"no price for {_name(context)}"]
    if notes and context.get("processing") == _BATCH:
        return Price(UNPRICED, notes[0], catalog=version)
    prices = found.resolve(at, context)
    if prices == FREE and provider in _NOTHING_FREE:
        prices = {}
    counts = found.bill(_count(usage))
    if found.seller.id not in _SAME_FOR_ALL_KINDS and prices != FREE:
        notes += [f"no price for {kind}" for kind in _find_unpriced(prices, counts, _APART)]
    return _assess(prices, counts, notes, version)


@lru_cache(maxsize=512)
def _find(provider: str, url: str, names: tuple[str, ...]) -> Found | str:
    return price_lists.find(_catalog.load(), provider, url, names)


def _count(usage: Usage | None) -> dict[str, Number]:
    found = {unit: getattr(usage, field, None) for field, unit in COUNTS.items()} if usage else {}
    return {unit: count for unit, count in found.items() if count is not None}


def _describe_service(tier: str | None, speed: str | None) -> dict[str, str]:
    """The call's context, in genai-prices' words; empty for one at the standard prices."""
    context = {}
    tier = (tier or "").lower()
    if tier == _BATCH:
        context["processing"] = _BATCH
    elif tier and tier not in _STANDARD_TIERS:
        context["service_tier"] = tier
    if speed and speed.lower() != _SPEED_STANDARD:
        context["speed"] = speed.lower()
    return context


def _is_priced(found: Found, at: datetime, context: Mapping[str, str]) -> bool:
    return not context or (
        found.own and all(found.listing.knows(at, {name: word}) for name, word in context.items())
    )


def _name(context: Mapping[str, str]) -> str:
    kinds = (
        ("" if key == "processing" else key.replace("_", " "), context[key]) for key in context
    )
    return " and ".join(" ".join(filter(None, kind)) for kind in kinds)


def _find_unpriced(
    prices: Iterable[str], counts: Mapping[str, Number], rows: Iterable[tuple[str, str, str]]
) -> list[str]:
    return [kind for unit, name, kind in rows if counts.get(unit) and name not in prices]


def _assess(
    prices: Prices | str, counts: Mapping[str, Number], notes: list[str], version: str
) -> Price:
    """Charge the counts, and say how sure that is."""
    if not isinstance(prices, dict) or (prices and not any(map(_is_paid, prices.values()))):
        return Price(FREE, None, _ZERO, _ZERO, _ZERO, _ZERO, version)
    missing = [f"no price for {kind}" for kind in _find_unpriced(prices, counts, _DIRECTIONS)]
    priced = any(counts.get(unit) for unit, name, _ in _DIRECTIONS if name in prices)
    if not prices or not counts or (missing and not priced):
        reason = "no usage" if prices else "no price"
        return Price(UNPRICED, missing[0] if prices and missing else reason, catalog=version)
    try:
        charge, uncounted = _charge(prices, counts)
    except InconsistentError:
        return Price(UNPRICED, "inconsistent usage", catalog=version)
    reason = ", ".join([*notes, *missing, *uncounted])
    return Price(
        PARTIAL if reason else PRICED,
        reason or None,
        charge.rest if _knows(prices, counts, "input") else None,
        charge.output if _knows(prices, counts, "output") else None,
        charge.cache if _knows(prices, counts, "cache") else None,
        charge.total,
        version,
    )


def _is_paid(rate: Rate) -> bool:
    steps = [rate] if isinstance(rate, str) else [rate[0], *(amount for _, amount in rate[1:])]
    return any(map(Decimal, steps))


def _charge(prices: Prices, counts: Mapping[str, Number]) -> tuple[Charge, list[str]]:
    """Charge the counts; one that is missing is taken to be 0, and named."""
    tariff = _catalog.load().tariff
    try:
        return tariff.charge(prices, counts), []
    except UncountedError as missing:
        zeros: dict[str, Number] = {tariff.by_price[name].name: 0 for name in prices}
        note = f"no count of {missing.unit.replace('_', ' ')}"
        return tariff.charge(prices, {**zeros, **counts}), [note]


# Part of the cost -> (unit, its price): where that is counted and has no price, it is not known.
_PARTS = {
    "input": (("input_tokens", "input_mtok"),),
    "output": (("output_tokens", "output_mtok"),),
    "cache": (
        ("cache_read_tokens", "cache_read_mtok"),
        ("cache_write_tokens", "cache_write_mtok"),
    ),
}


def _knows(prices: Prices, counts: Mapping[str, Number], part: str) -> bool:
    return all(name in prices or not counts.get(unit) for unit, name in _PARTS[part])
