"""`lupis prices`: the prices of models on the screen."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lupis_instrument._cli.lupis.commands import lupis
from lupis_instrument._llm.pricing.catalog import load_catalog

UNSET = {"LUPIS_PRICES_FILE": None}


@pytest.fixture
def run_prices():
    """Runs `lupis prices`; returns exit code and output."""

    def run(*arguments, **environ):
        done = CliRunner().invoke(lupis, ["prices", *arguments], env={**UNSET, **environ})
        return done.exit_code, done.output

    return run


def read_rows(run_prices, *arguments, **environ):
    """Return the rows of the JSON output."""
    code, output = run_prices(*arguments, "--format", "json", **environ)
    assert 0 == code, output
    return json.loads(output)["prices"]


def test_first_line_names_the_catalog(run_prices):
    """It has the version and the day of the catalog."""
    _, output = run_prices("gpt-4o", "--provider", "openai")
    first = f"{load_catalog()} of {load_catalog().day}; USD per million tokens"
    assert first == output.splitlines()[0]


def test_model_has_a_row_for_each_set_of_prices(run_prices):
    """Standard prices come first, then the prices of service tiers, with their first day."""
    rows = read_rows(run_prices, "gpt-4o-2024-08-06", "--provider", "openai")
    assert {"openai"} == {row["provider"] for row in rows}
    standard, priority = rows[0], rows[1]
    assert ("", 2.5, 10.0) == (
        standard["when"],
        standard["prices"]["input_mtok"],
        standard["prices"]["output_mtok"],
    )
    assert "service tier priority, from 2026-10-12" == priority["when"]


def test_tiers_are_shown(run_prices):
    """JSON has them in the form of LUPIS_PRICES_FILE."""
    _, output = run_prices("gpt-5.4", "--provider", "openai")
    assert "2.5, 5 over 272k" in output
    prices = read_rows(run_prices, "gpt-5.4", "--provider", "openai")[0]["prices"]
    assert {"base": 2.5, "tiers": [[272000, 5.0]]} == prices["input_mtok"]


def test_maker_comes_first(run_prices):
    """Providers that charge by another provider's price list come last."""
    providers = [row["provider"] for row in read_rows(run_prices, "gpt-4o")]
    assert "openai" == providers[0]
    assert "azure" == providers[-1]


@pytest.mark.parametrize("name", ["gcp.vertex_ai", "google", "vertex"])
def test_provider_may_be_named_as_in_spans(run_prices, name):
    """The catalog's name and the everyday name are valid too."""
    rows = read_rows(run_prices, "gemini-2.5-pro", "--provider", name)
    assert "google" == rows[0]["provider"]


def test_times_of_day_are_shown(run_prices):
    """Some prices are lower at night."""
    whens = {row["when"] for row in read_rows(run_prices, "--provider", "deepseek")}
    assert "daily 00:30-16:30 UTC" in whens


def test_without_a_model_lists_providers(run_prices):
    """Every provider of the catalog is listed."""
    assert list(load_catalog().price_lists) == [row["provider"] for row in read_rows(run_prices)]


def test_provider_alone_lists_its_models(run_prices):
    """Free models and models without a price are listed too."""
    rows = read_rows(run_prices, "--provider", "cerebras")
    listings = load_catalog().list_models(load_catalog().price_lists["cerebras"])
    assert [listing.id for listing in listings] == list(dict.fromkeys(row["model"] for row in rows))
    assert "no price known" in run_prices("--provider", "cerebras")[1]


def test_unknown_model_is_an_error_with_suggestions(run_prices):
    """The exit status is 1."""
    code, output = run_prices("gpt-4oo")
    assert 1 == code
    assert output.startswith("Error: no prices are known for the model 'gpt-4oo'; the nearest are")
    assert "gpt-4o" in output


def test_unknown_provider_is_an_error_with_suggestions(run_prices):
    """The exit status is 1."""
    code, output = run_prices("gpt-4o", "--provider", "opnai")
    assert (1, True) == (code, "the nearest are openai" in output)


def test_own_prices_come_first(run_prices, tmp_path):
    """The cost of calls is computed from them."""
    path = tmp_path / "prices.json"
    path.write_text('{"models": {"gpt-4*": {"input_mtok": 1}}}', encoding="utf-8")
    rows = read_rows(run_prices, "gpt-4o", LUPIS_PRICES_FILE=str(path))
    assert ("LUPIS_PRICES_FILE", {"input_mtok": 1.0}) == (rows[0]["provider"], rows[0]["prices"])
    assert "openai" == rows[1]["provider"]


def test_own_prices_of_one_provider_are_found(run_prices, tmp_path):
    """The catalog need know neither the provider nor the model."""
    path = tmp_path / "prices.json"
    models = {"llama9*": {"input_mtok": 1, "output_mtok": 2}}
    path.write_text(json.dumps({"providers": {"ollama": {"models": models}}}))
    for options in (("--provider", "ollama"), ()):
        rows = read_rows(run_prices, "llama9:8b", *options, LUPIS_PRICES_FILE=str(path))
        assert [("LUPIS_PRICES_FILE", "at ollama", {"input_mtok": 1.0, "output_mtok": 2.0})] == [
            (row["provider"], row["when"], row["prices"]) for row in rows
        ]
    assert 1 == run_prices("llama9:8b", "--provider", "openai", LUPIS_PRICES_FILE=str(path))[0]
