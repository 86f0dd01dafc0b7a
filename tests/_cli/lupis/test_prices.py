"""`lupis prices`: what models cost, as the command says it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lupis_instrument._cli.lupis.commands import lupis
from lupis_instrument._llm.pricing.catalog import load_catalog

UNSET = {"LUPIS_PRICES_FILE": None}


@pytest.fixture
def ask():
    """Runs `lupis prices`; returns exit code and output."""

    def run(*arguments, **environ):
        done = CliRunner().invoke(lupis, ["prices", *arguments], env={**UNSET, **environ})
        return done.exit_code, done.output

    return run


def read_rows(ask, *arguments, **environ):
    """The rows of the JSON form."""
    code, output = ask(*arguments, "--format", "json", **environ)
    assert 0 == code, output
    return json.loads(output)["prices"]


def test_names_the_catalogue(ask):
    """Its version and day stand above the table."""
    _, output = ask("gpt-4o", "--provider", "openai")
    first = f"{load_catalog()} of {load_catalog().day}; USD per million tokens"
    assert first == output.splitlines()[0]


def test_model_has_a_row_for_each_set_of_prices(ask):
    """The standard ones first, then those of service tiers, with the day they start on."""
    rows = read_rows(ask, "gpt-4o-2024-08-06", "--provider", "openai")
    assert {"openai"} == {row["provider"] for row in rows}
    standard, priority = rows[0], rows[1]
    assert ("", 2.5, 10.0) == (
        standard["when"],
        standard["prices"]["input_mtok"],
        standard["prices"]["output_mtok"],
    )
    assert "service tier priority, from 2026-10-12" == priority["when"]


def test_tiers_are_told(ask):
    """In the table and in JSON, there in the form that LUPIS_PRICES_FILE has."""
    _, output = ask("gpt-5.4", "--provider", "openai")
    assert "2.5, 5 over 272k" in output
    prices = read_rows(ask, "gpt-5.4", "--provider", "openai")[0]["prices"]
    assert {"base": 2.5, "tiers": [[272000, 5.0]]} == prices["input_mtok"]


def test_maker_comes_first(ask):
    """Of all that have the model; those that have it at another's prices come last."""
    providers = [row["provider"] for row in read_rows(ask, "gpt-4o")]
    assert "openai" == providers[0]
    assert "azure" == providers[-1]


@pytest.mark.parametrize("name", ["gcp.vertex_ai", "google", "vertex"])
def test_provider_may_be_named_as_in_spans(ask, name):
    """Or as in the catalogue, or as people call it."""
    rows = read_rows(ask, "gemini-2.5-pro", "--provider", name)
    assert "google" == rows[0]["provider"]


def test_times_of_day_are_told(ask):
    """For prices that differ at night."""
    whens = {row["when"] for row in read_rows(ask, "--provider", "deepseek")}
    assert "daily 00:30-16:30 UTC" in whens


def test_without_a_model_lists_providers(ask):
    """All of them."""
    assert list(load_catalog().price_lists) == [row["provider"] for row in read_rows(ask)]


def test_provider_alone_lists_its_models(ask):
    """All of them, the free and those without a price too."""
    rows = read_rows(ask, "--provider", "cerebras")
    listings = load_catalog().list_models(load_catalog().price_lists["cerebras"])
    assert [listing.id for listing in listings] == list(dict.fromkeys(row["model"] for row in rows))
    assert "no price known" in ask("--provider", "cerebras")[1]


def test_unknown_model_ends_with_1(ask):
    """And names those that are near."""
    code, output = ask("gpt-4oo")
    assert 1 == code
    assert output.startswith("Error: no prices are known for the model 'gpt-4oo'; the nearest are")
    assert "gpt-4o" in output


def test_unknown_provider_ends_with_1(ask):
    """And names those that are near."""
    code, output = ask("gpt-4o", "--provider", "opnai")
    assert (1, True) == (code, "the nearest are openai" in output)


def test_own_prices_come_first(ask, tmp_path):
    """They are what calls are charged by."""
    path = tmp_path / "prices.json"
    path.write_text('{"models": {"gpt-4*": {"input_mtok": 1}}}', encoding="utf-8")
    rows = read_rows(ask, "gpt-4o", LUPIS_PRICES_FILE=str(path))
    assert ("LUPIS_PRICES_FILE", {"input_mtok": 1.0}) == (rows[0]["provider"], rows[0]["prices"])
    assert "openai" == rows[1]["provider"]


def test_own_prices_of_one_provider_are_found(ask, tmp_path):
    """With its name and without, though the catalogue knows neither it nor the model."""
    path = tmp_path / "prices.json"
    here = {"llama9*": {"input_mtok": 1, "output_mtok": 2}}
    path.write_text(json.dumps({"providers": {"ollama": {"models": here}}}))
    for asked in (("--provider", "ollama"), ()):
        rows = read_rows(ask, "llama9:8b", *asked, LUPIS_PRICES_FILE=str(path))
        assert [("LUPIS_PRICES_FILE", "at ollama", {"input_mtok": 1.0, "output_mtok": 2.0})] == [
            (row["provider"], row["when"], row["prices"]) for row in rows
        ]
    assert 1 == ask("llama9:8b", "--provider", "openai", LUPIS_PRICES_FILE=str(path))[0]
