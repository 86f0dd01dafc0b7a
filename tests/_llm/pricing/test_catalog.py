"""The catalogue that is shipped, and what is read of it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zlib
from datetime import date, datetime
from importlib import metadata
from pathlib import Path

import pytest

from lupis_instrument._llm.pricing.catalog import ModelPrices, PriceCatalog, load_catalog

ROOT = Path(__file__).parents[3]
FILE = ROOT / "lupis_instrument" / "_llm" / "pricing" / "catalog.jsonl"
MOST_PACKED = 400 * 1024


def test_is_what_the_installed_library_gives():
    """Digit for digit: `make catalog` would change nothing."""
    script = ROOT / ".ci" / "catalog.py"
    version = load_catalog().version
    if not script.exists():
        pytest.skip("the script that makes the catalogue is not in this copy of the source")
    try:
        installed = metadata.version("genai-prices")
    except metadata.PackageNotFoundError:
        pytest.skip("genai-prices is not installed")
    if installed != version:
        pytest.skip(f"genai-prices {installed} is installed, and the catalogue is of {version}")
    spec = importlib.util.spec_from_file_location("catalog_script", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.build_catalog(load_catalog().day.isoformat()) == FILE.read_text(encoding="utf-8")


def test_says_where_it_is_from():
    """Source, version and day."""
    catalog = load_catalog()
    assert ("genai-prices", f"genai-prices {catalog.version}") == (catalog.source, str(catalog))
    assert date(2026, 11, 1) < catalog.day


def test_is_small():
    """Compressed, as it is in a wheel."""
    assert len(zlib.compress(FILE.read_bytes())) < MOST_PACKED


def test_reads_no_more_than_is_asked_for():
    """The listings of other sellers stay text."""
    catalog = PriceCatalog(FILE.read_bytes())
    catalog.match_model(catalog.price_lists["openai"], "gpt-4o")
    assert ["openai"] == list(catalog._models)


def test_pricing_does_not_load_the_library():
    """Nor what it would bring along."""
    program = (
        "import sys\n"
        "from lupis_instrument._llm.pricing.catalog import load_catalog\n"
        "catalog = load_catalog()\n"
        "assert catalog.match_model(catalog.price_lists['openai'], 'gpt-4o')\n"
        "print({'genai_prices', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "set()" == done.stdout.strip()


@pytest.mark.parametrize("seller", list(load_catalog().price_lists))
def test_every_price_list_can_be_read(seller):
    """Each seller's place in the file holds whole lines, and at least one model."""
    assert load_catalog().list_models(load_catalog().price_lists[seller])


@pytest.mark.parametrize(
    ("time", "rate"), [("16:29:59", "2"), ("16:30:00", "1"), ("00:29:59", "1"), ("00:30:00", "2")]
)
def test_times_of_day_may_go_past_midnight(time, rate):
    """The start belongs to them, the end doesn't."""
    night = [["16:30:00", "00:30:00"], {"input_mtok": "1"}]
    listing = ModelPrices("m", "m", [[None, {"input_mtok": "2"}], night])
    at = datetime.fromisoformat(f"2026-11-23T{time}")
    assert {"input_mtok": rate} == listing.prices_at(at, {})


@pytest.mark.parametrize(
    ("rule", "fitting"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ({"starts_with": "a"}, ["a", "ab"]),
        ({"ends_with": "b"}, ["b", "ab"]),
        ({"contains": "b"}, ["b", "ab", "bc"]),
        ({"regex": "^a?b$"}, ["b", "ab"]),
        ({"and": [{"contains": "a"}, {"contains": "b"}]}, ["ab"]),
    ],
)
def test_rules_say_which_names_are_meant(rule, fitting):
    """Each kind of them."""
    head = {"source": "s", "version": "1", "date": "2026-01-01", "units": {}}
    line = json.dumps(["m", rule, {}]).encode() + b"\n"
    price_lists = [{"id": "p", "name": "P", "bytes": len(line), "url": "x"}]
    catalog = PriceCatalog(json.dumps({**head, "providers": price_lists}).encode() + b"\n" + line)
    names = ["a", "b", "ab", "bc", "c"]
    assert fitting == [
        name for name in names if catalog.match_model(catalog.price_lists["p"], name)
    ]
