"""Redaction finds keys of documented forms in the texts of telemetry, and keeps harmless values."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import pytest

from lupis_instrument._redaction import Redactor

REDACTOR = Redactor("remove")


def load_bench():
    path = Path(__file__).parents[1] / "bench" / "redaction_recall.py"
    spec = importlib.util.spec_from_file_location("redaction_recall", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bench = load_bench()
KEYS = [("acme", shape) for shape in bench.KEYS]


@pytest.mark.parametrize("keys", [KEYS, bench.NAMED], ids=["known forms", "unknown forms"])
def test_key_with_a_name_is_found(keys):
    """A key of any form is redacted if it has the name of a secret."""
    *_, misses = bench.measure_keys(REDACTOR, random.Random(1), bench.NAMED_CONTEXTS, keys)
    assert misses == []


def test_key_in_free_text_is_found():
    """Of the keys with a known form, 97 of 100 are redacted in a text without names."""
    hidden, count, misses = bench.measure_keys(
        REDACTOR, random.Random(1), bench.FREE_CONTEXTS, KEYS
    )
    assert hidden >= 0.97 * count, misses


@pytest.mark.parametrize("line", bench.LINES)
def test_line_with_a_password_is_redacted(line):
    """A password or token is redacted in the usual notations of code and configuration."""
    source = random.Random(line)
    for _ in range(50):
        text = bench.draw_key(source, line)
        assert REDACTOR.redact_text(text) != text


def test_harmless_values_stay():
    """Of the ids, hashes, paths, times and counts of telemetry, 995 of 1000 stay as they are."""
    texts = bench.make_harmless(random.Random(1))
    changed = [text for text in texts if REDACTOR.redact_text(text) is not text]
    assert len(changed) <= 0.005 * len(texts), changed
