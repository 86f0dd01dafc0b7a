"""The table of settings: its rows, and the texts made from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lupis_instrument._config import settings
from lupis_instrument._config.settings import (
    BY_NAME,
    SETTINGS,
    format_settings_table,
    hide_password,
)
from lupis_instrument._config.value_types import InvalidValueError

SECRET = "s3cr3t-value"
ROOT = Path(settings.__file__).parents[2]

each_row = pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)


def test_import_loads_no_other_module():
    """Starts of `lupis-run` import the table, which loads modules of this package only."""
    program = (
        "import sys, __future__; before = set(sys.modules)\n"
        "import lupis_instrument._config.environment\n"
        "loaded = set(sys.modules) - before\n"
        "print(sorted(name for name in loaded if not name.startswith('lupis_instrument')))"
    )
    result = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert "[]" == result.stdout.strip()


def test_no_two_rows_share_a_variable():
    """A variable belongs to one setting, aliases included."""
    variables = [name for row in SETTINGS for name in (row.variable, *row.aliases)]
    assert len(set(variables)) == len(variables)


@each_row
def test_defaults_and_fallbacks_are_valid(row):
    """The checks of a row accept its own default and its fallback."""
    for value in (row.default, row.fallback):
        if value is not None:
            assert value == row.read_value(value)


@each_row
def test_defaults_can_be_written_as_text(row):
    """A default, written as a variable's text, reads as itself."""
    if row.default:
        assert row.default == row.read_value(row.value_type.format_value(row.default))


@each_row
def test_descriptions_are_short_sentences(row):
    """A description begins with a capital letter, ends with a full stop, and has few words."""
    assert row.description[0].isupper() or row.description[0] == "…"
    assert row.description.endswith((".", "…"))
    assert len(row.description.split()) <= 45


@each_row
def test_names_derive_from_the_variable(row):
    """`LUPIS_API_KEY` has the option `--api-key` and the field `api_key`; `--tag` takes one tag."""
    words = row.variable.split("_")[1:]
    assert row.option == {"tags": "--tag"}.get(row.name, "--" + "-".join(words).lower())
    assert row.name == "_".join(words).lower()


@each_row
def test_documentation_has_a_line_for_each_setting(row):
    """A line of the table shows variables, option, field, default and description."""
    lines = [line for line in format_settings_table().splitlines() if f"| `{row.variable}`" in line]
    assert 1 == len(lines)
    for part in (*row.aliases, row.option, row.default_text, row.description):
        assert part in lines[0]
    assert row.in_config == (f"`{row.name}`" in lines[0].split(" | ")[2])


def test_module_prints_the_documentation():
    """`python -m lupis_instrument._config.settings` prints the table."""
    result = subprocess.run(
        [sys.executable, "-m", "lupis_instrument._config.settings"],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert format_settings_table() == result.stdout.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://host/x@y", "http://host/x@y"),
        ("http://me@host/", "http://***@host/"),
        ("https://me:pw@host:1/x", "https://***@host:1/x"),
        ("a@b", "a@b"),
    ],
)
def test_password_in_a_url_is_hidden(text, shown):
    """User and password before the host are hidden, and nothing else."""
    assert shown == hide_password(text)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("api_key", SECRET, "***"),
        ("api_key", None, "not set"),
        ("otlp_endpoint", f"http://me:{SECRET}@host/", "http://***@host/"),
        ("instrument", (), "all"),
        ("enabled", False, "false"),
    ],
)
def test_shown_values_have_no_secrets(name, value, shown):
    """`show_value` hides secrets and passwords, and describes a default in words."""
    assert shown == BY_NAME[name].show_value(value)


@pytest.mark.parametrize("value", [1, None, b"true", "maybe"])
def test_values_given_in_code_are_checked(value):
    """A flag accepts a bool, or a word for one, and nothing else."""
    with pytest.raises(InvalidValueError):
        BY_NAME["enabled"].read_value(value)


def test_pattern_check_keeps_the_valid_items():
    """A pattern that does not compile leaves the other patterns valid."""
    with pytest.raises(InvalidValueError) as caught:
        BY_NAME["sensitive_data_patterns"].read_value(["good", "(bad", "fine"])
    assert ("good", "fine") == caught.value.valid_part


def test_check_of_a_single_value_has_no_valid_part(tmp_path):
    """A prices file that is missing leaves nothing that is valid."""
    with pytest.raises(InvalidValueError) as caught:
        BY_NAME["prices_file"].read_value(tmp_path / "none.json")
    assert not caught.value.valid_part


def test_error_shows_the_start_of_a_long_value():
    """A message stays one readable line."""
    error = InvalidValueError("expected less")
    message = BY_NAME["exporter"].describe_error("LUPIS_EXPORTER", "x" * 5000, error)
    assert len(message) < 250
    assert message.endswith("…': expected less")
