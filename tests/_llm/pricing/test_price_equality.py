"""What is charged by the catalogue is what genai-prices charges, digit for digit.

LUPIS_TEST_PRICE_DRAWS sets how many calls are drawn for each of the properties.
"""

from __future__ import annotations

import os
import re
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lupis_instrument._llm.pricing.catalog import load_catalog

genai_prices = pytest.importorskip("genai_prices", reason="genai-prices is not installed")

CATALOG = load_catalog()
if genai_prices.__version__ != CATALOG.version:
    pytest.skip(
        f"genai-prices {genai_prices.__version__} is installed, and the catalogue is of"
        f" {CATALOG.version}",
        allow_module_level=True,
    )

from genai_prices.data import providers as PROVIDERS  # noqa: E402, N812

DRAWS = int(os.environ.get("LUPIS_TEST_PRICE_DRAWS", "400"))
UNITS = CATALOG.tariff.units
REPORTED = sorted(set(UNITS) - {"requests"})
NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
drawn = settings(
    max_examples=DRAWS, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


def find_model(model, provider, url):
    """The match of a model's name, by the order of look-ups that genai-prices has."""
    model = model.lower()
    if provider is not None:
        price_list = CATALOG.find_price_list(provider)
    elif url is not None:
        price_list = CATALOG.find_list_by_url(url)
    else:
        price_list = CATALOG.find_list_by_model(model)
    return CATALOG.match_model(price_list, model) if price_list else None


def charge_by_theirs(model, counts, at, context, **where):
    """What genai-prices says: the charge, None for no such model, `ValueError` for bad counts."""
    try:
        price = genai_prices.calc_price(
            genai_prices.Usage(**counts),
            model,
            genai_request_timestamp=at,
            price_context=context,
            **where,
        )
    except LookupError:
        return None
    except ValueError:
        return ValueError
    parts = (price.input_price, price.output_price, price.total_price)
    return (price.provider.id, price.model.id, *parts)


def charge_by_ours(model, counts, at, context, *, provider_id=None, provider_api_url=None):
    """The same by the catalogue."""
    match = find_model(model, provider_id, provider_api_url)
    if match is None:
        return None
    prices = match.prices_at(at, context or {})
    try:
        charge = CATALOG.tariff.charge_counts(
            prices if isinstance(prices, dict) else {}, match.apply_minimum(counts)
        )
    except ValueError:
        return ValueError
    return (match.price_list.id, match.model.id, charge.input, charge.output, charge.total)


def names_in(clause):
    """The texts of a matching rule."""
    for kind, operand in vars(clause).items():
        if isinstance(operand, list):
            for each in operand:
                yield from names_in(each)
        elif kind != "regex":
            yield operand


NAMES = {
    provider.id: sorted(
        {model.id for model in provider.models}
        | {name for model in provider.models for name in names_in(model.match)}
    )
    for provider in PROVIDERS
}
EVERY_NAME = sorted({name for names in NAMES.values() for name in names})
CONTEXTS = sorted(
    {
        tuple(variant.when.items())
        for provider in PROVIDERS
        for model in provider.models
        for variant in model.price_variants or ()
    }
)


class Edges(NamedTuple):
    """Where the price of a model changes."""

    units: list
    sizes: list
    moments: list
    contexts: list


def edges_of(model):
    """The edges that a model of theirs has, each with what lies beside it."""
    rows = model.prices if isinstance(model.prices, list) else []
    variants = model.price_variants or []
    lists = [row.prices for row in (*rows, *variants)] or [model.prices]
    prices = [vars(each).items() for each in (*lists, *([] if rows else [model.prices]))]
    units = {CATALOG.tariff.by_price[name].name for pairs in prices for name, _ in pairs}
    starts = {
        tier.start for pairs in prices for _, price in pairs for tier in getattr(price, "tiers", ())
    }
    changes = [at for row in (*rows, *variants) for at in moments_of(row.constraint)]
    return Edges(
        sorted(units - {"requests"}),
        [start + more for start in sorted(starts) for more in (-1, 0, 1)],
        [at + timedelta(microseconds=more) for at in changes for more in (-1, 0, 1)],
        [dict(variant.when) for variant in variants],
    )


def moments_of(constraint):
    """When prices begin or end to hold, as far as a constraint tells."""
    if hasattr(constraint, "start_date"):
        yield datetime.combine(constraint.start_date, time(), timezone.utc)
    elif constraint is not None:
        yield datetime.combine(NOON, constraint.start_time)
        yield datetime.combine(NOON, constraint.end_time)


EDGES = {
    (provider.id, model.id): edges_of(model) for provider in PROVIDERS for model in provider.models
}
NO_EDGES = Edges([], [], [], [])
EVENTFUL = sorted((provider, model) for (provider, model), edges in EDGES.items() if any(edges[1:]))
LENDERS = {
    provider.id: [provider.id, *(provider.fallback_model_providers or ())] for provider in PROVIDERS
}
DAYS = sorted({at.date() for edges in EDGES.values() for at in edges.moments})

LATE = datetime.combine(date(2029, 1, 1), time())
zones = st.sampled_from([None, timezone.utc, *(timezone(timedelta(hours=h)) for h in (-8, 2, 14))])
changes = st.builds(
    lambda day, seconds: datetime.combine(day, time()) + timedelta(seconds=seconds),
    st.sampled_from(DAYS),
    st.sampled_from([-86401, -1, 0, 1, 3600, 86400]),
)
quarters = st.builds(
    lambda day, minutes, micro: (
        datetime.combine(day, time()) + timedelta(minutes=15 * minutes, microseconds=micro)
    ),
    st.dates(date(2024, 1, 1), date(2028, 1, 1)),
    st.integers(0, 95),
    st.sampled_from([-1, 0, 1]),
)
moments = st.builds(
    lambda naive, zone: naive.replace(tzinfo=zone),
    st.one_of(changes, quarters, st.datetimes(LATE.replace(year=2023), LATE)),
    zones,
)
fractions = st.one_of(
    st.floats(0, 1e6, allow_nan=False), st.decimals(0, 10**6, places=3), st.integers(0, 100)
)
contexts = st.one_of(
    st.none(),
    st.lists(st.sampled_from(CONTEXTS), max_size=3).map(
        lambda rows: {key: word for row in rows for key, word in row}
    ),
    st.dictionaries(st.sampled_from(["service_tier", "speed"]), st.text(max_size=3), max_size=2),
)


def add_up(leaves):
    """Counts of which each contains those of its parts."""
    return {
        name: sum(
            (leaf if isinstance(leaf, int) else Decimal(str(leaf)))
            for part, leaf in leaves.items()
            if UNITS[name].traits <= UNITS[part].traits
        )
        for name in REPORTED
        if any(UNITS[name].traits <= UNITS[part].traits for part in leaves)
    }


def usages(units, sizes):
    """Counts of those units: mostly such as add up, some with one missing, some at random."""
    names = st.sampled_from(units)
    whole = st.one_of(st.integers(0, 3000), st.integers(0, 10**7), st.sampled_from([0, *sizes]))
    leaves = st.one_of(
        st.dictionaries(names, whole, min_size=1, max_size=6),
        st.dictionaries(names, whole, min_size=min(2, len(units)), max_size=6),
        st.dictionaries(names, fractions, max_size=4),
    )
    sums = leaves.map(add_up)
    cut = st.builds(
        lambda counts, place: {
            name: count for number, (name, count) in enumerate(counts.items()) if number != place
        },
        sums,
        st.integers(0, 3),
    )
    return st.one_of(sums, sums, sums, cut, leaves)


@st.composite
def calls(draw):
    """A call to a model that is listed, mostly about where its price changes."""
    provider, model = draw(st.sampled_from(EVENTFUL))
    if draw(st.booleans()):
        provider = draw(st.sampled_from(sorted(NAMES)))
        listed = [name for lender in LENDERS[provider] for name in NAMES[lender]]
        model = draw(st.sampled_from(listed))
    match = find_model(model, provider, None)
    edges = EDGES.get((match.price_list.id, match.model.id), NO_EDGES) if match else NO_EDGES
    units = draw(st.sampled_from([edges.units, edges.units, REPORTED]))
    counts = draw(usages(units or REPORTED, edges.sizes))
    zone = draw(zones) or timezone.utc
    own = st.sampled_from(edges.moments or [NOON]).map(lambda at: at.astimezone(zone))
    context = st.one_of(st.sampled_from([None, *edges.contexts]), contexts)
    return provider, model, counts, draw(st.one_of(own, moments)), draw(context)


BEFORE = [*[""] * 15, "openai/", "us.", "anthropic/", "groq/", "models/", "x"]
AFTER = [*[""] * 15, "-20251211", "-20250231", ":free", "-2025-08-07", "-v1:0"]


@st.composite
def names(draw, listed=EVERY_NAME):
    """Names of models as people and gateways write them."""
    name = draw(st.one_of(*[st.sampled_from(listed)] * 5, st.text(max_size=12)))
    name = draw(st.sampled_from(BEFORE)) + name + draw(st.sampled_from(AFTER))
    return draw(st.sampled_from([str, str.upper, str.title]))(name)


IDS = [
    *NAMES,
    "bedrock", "Azure", " OpenAI ", "vertex_ai", "gemini", "xai", "together_ai",
    "google-vertex", "mistralai", "huggingface_x", "huggingface-groq", "unknown", "",
]  # fmt: skip
URLS = {provider.id: st.from_regex(rf"\A(?:{provider.api_pattern})") for provider in PROVIDERS}
ODD_URLS = ["https://api.openai.com.evil.example/", "http://127.0.0.1:8000/v1", ""]


@st.composite
def places(draw):
    """A model's name, and the URL of a provider that mostly lists it."""
    provider = draw(st.sampled_from(PROVIDERS))
    url = draw(st.one_of(*[URLS[provider.id]] * 5, st.sampled_from(ODD_URLS)))
    lenders = [provider.id, *(provider.fallback_model_providers or ())]
    listed = [NAMES[name] for name in lenders if NAMES[name]] + [EVERY_NAME]
    return draw(names(draw(st.sampled_from(listed)))), url


COUNTS = {
    "output_tokens": 4_321,
    "cache_read_tokens": 1_234,
    "cache_write_tokens": 100,
    "cache_write_5m_tokens": 40,
    "cache_write_1h_tokens": 60,
    "output_reasoning_tokens": 321,
    "audio_seconds": 3.5,
    "input_audio_seconds": 3.5,
    "web_searches": 2,
}


def listings():
    """Every seller with every model that it has, those that it has at others' prices too."""
    for provider in PROVIDERS:
        for lender in LENDERS[provider.id]:
            for (seller, model), edges in EDGES.items():
                if seller == lender:
                    yield provider.id, model, edges


def test_every_model_costs_the_same_about_every_edge():
    """Sizes of tiers, days and times of day, and each context that has prices of its own."""
    for provider, model, edges in listings():
        for context in [None, *edges.contexts]:
            for at in [NOON, NOON.replace(year=2025), *edges.moments]:
                for size in edges.sizes or [300_000]:
                    call = (model, {"input_tokens": size, **COUNTS}, at, context)
                    theirs = charge_by_theirs(*call, provider_id=provider)
                    assert theirs == charge_by_ours(*call, provider_id=provider), call


def test_missing_overlaps_are_noticed_alike():
    """Counts of two kinds without that of what is both, where that has a price of its own."""
    refused = 0
    for provider, model, edges in listings():
        least = min((len(UNITS[name].traits) for name in edges.units), default=0)
        wide = [name for name in edges.units if len(UNITS[name].traits) <= least + 1]
        counts = {**dict.fromkeys(wide, 5), "input_tokens": 50, "output_tokens": 50}
        call = (model, counts, NOON, None)
        theirs = charge_by_theirs(*call, provider_id=provider)
        assert theirs == charge_by_ours(*call, provider_id=provider), (provider, call)
        refused += theirs is ValueError
    assert refused


def write_compactly(name):
    """A name with the date in it as some gateways write it."""
    return re.sub(r"-(\d{4})-(\d\d)-(\d\d)", r"-\1\2\3", name)


def test_every_name_means_the_same_model():
    """Each text that a provider's rules hold finds the same model, or none."""
    snapshot = genai_prices.data_snapshot.get_snapshot()
    for provider in PROVIDERS:
        seller = CATALOG.price_lists[provider.id]
        for name in [*NAMES[provider.id], *map(write_compactly, NAMES[provider.id])]:
            theirs = provider.find_model(name, all_providers=snapshot.providers)
            ours = CATALOG.match_model(seller, name)
            assert (theirs and theirs.id) == (ours and ours.model.id), (provider.id, name)


@drawn
@given(calls())
def test_calls_cost_the_same(call):
    """Whatever they used, whenever, and however they were served."""
    provider, *rest = call
    theirs = charge_by_theirs(*rest, provider_id=provider)
    assert theirs == charge_by_ours(*rest, provider_id=provider)


@st.composite
def addressed(draw):
    """A provider under any of its names, a model's name that is mostly its own, and a URL."""
    provider = draw(st.sampled_from(IDS))
    seller = CATALOG.find_price_list(provider)
    model, url = draw(places())
    if seller is not None:
        model = draw(st.one_of(names(NAMES[seller.id] or EVERY_NAME), st.just(model)))
    return provider, model, draw(st.sampled_from([None, url]))


@drawn
@given(addressed())
def test_names_find_the_same_by_provider(call):
    """A provider's id or another name for it finds the same seller and model, or none."""
    provider, model, url = call
    where = {"provider_id": provider, "provider_api_url": url}
    call = (model, {"input_tokens": 1000, "output_tokens": 10}, NOON, None)
    assert charge_by_theirs(*call, **where) == charge_by_ours(*call, **where)


@drawn
@given(places())
def test_names_find_the_same_by_url(place):
    """The URL called finds the same seller and model, or none."""
    model, url = place
    call = (model, {"input_tokens": 1000, "output_tokens": 10}, NOON, None)
    theirs = charge_by_theirs(*call, provider_api_url=url)
    assert theirs == charge_by_ours(*call, provider_api_url=url)


KNOWN_BY_NAME = sorted(
    {name for provider in PROVIDERS if provider.model_match for name in NAMES[provider.id]}
)


@drawn
@given(names(KNOWN_BY_NAME))
def test_names_find_the_same_alone(model):
    """A model's name finds the same seller and model, or none."""
    call = (model, {"input_tokens": 1000, "output_tokens": 10}, NOON, None)
    assert charge_by_theirs(*call) == charge_by_ours(*call)
