"""The lookup of prices in the catalog and in the user's prices file."""

import json
import re

import pytest

from lupis_instrument._cli.lupis.price_rows import (
    OWN_PROVIDER,
    UnknownPriceError,
    find_prices,
    list_models,
    list_providers,
)
from lupis_instrument._llm.pricing.catalog import load_catalog


@pytest.fixture(autouse=True)
def write_prices(tmp_path, monkeypatch):
    """Writes a prices file and points the settings to it; without a call there is none."""
    monkeypatch.delenv("LUPIS_PRICES_FILE", raising=False)

    def write(**content):
        path = tmp_path / "prices.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        monkeypatch.setenv("LUPIS_PRICES_FILE", str(path))

    return write


def test_providers_are_those_of_the_catalog():
    """Each row has the number of models instead of prices."""
    rows = list_providers()
    assert list(load_catalog().price_lists) == [row.provider for row in rows]
    assert all(re.fullmatch(r"1 model|\d+ models", row.model) and not row.prices for row in rows)
    assert "1 models" not in {row.model for row in rows}


def test_models_of_a_provider_have_its_id():
    """The provider may be given in any case."""
    assert {"openai"} == {row.provider for row in list_models("OpenAI")}


def test_rows_of_a_model_start_with_its_maker():
    """Providers that charge by another provider's price list come last."""
    providers = [row.provider for row in find_prices("gpt-4o")]
    assert ("openai", "azure") == (providers[0], providers[-1])


def test_provider_selects_its_rows():
    """Other providers of the model are left out."""
    assert {"openai"} == {row.provider for row in find_prices("gpt-4o", "openai")}


@pytest.mark.parametrize(
    ("model", "provider", "similar"),
    [("gpt-4oo", None, "gpt-4o"), ("gpt-4o", "opnai", "openai")],
)
def test_unknown_name_is_an_error_with_similar_names(model, provider, similar):
    """The user probably mistyped one of them."""
    with pytest.raises(UnknownPriceError, match=rf"the nearest are .*{similar}"):
        find_prices(model, provider)


def test_unknown_name_may_have_no_similar_one():
    """The message then ends with the name."""
    with pytest.raises(UnknownPriceError, match=r"'zzzzzzzz'$"):
        list_models("zzzzzzzz")


def test_own_prices_come_first(write_prices):
    """General prices are listed once, not for each provider."""
    write_prices(
        models={"gpt-4*": {"input_mtok": 1}},
        providers={"ollama": {"models": {"other*": {"input_mtok": 2}}}},
    )
    rows = [row for row in find_prices("gpt-4o") if row.provider == OWN_PROVIDER]
    assert [("", {"input_mtok": 1.0})] == [(row.when, row.prices) for row in rows]


def test_provider_may_be_known_to_the_prices_file_alone(write_prices):
    """Its row names the provider as a condition."""
    write_prices(providers={"ollama": {"models": {"llama9*": {"input_mtok": 1}}}})
    assert [(OWN_PROVIDER, "llama9:8b", "at ollama", {"input_mtok": 1.0})] == find_prices(
        "llama9:8b", "ollama"
    )
