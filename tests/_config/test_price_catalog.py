"""The catalog of prices in the data folder."""

from __future__ import annotations

import json
from datetime import date, timedelta
from stat import S_IMODE

import pytest

from lupis_instrument._config.price_catalog import read_catalog, store_catalog
from lupis_instrument._llm.pricing.catalog import load_catalog
from lupis_instrument._llm.pricing.catalog_source import convert_source
from lupis_instrument._process.data_folder import CATALOG_NAME

SOURCE = json.dumps(
    [{"id": "house", "name": "House", "api_pattern": "https://house", "models": []}]
).encode()


def make_content(days):
    """A catalog made some days after the shipped one."""
    day = load_catalog().day + timedelta(days=days)
    return convert_source(SOURCE, load_catalog(), day)


def test_newer_catalog_is_read(tmp_path):
    """It is stored whole, readable only by its owner."""
    path = store_catalog(str(tmp_path), make_content(1))
    assert 0o600 == S_IMODE(path.stat().st_mode)
    assert [path] == [*tmp_path.iterdir()]
    catalog = read_catalog(str(tmp_path))
    assert "house" in catalog.price_lists
    assert load_catalog().day + timedelta(days=1) == catalog.day


@pytest.mark.parametrize("days", [0, -30])
def test_catalog_that_is_not_newer_is_not_read(tmp_path, days):
    """A newer package has newer prices than an old download."""
    store_catalog(str(tmp_path), make_content(days))
    assert read_catalog(str(tmp_path)) is load_catalog()


def test_without_a_file_the_shipped_catalog_is_read(tmp_path, capfd):
    """Nothing is said about it."""
    assert read_catalog(str(tmp_path)) is load_catalog()
    assert ("", "") == capfd.readouterr()


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00\xff", make_content(9)[:-9]])
def test_damaged_catalog_is_reported_once(tmp_path, content, capfd):
    """The shipped prices are used, and one line says so."""
    path = store_catalog(str(tmp_path), content)
    assert read_catalog(str(tmp_path)) is load_catalog()
    out, err = capfd.readouterr()
    assert ("", 1) == (out, err.count("\n"))
    assert CATALOG_NAME in path.name
    assert "lupis prices --update" in err
    assert date.fromisoformat(str(load_catalog().day)).isoformat() in err
