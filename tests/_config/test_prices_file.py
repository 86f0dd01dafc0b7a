"""LUPIS_PRICES_FILE: the file, and what becomes of a wrong one."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest

from lupis_instrument import LupisConfig, LupisConfigError
from lupis_instrument._config import prices_file as _prices_file
from lupis_instrument._config.config import resolve

GOOD = '{"models": {"m": {"input_mtok": 0.10}}}'


@pytest.fixture
def file(tmp_path):
    """Writes a file of prices and returns its path as text."""

    def write(text):
        path = tmp_path / "prices.json"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_is_read(file):
    """Prices as they are written."""
    prices = _prices_file.read(file(GOOD)).find("openai", ["m"])
    assert Decimal("0.10") == Decimal(prices["input_mtok"])


def test_may_begin_with_a_byte_order_mark(file):
    """Windows' editors write one."""
    assert _prices_file.read(file("\ufeff" + GOOD)).find("openai", ["m"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n", "not JSON: line 2: Expecting property name enclosed in double quotes"),
        ("[]", "the document: expected a JSON object, not []"),
    ],
)
def test_broken_file_is_described(file, text, message):
    """In one line."""
    with pytest.raises(ValueError) as caught:
        _prices_file.read(file(text))
    assert message == str(caught.value)


def test_missing_file_is_described(tmp_path):
    """As the system does."""
    with pytest.raises(ValueError, match="can't be read: No such file or directory"):
        _prices_file.read(str(tmp_path / "none.json"))


def test_configuration_takes_a_path(file, tmp_path):
    """Text or a `Path`."""
    path = file(GOOD)
    config = LupisConfig("p", prices_file=tmp_path / "prices.json")
    assert (path, {"LUPIS_PRICES_FILE": path, "LUPIS_PROJECT_ID": "p"}) == (
        config.prices_file,
        config.to_env(),
    )


def test_configuration_refuses_a_missing_file():
    """At once, with its name."""
    with pytest.raises(LupisConfigError, match=r"prices_file='none\.json': can't be read"):
        LupisConfig("p", prices_file="none.json")


def test_program_runs_on_without():
    """A wrong variable is one problem, and no prices of one's own."""
    resolved = resolve({"LUPIS_PRICES_FILE": "none.json"}, None, launched=True)
    assert None is resolved.config.prices_file
    message = "LUPIS_PRICES_FILE='none.json': can't be read: No such file or directory"
    assert [f"{message}; going on with not set"] == [str(each) for each in resolved.problems]


def test_launcher_ends_with_2():
    """Before the program starts, in one line."""
    command = [sys.executable, "-m", "lupis_instrument", "--prices-file", "none.json", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (2, "") == (done.returncode, done.stdout)
    assert "--prices-file='none.json': can't be read" in done.stderr
    assert 1 == len(done.stderr.splitlines())
