"""What one LLM call costs, by the user's own prices or else the catalogue's."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Iterable, Mapping, NamedTuple

from lupis_instrument._llm.pricing import catalog as _catalog
from lupis_instrument._llm.pricing import price_lists
from lupis_instrument._llm.pricing.tariff import InconsistentError, UncountedError, read_amount

if TYPE_CHECKING:
    from datetime import datetime

    from lupis_instrument._llm.pricing.catalog import Found
    from lupis_instrument._llm.pricing.own_prices import OwnPrices
    from lupis_instrument._llm.pricing.tariff import Charge, Number, Prices, Rate
    from lupis_instrument._llm.usage.usage import Usage

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
    "web_searches": "web_searches",
    "audio_seconds": "audio_seconds",
    "input_characters": "input_characters",
}
"""Field of `Usage` -> unit of the catalogue; a field that `Usage` lacks is never counted."""
BILLED: dict[str, str] = {
    "billed_input_tokens": "input_tokens",
    "billed_output_tokens": "output_tokens",
}
"""Fields that come before those above; of what is billed none is told to be from a cache."""

# Words of providers for calls at the standard prices.
_STANDARD_TIERS = frozenset(("default", "standard", "auto", "on_demand", "standard_only"))
_ZERO = Decimal(0)
_BATCH = "batch"
# Vertex AI's words: cloud.google.com/vertex-ai/generative-ai/docs/flex-paygo, ../priority-paygo
_GOOGLES = "on_demand_"
# How what was paid for beforehand is called by Vertex AI, OpenAI and Amazon.
_PREPAID = frozenset(("provisioned_throughput", "scale", "reserved"))
_SPEED_STANDARD = "standard"
# platform.claude.com/docs/en/manage-claude/data-residency: for others prices are higher, by 1.1 in
# 2026, which the catalogue does not have.
_ANYWHERE = frozenset(("global", "not_available"))
# Kinds of token whose price is far from that of text: (unit, its price, what to call it).
_APART = (
    ("input_audio_tokens", "input_audio_mtok", "audio input"),
    ("output_audio_tokens", "output_audio_mtok", "audio output"),
)
_DIRECTIONS = (("input_tokens", "input_mtok", "input"), ("output_tokens", "output_mtok", "output"))
_CACHED = (("cache_read_tokens", "cache_read_mtok"), ("cache_write_tokens", "cache_write_mtok"))
# ai.google.dev/gemini-api/docs/pricing: audio is listed apart wherever it has a price of its own.
_SAME_FOR_ALL_KINDS = frozenset(("google",))
# protobuf.dev/programming-guides/json: a count of 0 is left out.
_OMIT_ZEROS = frozenset(("google",))
# docs.cohere.com/reference/chat: `billed_units` beside `tokens`, which are all that the model saw.
# Whoever else serves these models bills as for all others.
_BILLED_APART = frozenset(("cohere",))
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
    geography: str | None = None,
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
        geography: its word for where the model ran, such as ``us``, which is dearer.
        own: the user's own prices.
    """
    names = tuple(name for name in models if name)
    given = own.find(provider, price_lists.order_names(provider, names)) if own else None
    used = _count(usage, apart=provider in _BILLED_APART)
    if given is not None:
        return _assess(given, used, [], OWN)
    found = _find(provider, api_url.partition("?")[0], names)
    version = str(_catalog.load())
    if isinstance(found, str):
        return Price(UNPRICED, found, catalog=version)
    context = _describe_service(service_tier, speed, geography)
    notes = [] if _is_priced(found, at, context) else [f"no price for {_name(context)}"]
    if notes and (context.get("processing") == _BATCH or context.get("service_tier") in _PREPAID):
        return Price(UNPRICED, notes[0], catalog=version)
    prices = found.resolve(at, context)
    if prices == FREE and provider in _NOTHING_FREE:
        prices = {}
    counts = found.bill(used)
    if counts and found.seller.id in _OMIT_ZEROS:
        counts = {"output_tokens": 0, **counts}
    if found.seller.id not in _SAME_FOR_ALL_KINDS and prices != FREE:
        notes += [f"no price for {kind}" for kind in _find_unpriced(prices, counts, _APART)]
    return _assess(prices, counts, notes, version)


@lru_cache(maxsize=512)
def _find(provider: str, url: str, names: tuple[str, ...]) -> Found | str:
    return price_lists.find(_catalog.load(), provider, url, names)


def _count(usage: Usage | None, *, apart: bool) -> dict[str, Number]:
    """Return what was used, by unit; what is billed `apart` counts where it is reported."""
    if usage is None:
        return {}
    counts = _counts_of(usage, COUNTS)
    billed = _counts_of(usage, BILLED) if apart else {}
    if billed:
        for unit, _ in _CACHED:
            counts.pop(unit, None)
        counts.update(billed)
    if "audio_seconds" in counts:
        counts["input_audio_seconds"] = counts["audio_seconds"]  # all that is counted was sent
    return counts


def _counts_of(usage: Usage, units: Mapping[str, str]) -> dict[str, Number]:
    found = ((unit, getattr(usage, field)) for field, unit in units.items())
    return {unit: count for unit, count in found if count is not None}


def _describe_service(tier: str | None, speed: str | None, geography: str | None) -> dict[str, str]:
    """The call's context, in genai-prices' words; empty for one at the standard prices."""
    context = {}
    tier = (tier or "").lower()
    if tier.startswith(_GOOGLES):
        tier = tier[len(_GOOGLES) :]
    if tier == _BATCH:
        context["processing"] = _BATCH
    elif tier and tier not in _STANDARD_TIERS:
        context["service_tier"] = tier
    if speed and speed.lower() != _SPEED_STANDARD:
        context["speed"] = speed.lower()
    if geography and geography.lower() not in _ANYWHERE:
        context["inference_geo"] = geography.lower()
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
    if not prices or not counts:
        return Price(UNPRICED, "no usage" if prices else "no price", catalog=version)
    unknown = _find_unknown(prices, counts)
    if unknown and not any(counts.get(unit) for unit, name, _ in _DIRECTIONS if name in prices):
        return Price(UNPRICED, next(iter(unknown.values())), catalog=version)
    try:
        charge, uncounted = _charge(prices, counts)
    except InconsistentError:
        return Price(UNPRICED, "inconsistent usage", catalog=version)
    reason = ", ".join([*notes, *unknown.values(), *uncounted])
    cached = any(counts.get(unit) and name not in prices for unit, name in _CACHED)
    return Price(
        PARTIAL if reason else PRICED,
        reason or None,
        charge.rest if "input" not in unknown else None,
        charge.output if "output" not in unknown else None,
        charge.cache if not cached else None,
        charge.total,
        version,
    )


def _find_unknown(prices: Prices, counts: Mapping[str, Number]) -> dict[str, str]:
    """Directions whose cost is not known, with the reason: used without a price, or not counted."""
    unknown: dict[str, str] = {}
    units = _catalog.load().tariff.by_price
    if not any(name in prices for _, name, _ in _DIRECTIONS) and any(
        counts.get(units[name].name) for name in prices
    ):
        return unknown  # paid by what is neither, an hour of audio for example
    for unit, name, kind in _DIRECTIONS:
        if name not in prices and counts.get(unit):
            unknown[kind] = f"no price for {kind}"
        elif unit not in counts and _is_paid(prices.get(name, "0")):
            unknown[kind] = f"no count of {kind}"
    return unknown


def _is_paid(rate: Rate) -> bool:
    steps = [rate] if isinstance(rate, str) else [rate[0], *(amount for _, amount in rate[1:])]
    return any(map(read_amount, steps))


def _charge(prices: Prices, counts: Mapping[str, Number]) -> tuple[Charge, list[str]]:
    """Charge the counts; one that is missing is taken to be 0, and named."""
    tariff = _catalog.load().tariff
    try:
        return tariff.charge(prices, counts), []
    except UncountedError as missing:
        zeros: dict[str, Number] = {tariff.by_price[name].name: 0 for name in prices}
        note = f"no count of {missing.unit.replace('_', ' ')}"
        return tariff.charge(prices, {**zeros, **counts}), [note]
