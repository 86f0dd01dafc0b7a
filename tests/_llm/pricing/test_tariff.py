"""The arithmetic of prices: overlapping units, tiers and exact decimals.

`test_price_equality` compares the results with genai-prices; here a small tariff shows the rules.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lupis_instrument._llm.pricing.tariff import (
    CACHE,
    INPUT,
    OTHER,
    OUTPUT,
    Charge,
    InconsistentError,
    Tariff,
    UncountedError,
)

MILLION = 1_000_000
TARIFF = Tariff(
    {
        "input_tokens": ("input", MILLION, {"family": "tokens", "direction": "input"}),
        "output_tokens": ("output", MILLION, {"family": "tokens", "direction": "output"}),
        "cached_tokens": (
            "cached",
            MILLION,
            {"family": "tokens", "direction": "input", "token_type": "cache_read"},
        ),
        "audio_tokens": (
            "audio",
            MILLION,
            {"family": "tokens", "direction": "input", "modality": "audio"},
        ),
        "cached_audio_tokens": (
            "cached_audio",
            MILLION,
            {
                "family": "tokens",
                "direction": "input",
                "token_type": "cache_read",
                "modality": "audio",
            },
        ),
        "seconds": ("hour", 3600, {"family": "seconds"}),
        "requests": ("request", 1, {"family": "requests"}),
    }
)
# USD per million tokens.
PRICES = {"input": "2", "output": "10", "cached": "0.5"}


def charge_millions(prices, **millions):
    """The charge for counts in millions of tokens."""
    counts = {f"{name}_tokens": count * MILLION for name, count in millions.items()}
    return TARIFF.charge_counts(prices, counts)


@pytest.mark.parametrize(
    ("unit", "category"),
    [
        ("input_tokens", INPUT),
        ("output_tokens", OUTPUT),
        ("cached_tokens", CACHE),
        ("cached_audio_tokens", CACHE),
        ("seconds", OTHER),
        ("requests", OTHER),
    ],
)
def test_each_unit_has_a_category(unit, category):
    """The category is the figure that includes the unit's cost."""
    assert category == TARIFF.units[unit].category


def test_each_figure_has_its_units():
    """Cached tokens are a part of the input, and a figure of their own."""
    expected = Charge(
        input=Decimal("14.5"),
        output=Decimal(20),
        cache=Decimal("0.5"),
        uncached=Decimal(14),
        total=Decimal("34.5"),
    )
    assert expected == charge_millions(PRICES, input=8, cached=1, output=2)


def test_other_units_count_as_uncached():
    """Requests and seconds are in no direction, but somebody has to pay them."""
    charge = TARIFF.charge_counts({"hour": "3.60", "request": "0.01"}, {"seconds": 10})
    assert (Decimal("0.02"), Decimal("0.02"), 0) == (charge.uncached, charge.total, charge.input)


def test_a_request_is_counted_without_being_reported():
    """Every call is one request."""
    assert Decimal("0.01") == TARIFF.charge_counts({"request": "0.01"}, {}).total


def test_a_unit_without_a_price_costs_as_much_as_its_container():
    """Cached input without a price of its own is input."""
    assert Decimal(16) == charge_millions({"input": "2"}, input=8, cached=1).total


def test_a_part_is_not_charged_twice():
    """8 of input are 4 of text, 2 cached, 1 of audio and 1 of cached audio."""
    prices = {"input": "1000", "cached": "100", "audio": "10", "cached_audio": "1"}
    charge = charge_millions(prices, input=8, cached=3, audio=2, cached_audio=1)
    assert 4 * 1000 + 2 * 100 + 1 * 10 + 1 * 1 == charge.total


def test_parts_larger_than_their_whole_are_refused():
    """The report contradicts itself, so no charge would be right."""
    with pytest.raises(InconsistentError, match="the parts of input_tokens exceed it"):
        charge_millions(PRICES, input=1, cached=2)


@pytest.mark.parametrize(
    ("prices", "counts", "unit"),
    [
        (PRICES, {"cached": 1}, "input_tokens"),
        (
            {"input": "1", "cached": "1", "audio": "1", "cached_audio": "1"},
            {"input": 8, "cached": 3, "audio": 2},
            "cached_audio_tokens",
        ),
    ],
    ids=["container", "intersection"],
)
def test_an_implied_count_must_be_reported(prices, counts, unit):
    """Cached tokens imply input; cached and audio tokens imply a count of both together."""
    with pytest.raises(UncountedError) as caught:
        charge_millions(prices, **counts)
    assert (unit, f"no count of {unit}") == (caught.value.unit, str(caught.value))


def test_a_count_of_zero_implies_nothing():
    """A provider that reports 0 cached tokens may leave out the input."""
    assert 0 == charge_millions(PRICES, cached=0).total


@pytest.mark.parametrize(
    ("tokens", "rate"),
    [(0, 1), (200_000, 1), (200_001, 2), (1_000_000, 2), (1_000_001, 3)],
)
def test_the_highest_tier_is_the_rate_of_all_tokens(tokens, rate):
    """A tier begins above its threshold; the size of the input selects it for the output too."""
    tiers = ["1", [200_000, "2"], [1_000_000, "3"]]
    counts = {"input_tokens": tokens, "output_tokens": MILLION}
    charge = TARIFF.charge_counts({"input": tiers, "output": tiers}, counts)
    assert (Decimal(rate * tokens) / MILLION, rate) == (charge.input, charge.output)


@pytest.mark.parametrize(
    ("prices", "missing"),
    [
        (["input", "output"], []),
        (["input", "cached"], []),
        (["hour"], []),
        (["cached"], ["input"]),
        (["input", "cached", "audio"], ["cached_audio"]),
        (["cached_audio"], ["input", "cached", "audio"]),
    ],
)
def test_missing_prices_are_found(prices, missing):
    """A part needs the price of its container, and two parts the price of their intersection."""
    assert missing == TARIFF.find_missing_prices(prices)


def test_the_decimal_context_of_the_program_does_not_matter():
    """A program may compute with two digits."""
    with localcontext() as context:
        context.prec = 2
        charge = TARIFF.charge_counts(PRICES, {"input_tokens": 1_234_560})
    assert Decimal("2.46912") == charge.total


def test_a_float_counts_with_the_digits_that_python_prints():
    """0.1 seconds are not 0.1000000000000000055 seconds."""
    assert Decimal("0.1") == TARIFF.charge_counts({"hour": "3600"}, {"seconds": 0.1}).total


amounts = st.decimals(0, 100, places=4).map(str)
tokens = st.integers(0, 10**9)


@given(
    st.fixed_dictionaries({"input": amounts, "output": amounts, "cached": amounts}),
    tokens,
    tokens,
    tokens,
)
def test_the_parts_add_up_to_the_total(prices, uncached, cached, output):
    """Exactly, for all counts and rates."""
    counts = {
        "input_tokens": uncached + cached,
        "cached_tokens": cached,
        "output_tokens": output,
    }
    charge = TARIFF.charge_counts(prices, counts)
    assert charge.total == charge.uncached + charge.cache + charge.output
    assert charge.input == charge.uncached + charge.cache
    assert charge.cache == Decimal(prices["cached"]) * cached / MILLION


@given(st.dictionaries(st.sampled_from(["input", "output"]), amounts), tokens, tokens)
def test_more_tokens_never_cost_less(prices, tokens, more):
    """Without tiers, the cost grows with the count."""
    cheap, dear = (
        TARIFF.charge_counts(prices, {"input_tokens": count, "output_tokens": count})
        for count in (tokens, tokens + more)
    )
    assert cheap.total <= dear.total
