"""The file of LUPIS_PRICES_FILE, and the messages about one that is not valid."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest

from lupis_instrument import LupisConfig, LupisConfigError
from lupis_instrument._config.config import resolve_settings
from lupis_instrument._config.prices_file import read_prices

GOOD = '{"models": {"m": {"input_mtok": 0.10}}}'


@pytest.fixture
def write_prices(tmp_path):
    """A function that writes a prices file and returns its path as text."""

    def write(text):
        path = tmp_path / "prices.json"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_prices_are_read(write_prices):
    """A price keeps all its digits."""
    prices = read_prices(write_prices(GOOD)).find_prices("openai", ["m"])
    assert Decimal("0.10") == Decimal(prices["input_mtok"])


def test_byte_order_mark_is_skipped(write_prices):
    """Editors on Windows begin a file with a byte order mark."""
    assert read_prices(write_prices("\ufeff" + GOOD)).find_prices("openai", ["m"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n", "not JSON: line 2: Expecting property name enclosed in double quotes"),
        ("[]", "the document: expected a JSON object, not []"),
    ],
)
def test_invalid_file_is_described(write_prices, text, message):
    """The message is one line about the error."""
    with pytest.raises(ValueError) as caught:
        read_prices(write_prices(text))
    assert message == str(caught.value)


def test_missing_file_is_described(tmp_path):
    """The message has the system's words."""
    with pytest.raises(ValueError, match="can't be read: No such file or directory"):
        read_prices(str(tmp_path / "none.json"))


def test_configuration_accepts_a_path(write_prices, tmp_path):
    """A `Path` is stored as text, and `to_env` writes it."""
    path = write_prices(GOOD)
    config = LupisConfig("p", prices_file=tmp_path / "prices.json")
    assert (path, {"LUPIS_PRICES_FILE": path, "LUPIS_PROJECT_ID": "p"}) == (
        config.prices_file,
        config.to_env(),
    )


def test_configuration_refuses_a_missing_file():
    """The error names the field and the file."""
    with pytest.raises(LupisConfigError, match=r"prices_file='none\.json': can't be read"):
        LupisConfig("p", prices_file="none.json")


def test_program_runs_on_without_the_file():
    """A missing file is one problem, and the program runs on without own prices."""
    resolved = resolve_settings({"LUPIS_PRICES_FILE": "none.json"}, None, launched=True)
    assert None is resolved.config.prices_file
    message = "LUPIS_PRICES_FILE='none.json': can't be read: No such file or directory"
    assert [f"{message}; going on with not set"] == [str(problem) for problem in resolved.problems]


def test_launcher_exits_with_status_2():
    """`lupis-run` reports a missing file in one line and does not start the program."""
    command = [sys.executable, "-m", "lupis_instrument", "--prices-file", "none.json", "true"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (2, "") == (result.returncode, result.stdout)
    assert "--prices-file='none.json': can't be read" in result.stderr
    assert 1 == len(result.stderr.splitlines())
