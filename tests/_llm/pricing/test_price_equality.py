"""The catalog gives the same costs as genai-prices, digit for digit.

LUPIS_TEST_PRICE_DRAWS sets the number of calls that hypothesis draws for each property.
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
        f"genai-prices {genai_prices.__version__} is installed, and the catalog is of"
        f" {CATALOG.version}",
        allow_module_level=True,
    )

from genai_prices.data import providers as PROVIDERS  # noqa: E402, N812

DRAWS = int(os.environ.get("LUPIS_TEST_PRICE_DRAWS", "100"))
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


def charge_by_library(model, counts, at, context, **where):
    """The result of genai-prices: the charge, None without a model, `ValueError` for bad counts."""
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


def charge_by_catalog(model, counts, at, context, *, provider_id=None, provider_api_url=None):
    """The result of the catalog in the same form."""
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
    """The names in a rule of genai-prices."""
    for kind, operand in vars(clause).items():
        if isinstance(operand, list):
            for option in operand:
                yield from names_in(option)
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
    """The points at which the price of a model changes, with their neighbours."""

    units: list
    sizes: list
    moments: list
    contexts: list


def edges_of(model):
    """The edges of a model of genai-prices."""
    rows = model.prices if isinstance(model.prices, list) else []
    variants = model.price_variants or []
    lists = [row.prices for row in (*rows, *variants)] or [model.prices]
    prices = [vars(row).items() for row in (*lists, *([] if rows else [model.prices]))]
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
    """The moments at which the prices with a constraint begin or end."""
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
    """Consistent counts: each contains the counts of its parts."""
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
    """Counts of some units: mostly consistent, some with one missing, some random."""
    names = st.sampled_from(units)
    whole = st.one_of(st.integers(0, 3000), st.integers(0, 10**7), st.sampled_from([0, *sizes]))
    leaves = st.one_of(
        st.dictionaries(names, whole, min_size=1, max_size=6),
        st.dictionaries(names, whole, min_size=min(2, len(units)), max_size=6),
        st.dictionaries(names, fractions, max_size=4),
    )
    sums = leaves.map(add_up)
    cut = st.builds(
        lambda counts, omitted: {
            name: count for number, (name, count) in enumerate(counts.items()) if number != omitted
        },
        sums,
        st.integers(0, 3),
    )
    return st.one_of(sums, sums, sums, cut, leaves)


@st.composite
def calls(draw):
    """A call of a listed model, mostly close to a change of its price."""
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
    """Names of models in the spelling of users and gateways."""
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
def models_and_urls(draw):
    """A model's name, and the URL of a provider that usually lists it."""
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


def sold_models():
    """Each provider with each model that it sells, fallbacks included."""
    for provider in PROVIDERS:
        for lender in LENDERS[provider.id]:
            for (list_id, model), edges in EDGES.items():
                if list_id == lender:
                    yield provider.id, model, edges


@pytest.mark.slow
def test_every_model_costs_the_same_at_every_edge():
    """Edges are sizes of tiers, days, times of day, and contexts with prices of their own."""
    for provider, model, edges in sold_models():
        for context in [None, *edges.contexts]:
            for at in [NOON, NOON.replace(year=2025), *edges.moments]:
                for size in edges.sizes or [300_000]:
                    call = (model, {"input_tokens": size, **COUNTS}, at, context)
                    expected = charge_by_library(*call, provider_id=provider)
                    assert expected == charge_by_catalog(*call, provider_id=provider), call


def test_missing_overlaps_cause_the_same_error():
    """Two kinds are counted, but not their overlap, although it has a price of its own."""
    refused = 0
    for provider, model, edges in sold_models():
        fewest = min((len(UNITS[name].traits) for name in edges.units), default=0)
        wide = [name for name in edges.units if len(UNITS[name].traits) <= fewest + 1]
        counts = {**dict.fromkeys(wide, 5), "input_tokens": 50, "output_tokens": 50}
        call = (model, counts, NOON, None)
        expected = charge_by_library(*call, provider_id=provider)
        assert expected == charge_by_catalog(*call, provider_id=provider), (provider, call)
        refused += expected is ValueError
    assert refused


def write_compactly(name):
    """A name with its date in the spelling of some gateways, without hyphens."""
    return re.sub(r"-(\d{4})-(\d\d)-(\d\d)", r"-\1\2\3", name)


@pytest.mark.slow
def test_every_name_means_the_same_model():
    """Each name in a provider's rules finds the same model, or none."""
    snapshot = genai_prices.data_snapshot.get_snapshot()
    for provider in PROVIDERS:
        price_list = CATALOG.price_lists[provider.id]
        for name in [*NAMES[provider.id], *map(write_compactly, NAMES[provider.id])]:
            expected = provider.find_model(name, all_providers=snapshot.providers)
            match = CATALOG.match_model(price_list, name)
            assert (expected and expected.id) == (match and match.model.id), (provider.id, name)


@drawn
@given(calls())
def test_calls_cost_the_same(call):
    """For any usage, time and context."""
    provider, *arguments = call
    expected = charge_by_library(*arguments, provider_id=provider)
    assert expected == charge_by_catalog(*arguments, provider_id=provider)


@st.composite
def addressed(draw):
    """Any name of a provider, the name of a model that it usually sells, and a URL."""
    provider = draw(st.sampled_from(IDS))
    price_list = CATALOG.find_price_list(provider)
    model, url = draw(models_and_urls())
    if price_list is not None:
        model = draw(st.one_of(names(NAMES[price_list.id] or EVERY_NAME), st.just(model)))
    return provider, model, draw(st.sampled_from([None, url]))


@pytest.mark.slow
@drawn
@given(addressed())
def test_names_find_the_same_by_provider(call):
    """A provider's id or alias finds the same price list and model, or none."""
    provider, model, url = call
    where = {"provider_id": provider, "provider_api_url": url}
    call = (model, {"input_tokens": 1000, "output_tokens": 10}, NOON, None)
    assert charge_by_library(*call, **where) == charge_by_catalog(*call, **where)


@pytest.mark.slow
@drawn
@given(models_and_urls())
def test_names_find_the_same_by_url(model_and_url):
    """A URL finds the same price list and model, or none."""
    model, url = model_and_url
    call = (model, {"input_tokens": 1000, "output_tokens": 10}, NOON, None)
    expected = charge_by_library(*call, provider_api_url=url)
    assert expected == charge_by_catalog(*call, provider_api_url=url)


KNOWN_BY_NAME = sorted(
    {name for provider in PROVIDERS if provider.model_match for name in NAMES[provider.id]}
)


@drawn
@given(names(KNOWN_BY_NAME))
def test_names_find_the_same_alone(model):
    """A model's name finds the same price list and model, or none."""
    call = (model, {"input_tokens": 1000, "output_tokens": 10}, NOON, None)
    assert charge_by_library(*call) == charge_by_catalog(*call)
