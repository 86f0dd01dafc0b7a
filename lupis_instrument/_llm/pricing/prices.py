"""The cost of one LLM call, by the user's own prices or the catalog."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Iterable, Mapping, NamedTuple

from lupis_instrument._llm.pricing.catalog import FREE, load_catalog
from lupis_instrument._llm.pricing.price_lists import find_match, order_names
from lupis_instrument._llm.pricing.tariff import InconsistentError, UncountedError, read_amount

if TYPE_CHECKING:
    from datetime import datetime

    from lupis_instrument._llm.pricing.catalog import ModelMatch, PriceCatalog
    from lupis_instrument._llm.pricing.own_prices import OwnPrices
    from lupis_instrument._llm.pricing.tariff import Charge, Number, Prices, Rate, Tariff
    from lupis_instrument._llm.usage.usage import Usage

PRICED = "priced"
PARTIAL = "partial"
UNPRICED = "unpriced"
OWN_CATALOG = "LUPIS_PRICES_FILE"
"""The name of the catalog in a `Price` that the user's own prices gave."""
REPORTED, CATALOG, OWN = "reported", "catalog", "prices_file"
"""Sources of a cost: the provider's own statement, the catalog, the user's own prices."""
TOLERANCE = Decimal("0.005")
"""The share of a cost by which an estimate may differ and still explain it."""


class Price(NamedTuple):
    """The cost of a call, in USD. None means unknown, never 0.

    `input`, `output` and `cache` add up to `total`. Units that are neither input nor output
    (requests, searches, hours of audio) count as input. Audio and images count as input or
    output. Cached tokens without a price of their own cost as much as other input, and count as
    input.

    Attributes:
        status: `PRICED`, `PARTIAL` (a part is unknown or uncertain), `UNPRICED` or `FREE`.
        reason: why the call is not priced, or not completely, in a few words.
        input: the cost of input outside the cache.
        output: the cost of output.
        cache: the cost of reading from the cache and writing to it.
        total: the sum of the known parts.
        catalog: the source of the prices, with its version.
        source: the source of the cost: `REPORTED`, `CATALOG` or `OWN`; None without a cost.
        estimate: the total by the catalog, if the provider states a cost that differs from it by
            more than `TOLERANCE`.
    """

    status: str
    reason: str | None = None
    input: Decimal | None = None
    output: Decimal | None = None
    cache: Decimal | None = None
    total: Decimal | None = None
    catalog: str | None = None
    source: str | None = None
    estimate: Decimal | None = None


COUNT_UNITS: dict[str, str] = {
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
    "input_video_tokens": "input_video_tokens",
    "output_video_tokens": "output_video_tokens",
    "cache_read_image_tokens": "cache_image_read_tokens",
    "cache_read_video_tokens": "cache_video_read_tokens",
    "web_searches": "web_searches",
    "social_searches": "social_searches",
    "storage_searches": "storage_searches",
    "code_executions": "code_executions",
    "document_pages": "input_document_pages",
    "annotated_pages": "input_annotated_document_pages",
    "citation_tokens": "output_citation_tokens",
    "audio_seconds": "audio_seconds",
    "input_characters": "input_characters",
}
"""The catalog's unit by field of `Usage`; a unit without a field is never counted."""
BILLED_UNITS: dict[str, str] = {
    "billed_input_tokens": "input_tokens",
    "billed_output_tokens": "output_tokens",
}
"""Fields that take precedence over `COUNT_UNITS`; none of these tokens is billed as cached."""

# The providers' words for calls at the standard prices.
_STANDARD_TIERS = frozenset(("default", "standard", "auto", "on_demand", "standard_only"))
_ZERO = Decimal(0)
# docs.perplexity.ai/guides/pricing: deep research charges the tokens of cited sources.
_APART_UNIT, _APART_PRICE = "output_citation_tokens", "output_citation_mtok"
# Calls of the provider's tools: unit, name in messages.
_TOOL_UNITS = (
    ("web_searches", "web searches"),
    ("social_searches", "social searches"),
    ("storage_searches", "storage searches"),
    ("code_executions", "code executions"),
)
_REQUEST_FEE = "requests_kcount"
"""The price of a request, which includes the searches for it."""
_BATCH = "batch"
# Vertex AI's words: cloud.google.com/vertex-ai/generative-ai/docs/flex-paygo, ../priority-paygo
_GOOGLE_PREFIX = "on_demand_"
# Capacity that the user paid for in advance, in the words of Vertex AI, OpenAI and Amazon.
_PREPAID = frozenset(("provisioned_throughput", "scale", "reserved"))
_SPEED_STANDARD = "standard"
# platform.claude.com/docs/en/manage-claude/data-residency: other values cost more (by a factor of
# 1.1 in 2026), and the catalog does not have these prices.
_ANYWHERE = frozenset(("global", "not_available"))
# Tokens whose price differs much from the price of text: (unit, its price, name in messages).
_AUDIO_TOKENS = (
    ("input_audio_tokens", "input_audio_mtok", "audio input"),
    ("output_audio_tokens", "output_audio_mtok", "audio output"),
)
_DIRECTIONS = (("input_tokens", "input_mtok", "input"), ("output_tokens", "output_mtok", "output"))
_CACHED = (("cache_read_tokens", "cache_read_mtok"), ("cache_write_tokens", "cache_write_mtok"))
# ai.google.dev/gemini-api/docs/pricing lists audio wherever its price differs from the price of
# text. So a missing price for audio means the price of text.
_TEXT_PRICE_FOR_AUDIO = frozenset(("google",))
# protobuf.dev/programming-guides/json: a count of 0 is left out.
_OMIT_ZEROS = frozenset(("google",))
# docs.cohere.com/reference/chat: `billed_units` beside `tokens`, which count all that the model
# saw. Other providers of Cohere's models bill as they bill other models.
_BILLED_APART = frozenset(("cohere",))
# Vertex AI bills by the hour for models that Gemini's API offers for free.
_NOTHING_FREE = frozenset(("gcp.vertex_ai",))


def price_call(
    *,
    provider: str,
    api_url: str,
    models: Iterable[str | None],
    usage: Usage | None,
    at: datetime,
    service_tier: str | None = None,
    speed: str | None = None,
    geography: str | None = None,
    own_prices: OwnPrices | None = None,
    catalog: PriceCatalog | None = None,
) -> Price:
    """Return the cost of one call.

    Args:
        provider: gen_ai.provider.name.
        api_url: the called URL.
        models: the model's name in the response, then its name in the request; None if unknown.
        usage: the usage that the provider reported.
        at: the time of the call; a naive time is in UTC.
        service_tier: the provider's word for the tier of the call, such as ``flex``; ``batch``
            for calls of a batch API.
        speed: Anthropic's word for a faster, dearer mode, such as ``fast``.
        geography: Anthropic's word for a dearer choice of location, such as ``us``.
        own_prices: the user's own prices.
        catalog: the catalog of prices; None for the one that the package ships.
    """
    catalog = catalog or load_catalog()
    names = tuple(name for name in models if name)
    call = _Call(provider, api_url, at, service_tier, speed, geography, own_prices, catalog)
    price = _price_model(call, names, usage)
    for row in usage.rounds if usage is not None else ():
        names = (row.model,) if row.model else ()
        price = _add_round(price, _price_model(call, names, row.usage))
    stated = usage.stated_cost if usage is not None else None
    return price if stated is None or price.source == OWN else _state_cost(price, stated)


class _Call(NamedTuple):
    """The arguments of `price_call` that are the same for all models of a call."""

    provider: str
    api_url: str
    at: datetime
    service_tier: str | None
    speed: str | None
    geography: str | None
    own_prices: OwnPrices | None
    catalog: PriceCatalog


def _price_model(call: _Call, names: tuple[str, ...], usage: Usage | None) -> Price:
    """Return the cost of the usage of one model, by the user's own prices or the catalog."""
    provider, own_prices, tariff = call.provider, call.own_prices, call.catalog.tariff
    own = own_prices.find_prices(provider, order_names(provider, names)) if own_prices else None
    counts = _count_units(usage, billed_apart=provider in _BILLED_APART)
    problems = list(usage.problems) if usage is not None else []
    if own is not None:
        return _assess_price(tariff, own, counts, problems, OWN_CATALOG)
    words = (call.service_tier, call.speed, call.geography)
    url = call.api_url.partition("?")[0]
    terms = _find_terms(call.catalog, provider, url, names, words)
    match = terms.match
    if isinstance(match, str):
        return Price(UNPRICED, match, catalog=terms.version)
    if not _has_prices(match, call.at, terms.context):
        problem = f"no price for {_name_context(terms.context)}"
        if _is_separate(terms.context):
            return Price(UNPRICED, problem, catalog=terms.version)
        problems.insert(0, problem)
    prices, counts = _apply_terms(call, terms, match, counts, usage)
    if match.price_list.id not in _TEXT_PRICE_FOR_AUDIO and prices != FREE:
        problems += [f"no price for {kind}" for kind in _find_unpriced_audio(prices, counts)]
    return _assess_price(tariff, prices, counts, problems, terms.version)


def _apply_terms(
    call: _Call,
    terms: _Terms,
    match: ModelMatch,
    counts: Mapping[str, Number],
    usage: Usage | None,
) -> tuple[Prices | str, Mapping[str, Number]]:
    """Return the prices of a call, or FREE, and the counts that the provider bills."""
    prices = match.prices_at(call.at, terms.context) if terms.prices is None else terms.prices
    if prices == FREE and call.provider in _NOTHING_FREE:
        prices = {}
    if isinstance(prices, dict) and usage is not None:
        if usage.search_size:
            prices = match.apply_search_size(prices, usage.search_size)
        counts = _add_apart(counts, usage, prices)
    if terms.has_minimum:
        counts = match.apply_minimum(counts)
    if counts and match.price_list.id in _OMIT_ZEROS:
        counts = {"output_tokens": 0, **counts}
    return prices, counts


def _add_round(price: Price, extra: Price) -> Price:
    """Return the cost of a call with the cost of another model that took part in it."""
    if price.total is None:
        return price
    if extra.total is None:
        reason = _join_reasons(price.reason, f"another model: {extra.reason}")
        return price._replace(status=PARTIAL, reason=reason)
    return price._replace(
        status=PARTIAL if PARTIAL in (price.status, extra.status) else PRICED,
        reason=_join_reasons(price.reason, extra.reason),
        input=_add_known(price.input, extra.input),
        output=_add_known(price.output, extra.output),
        cache=_add_known(price.cache, extra.cache),
        total=price.total + extra.total,
    )


def _add_known(first: Decimal | None, second: Decimal | None) -> Decimal | None:
    return None if first is None or second is None else first + second


def _join_reasons(*reasons: str | None) -> str | None:
    return ", ".join(dict.fromkeys(filter(None, reasons))) or None if reasons else None


def _state_cost(price: Price, stated: Decimal) -> Price:
    """Return the cost that the provider states; the estimate explains its parts if it is near."""
    status = PRICED if stated else FREE
    if price.total is None or abs(price.total - stated) > TOLERANCE * stated:
        catalog = price.catalog if price.total is not None else None
        return Price(status, total=stated, catalog=catalog, source=REPORTED, estimate=price.total)
    scale = stated / price.total if price.total else _ZERO
    return price._replace(
        status=status,
        reason=None,
        input=_scale_part(price.input, scale),
        output=_scale_part(price.output, scale),
        cache=_scale_part(price.cache, scale),
        total=stated,
        source=REPORTED,
    )


def _scale_part(part: Decimal | None, scale: Decimal) -> Decimal | None:
    return None if part is None else part * scale


class _Terms(NamedTuple):
    """The parts of a price that the calls to one model have in common.

    Attributes:
        match: the model in the catalog, or the reason why there is none.
        context: the context of the call.
        version: the version of the catalog.
        prices: the prices, or FREE; None if they change with time or context.
        has_minimum: whether the provider bills a minimum.
    """

    match: ModelMatch | str
    context: Mapping[str, str]
    version: str
    prices: Prices | str | None = None
    has_minimum: bool = False


@lru_cache(maxsize=512)
def _find_terms(
    catalog: PriceCatalog,
    provider: str,
    url: str,
    names: tuple[str, ...],
    words: tuple[str | None, str | None, str | None],
) -> _Terms:
    """Return the terms of the calls to one model.

    Args:
        catalog: the catalog of prices.
        provider: gen_ai.provider.name.
        url: the called URL, without its query.
        names: the model's names.
        words: the provider's words for tier, speed and geography.
    """
    match = find_match(catalog, provider, url, names)
    context, version = _describe_context(*words), str(catalog)
    if isinstance(match, str):
        return _Terms(match, context, version)
    return _Terms(match, context, version, match.find_fixed_prices(context), match.has_minimum)


def _count_units(usage: Usage | None, *, billed_apart: bool) -> Mapping[str, Number]:
    """Return the reported counts by unit.

    If `billed_apart`, counts of billed tokens replace the counts of used tokens.
    """
    if usage is None:
        return {}
    counts = _read_fields(usage, COUNT_UNITS)
    if usage.input_apart_tokens:
        counts["input_tokens"] = counts.get("input_tokens", 0) + usage.input_apart_tokens
    billed = _read_fields(usage, BILLED_UNITS) if billed_apart else {}
    if billed:
        for unit, _ in _CACHED:
            counts.pop(unit, None)
        counts.update(billed)
    if "audio_seconds" in counts:
        counts["input_audio_seconds"] = counts["audio_seconds"]  # providers count only sent audio
    return counts


def _add_apart(counts: Mapping[str, Number], usage: Usage, prices: Prices) -> Mapping[str, Number]:
    """Return the counts with output that has a price and that the output does not include."""
    if usage.output_apart_tokens and _APART_PRICE in prices:
        output = counts.get("output_tokens", 0) + usage.output_apart_tokens
        return {**counts, "output_tokens": output}
    if _APART_UNIT not in counts:
        return counts
    return {unit: count for unit, count in counts.items() if unit != _APART_UNIT}


def _read_fields(usage: Usage, units: Mapping[str, str]) -> dict[str, Number]:
    # Most fields are None.
    given: Any = [field for field in zip(usage._fields, usage) if field[1] is not None]
    return {units[name]: count for name, count in given if name in units}


def _describe_context(tier: str | None, speed: str | None, geography: str | None) -> dict[str, str]:
    """Return the call's context in the words of genai-prices; empty at the standard prices."""
    context = {}
    tier = (tier or "").lower()
    if tier.startswith(_GOOGLE_PREFIX):
        tier = tier[len(_GOOGLE_PREFIX) :]
    if tier == _BATCH:
        context["processing"] = _BATCH
    elif tier and tier not in _STANDARD_TIERS:
        context["service_tier"] = tier
    if speed and speed.lower() != _SPEED_STANDARD:
        context["speed"] = speed.lower()
    if geography and geography.lower() not in _ANYWHERE:
        context["inference_geo"] = geography.lower()
    return context


def _has_prices(match: ModelMatch, at: datetime, context: Mapping[str, str]) -> bool:
    """Return whether the price list has prices for each property of the context."""
    return not context or (
        match.is_own
        and all(match.model.has_variant(at, {name: word}) for name, word in context.items())
    )


def _is_separate(context: Mapping[str, str]) -> bool:
    """Return whether calls in this context have prices of their own, maybe none at all."""
    return context.get("processing") == _BATCH or context.get("service_tier") in _PREPAID


def _name_context(context: Mapping[str, str]) -> str:
    """Return the context in words, such as ``batch and speed fast``."""
    properties = (
        word if name == "processing" else f"{name.replace('_', ' ')} {word}"
        for name, word in context.items()
    )
    return " and ".join(properties)


def _find_unpriced_audio(prices: Iterable[str], counts: Mapping[str, Number]) -> list[str]:
    return [kind for unit, name, kind in _AUDIO_TOKENS if counts.get(unit) and name not in prices]


def _assess_price(
    tariff: Tariff,
    prices: Prices | str,
    counts: Mapping[str, Number],
    problems: list[str],
    version: str,
) -> Price:
    """Charge the counts, and set the status by the completeness of prices and counts.

    Args:
        tariff: the units of the catalog.
        prices: the model's prices, or FREE.
        counts: the billed counts by unit.
        problems: known reasons why the result is uncertain.
        version: the source of the prices.
    """
    source = OWN if version == OWN_CATALOG else CATALOG
    if not isinstance(prices, dict) or (prices and not any(map(_is_paid, prices.values()))):
        return Price(FREE, None, _ZERO, _ZERO, _ZERO, _ZERO, version, source)
    if not prices or not counts:
        return Price(UNPRICED, "no usage" if prices else "no price", catalog=version)
    unknown = _find_unknown(tariff, prices, counts)
    if unknown and not any(counts.get(unit) for unit, name, _ in _DIRECTIONS if name in prices):
        return Price(UNPRICED, next(iter(unknown.values())), catalog=version)
    try:
        charge, uncounted = _charge_counts(tariff, prices, counts)
    except InconsistentError:
        return Price(UNPRICED, "inconsistent usage", catalog=version)
    problems = [
        *problems,
        *_find_unpriced_tools(tariff, prices, counts),
        *unknown.values(),
        *uncounted,
    ]
    reason = _join_reasons(*problems)
    if not charge.total:
        return Price(UNPRICED, reason or "no tokens counted", catalog=version)
    cache_is_unknown = any(counts.get(unit) and name not in prices for unit, name in _CACHED)
    return Price(
        PARTIAL if reason else PRICED,
        reason,
        charge.uncached if "input" not in unknown else None,
        charge.output if "output" not in unknown else None,
        charge.cache if not cache_is_unknown else None,
        charge.total,
        version,
        source,
    )


def _find_unpriced_tools(tariff: Tariff, prices: Prices, counts: Mapping[str, Number]) -> list[str]:
    if _REQUEST_FEE in prices:
        return []
    return [
        f"no price for {name}"
        for unit, name in _TOOL_UNITS
        if counts.get(unit) and tariff.units[unit].price not in prices
    ]


def _find_unknown(tariff: Tariff, prices: Prices, counts: Mapping[str, Number]) -> dict[str, str]:
    """Return the directions (input, output) whose cost is unknown, each with the reason.

    A direction is unknown if it was used and has no price, or has a price and was not counted.
    """
    unknown: dict[str, str] = {}
    if not any(name in prices for _, name, _ in _DIRECTIONS) and any(
        counts.get(tariff.by_price[name].name) for name in prices
    ):
        return unknown  # the model is paid by another unit, such as hours of audio
    for unit, name, direction in _DIRECTIONS:
        if name not in prices and counts.get(unit):
            unknown[direction] = f"no price for {direction}"
        elif unit not in counts and _is_paid(prices.get(name, "0")):
            unknown[direction] = f"no count of {direction}"
    return unknown


def _is_paid(rate: Rate) -> bool:
    amounts = [rate] if isinstance(rate, str) else [rate[0], *(amount for _, amount in rate[1:])]
    return any(map(read_amount, amounts))


def _charge_counts(
    tariff: Tariff, prices: Prices, counts: Mapping[str, Number]
) -> tuple[Charge, list[str]]:
    """Return the charge, and the problems in it: a missing count is named and charged as 0."""
    try:
        return tariff.charge_counts(prices, counts), []
    except UncountedError as missing:
        zeros: dict[str, Number] = {tariff.by_price[name].name: 0 for name in prices}
        problem = f"no count of {missing.unit.replace('_', ' ')}"
        return tariff.charge_counts(prices, {**zeros, **counts}), [problem]
