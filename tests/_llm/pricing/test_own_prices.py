"""The user's own prices: the form of the file, and the choice of a model's prices."""

from __future__ import annotations

from decimal import Decimal

import pytest

from lupis_instrument._llm.pricing.own_prices import OwnPrices

CHEAP = {"input_mtok": 1}
DEAR = {"input_mtok": 9}


def find_prices(document, provider, *models):
    """The prices of a model in a document."""
    return OwnPrices(document).find_prices(provider, models)


def test_exact_names_come_before_globs():
    """In any order, and in upper or lower case."""
    document = {"models": {"my-*": DEAR, "My-Model": CHEAP}}
    assert {"input_mtok": "1"} == find_prices(document, "openai", "MY-MODEL")
    assert {"input_mtok": "9"} == find_prices(document, "openai", "my-other")


def test_first_glob_counts():
    """Globs are tried in the order of the file."""
    assert {"input_mtok": "9"} == find_prices({"models": {"a*": DEAR, "*": CHEAP}}, "openai", "ab")


def test_entries_of_a_provider_come_before_common_entries():
    """Even a glob comes before an exact name. The provider may have an alias."""
    document = {"models": {"m": DEAR}, "providers": {"mistral": {"models": {"*": CHEAP}}}}
    assert {"input_mtok": "1"} == find_prices(document, "mistral_ai", "m")
    assert {"input_mtok": "9"} == find_prices(document, "openai", "m")


def test_names_are_tried_in_order():
    """The response's model comes before the request's."""
    document = {"models": {"requested": DEAR, "answered": CHEAP}}
    assert {"input_mtok": "1"} == find_prices(document, "openai", "answered", "requested")


def test_other_models_are_left_to_the_catalog():
    """A model without an entry has no prices; it is not free."""
    assert None is find_prices({"models": {"m": CHEAP}}, "openai", "other")


def test_numbers_keep_their_digits():
    """They are kept as written, whichever type the JSON parser has given them."""
    prices = {"input_mtok": Decimal("0.10"), "output_mtok": 0.3, "cache_read_mtok": 1}
    expected = {"input_mtok": "0.10", "output_mtok": "0.3", "cache_read_mtok": "1"}
    assert expected == find_prices({"models": {"m": prices}}, "openai", "m")


def test_tiers_are_sorted():
    """By their thresholds in tokens."""
    prices = {"input_mtok": {"base": 1, "tiers": [[20, 3], [10, 2]]}}
    expected = {"input_mtok": ["1", [10, "2"], [20, "3"]]}
    assert expected == find_prices({"models": {"m": prices}}, "openai", "m")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "the document: expected a JSON object, not []"),
        ({"model": {}}, "the document: unknown member 'model'; expected models or providers"),
        ({"models": {"m": 1}}, "models.m: expected a JSON object, not 1"),
        ({"models": {"m": {}}}, "models.m: expected prices such as input_mtok and output_mtok"),
        (
            {"models": {"m": {"input_mtoks": 1}}},
            "models.m: unknown price 'input_mtoks'; did you mean 'input_mtok'?",
        ),
        (
            {"models": {"m": {"input_mtok": "1"}}},
            "models.m.input_mtok: expected USD, a number not below 0, not '1'",
        ),
        (
            {"models": {"m": {"input_mtok": -1}}},
            "models.m.input_mtok: expected USD, a number not below 0, not -1",
        ),
        (
            {"models": {"m": {"input_mtok": float("nan")}}},
            "models.m.input_mtok: expected USD, a number not below 0, not nan",
        ),
        (
            {"models": {"m": {"input_mtok": True}}},
            "models.m.input_mtok: expected USD, a number not below 0, not True",
        ),
        (
            {"models": {"m": {"input_mtok": {"base": 1, "tiers": [[1]]}}}},
            "models.m.input_mtok.tiers: expected [[tokens, price], …], not [[1]]",
        ),
        (
            {"models": {"m": {"cache_read_mtok": 1}}},
            "models.m: missing beside cache_read_mtok: input_mtok",
        ),
        (
            {"models": {"m": {"input_mtok": 1, "cache_read_mtok": 1, "input_image_mtok": 1}}},
            "models.m: missing beside input_mtok, cache_read_mtok, input_image_mtok: cache_image_read_mtok",
        ),
        (
            {"providers": {"p": {"m": {}}}},
            "providers.p: unknown member 'm'; expected models",
        ),
    ],
)
def test_wrong_documents_are_refused(document, message):
    """One line names the member, the valid values and a similar valid name."""
    with pytest.raises(ValueError) as caught:
        OwnPrices(document)
    assert message == str(caught.value)
