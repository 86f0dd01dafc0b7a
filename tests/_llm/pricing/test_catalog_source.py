"""The catalog that is made from the data file of genai-prices."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone

import pytest

from lupis_instrument._llm.pricing.catalog import PriceCatalog, load_catalog
from lupis_instrument._llm.pricing.catalog_source import convert_source

DAY = date(2026, 12, 1)
AT = datetime(2026, 12, 1, tzinfo=timezone.utc)
MODEL = {
    "id": "New-1",
    "match": {"or": [{"equals": "New-1"}, {"and": [{"starts_with": "new-1-"}, {"regex": "a$"}]}]},
    "prices": {
        "input_mtok": 0.25,
        "output_mtok": {"base": 1, "tiers": [{"start": 200000, "price": 1.5}]},
        "cache_read_mtok": None,
    },
    "price_variants": [{"when": {"service_tier": "flex"}, "prices": {"input_mtok": 0.125}}],
}
DATED = {
    "id": "dated",
    "match": {"equals": "dated"},
    "prices": [
        {"prices": {"input_mtok": 3}},
        {"constraint": {"start_date": "2026-12-01"}, "prices": {"input_mtok": 4}},
        {
            "constraint": {"start_time": "00:30:00Z", "end_time": "16:30:00Z"},
            "prices": {"input_mtok": 2},
        },
    ],
}


def make_source(*models, **members):
    """The data file with one provider; the shipped catalog has the others."""
    provider = {"id": "openai", "name": "OpenAI", "api_pattern": r"https://api\.openai\.com"}
    return json.dumps([{**provider, "models": models, **members}]).encode()


def convert(*models, **members):
    """The catalog made from the data file with these models."""
    return PriceCatalog(convert_source(make_source(*models, **members), load_catalog(), DAY))


def read_model(catalog, name):
    """The entry of a model of the provider."""
    match = catalog.match_model(catalog.price_lists["openai"], name)
    return match.model if match else None


def test_model_has_prices_tiers_and_variants():
    """Prices keep all their digits."""
    model = read_model(convert(MODEL), "new-1")
    rates = {"input_mtok": "0.25", "output_mtok": ["1", [200000, "1.5"]]}
    assert rates == model.prices_at(AT, {})
    assert "0.125" == model.prices_at(AT, {"service_tier": "flex"})["input_mtok"]
    assert model == read_model(convert(MODEL), "NEW-1-A")


def test_prices_change_with_time():
    """A day and a time of day, in UTC, limit prices."""
    model = read_model(convert(DATED), "dated")
    days = [AT.replace(month=11, hour=20), AT.replace(hour=20), AT.replace(hour=1)]
    assert ["3", "4", "2"] == [model.prices_at(day, {})["input_mtok"] for day in days]


def test_free_and_unknown_prices_differ():
    """A model without prices is free only if its name or a comment says so."""
    free = {"id": "x:free", "match": {"equals": "x:free"}, "prices": {}}
    unknown = {"id": "y", "match": {"equals": "y"}, "prices": {}}
    catalog = convert(free, unknown)
    assert ["free", {}] == [read_model(catalog, name).prices for name in ("x:free", "y")]


def test_model_with_an_unknown_unit_is_left_out():
    """This version could not charge it, and a part of its price would be wrong."""
    new = {"id": "z", "match": {"equals": "z"}, "prices": {"input_mtok": 1, "smells_kcount": 2}}
    assert read_model(convert(new), "z") is None


def test_missing_providers_keep_their_shipped_prices():
    """The newer data has OpenAI alone; all others have the shipped prices."""
    shipped, catalog = load_catalog(), convert(MODEL)
    assert set(shipped.price_lists) == set(catalog.price_lists)
    for name in ("anthropic", "google"):
        lists = (shipped.price_lists[name], catalog.price_lists[name])
        assert lists[0]._replace(lines=slice(0)) == lists[1]._replace(lines=slice(0))
        assert shipped.list_models(lists[0]) == catalog.list_models(lists[1])
    assert ("genai-prices 2026-12-01", DAY) == (str(catalog), catalog.day)


def test_changed_content_has_another_checksum():
    """A catalog that was damaged on the disk is not read."""
    content = convert_source(make_source(MODEL), load_catalog(), DAY)
    with pytest.raises(ValueError, match="checksum"):
        PriceCatalog(content[:-2] + b"x\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"<html>", "Expecting value"),
        (b"[1]", "unexpected form"),
        (make_source({**MODEL, "prices": {"input_mtok": -1}}), "implausible price"),
        (make_source({**MODEL, "prices": {"input_mtok": 1e9}}), "implausible price"),
        (make_source({**MODEL, "prices": {"input_mtok": True}}), "implausible price"),
        (make_source({**MODEL, "match": {"sounds_like": "x"}}), "unexpected form"),
        (make_source({**MODEL, "match": {"regex": "("}}), "unexpected form"),
        (make_source(MODEL, api_pattern=None), "unexpected form"),
    ],
)
def test_other_data_is_refused(text, problem):
    """Another form, or prices that no model has, say how they differ."""
    with pytest.raises(ValueError, match=problem):
        convert_source(text, load_catalog(), DAY)


def test_data_without_most_models_is_refused():
    """A truncated file is no newer catalog."""
    shipped = load_catalog()
    empty = [
        {"id": row.id, "name": row.name, "api_pattern": row.url, "models": []}
        for row in shipped.price_lists.values()
    ]
    with pytest.raises(ValueError, match="only 0 models"):
        convert_source(json.dumps(empty).encode(), shipped, DAY)
