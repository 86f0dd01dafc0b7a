"""The price catalog of the package, and the class that reads it."""

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
MAX_PACKED_BYTES = 400 * 1024


def test_catalog_equals_the_installed_library():
    """`make catalog` would not change a byte."""
    script = ROOT / ".ci" / "catalog.py"
    version = load_catalog().version
    if not script.exists():
        pytest.skip("the script that makes the catalog is not in this copy of the source")
    try:
        installed = metadata.version("genai-prices")
    except metadata.PackageNotFoundError:
        pytest.skip("genai-prices is not installed")
    if installed != version:
        pytest.skip(f"genai-prices {installed} is installed, and the catalog is of {version}")
    spec = importlib.util.spec_from_file_location("catalog_script", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.build_catalog(load_catalog().day.isoformat()) == FILE.read_text(encoding="utf-8")


def test_catalog_names_its_origin():
    """The header has the source, its version and the day."""
    catalog = load_catalog()
    assert ("genai-prices", f"genai-prices {catalog.version}") == (catalog.source, str(catalog))
    assert date(2026, 11, 1) < catalog.day


def test_catalog_is_small():
    """In a wheel it is compressed."""
    assert len(zlib.compress(FILE.read_bytes())) < MAX_PACKED_BYTES


def test_only_the_needed_price_list_is_parsed():
    """The lines of other price lists stay bytes."""
    catalog = PriceCatalog(FILE.read_bytes())
    catalog.match_model(catalog.price_lists["openai"], "gpt-4o")
    assert ["openai"] == list(catalog._models)


def test_pricing_does_not_load_the_library():
    """Neither genai-prices nor its dependency pydantic is imported."""
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


@pytest.mark.parametrize("list_id", list(load_catalog().price_lists))
def test_every_price_list_can_be_read(list_id):
    """Its position in the file holds whole lines, and at least one model."""
    assert load_catalog().list_models(load_catalog().price_lists[list_id])


@pytest.mark.parametrize(
    ("time", "rate"), [("16:29:59", "2"), ("16:30:00", "1"), ("00:29:59", "1"), ("00:30:00", "2")]
)
def test_prices_may_hold_across_midnight(time, rate):
    """The start is included, the end is not."""
    night = [["16:30:00", "00:30:00"], {"input_mtok": "1"}]
    model = ModelPrices("m", "m", [[None, {"input_mtok": "2"}], night])
    at = datetime.fromisoformat(f"2026-11-23T{time}")
    assert {"input_mtok": rate} == model.prices_at(at, {})


@pytest.mark.parametrize(
    ("rule", "matching"),
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
def test_rules_match_names(rule, matching):
    """Each kind of rule has its operand."""
    head = {"source": "s", "version": "1", "date": "2026-01-01", "units": {}}
    line = json.dumps(["m", rule, {}]).encode() + b"\n"
    price_lists = [{"id": "p", "name": "P", "bytes": len(line), "url": "x"}]
    catalog = PriceCatalog(json.dumps({**head, "providers": price_lists}).encode() + b"\n" + line)
    names = ["a", "b", "ab", "bc", "c"]
    assert matching == [
        name for name in names if catalog.match_model(catalog.price_lists["p"], name)
    ]
