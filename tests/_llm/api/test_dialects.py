"""Table of the dialects in which providers report usage."""

from __future__ import annotations

from collections import Counter

import pytest

from lupis_instrument._llm.api.dialects import DIALECTS, ROOT_COUNTS
from lupis_instrument._llm.usage.report import read_usage
from lupis_instrument._llm.usage.usage import Usage

BY_NAME = {dialect.name: dialect for dialect in DIALECTS}
PREFIXES = {prefix for dialect in DIALECTS for prefix in dialect.modalities.values()}


@pytest.mark.parametrize("name", BY_NAME)
def test_fields_are_fields_of_usage(name):
    """A row names only fields that `Usage` has."""
    dialect = BY_NAME[name]
    fields = {*dialect.fields, *dialect.input_excludes, *dialect.output_excludes}
    assert fields <= set(Usage._fields)


@pytest.mark.parametrize("name", BY_NAME)
def test_row_is_reachable(name):
    """A row's signature has a member that no earlier row claims."""
    earlier = DIALECTS[: DIALECTS.index(BY_NAME[name])]
    claimed = {member for dialect in earlier for member in dialect.signature}
    assert set(BY_NAME[name].signature) - claimed


def test_names_are_unique():
    """Each dialect has its own name."""
    assert {1} == set(Counter(dialect.name for dialect in DIALECTS).values())


@pytest.mark.parametrize("prefix", sorted(PREFIXES))
def test_modality_prefix_makes_a_field(prefix):
    """A prefix of modalities and the word audio make a field of `Usage`."""
    assert f"{prefix}_audio_tokens" in Usage._fields


def test_root_counts_are_read_by_a_dialect():
    """Each count that is a member of an answer belongs to the fields of some dialect."""
    names = {".".join(path) for path in ROOT_COUNTS}
    read = {
        ".".join(path)
        for dialect in DIALECTS
        for paths in dialect.fields.values()
        for path in paths
    }
    assert names <= read


@pytest.mark.parametrize(
    ("report", "usage"),
    [
        ({"input_tokens": 4, "cache_read_input_tokens": 6}, Usage(10, cache_read_tokens=6)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 6}},
         Usage(10, cache_read_tokens=6)),
        ({"inputTokens": 4, "cacheReadInputTokens": 6}, Usage(10, cache_read_tokens=6)),
        ({"promptTokenCount": 10, "cachedContentTokenCount": 6}, Usage(10, cache_read_tokens=6)),
        ({"candidatesTokenCount": 3, "thoughtsTokenCount": 4},
         Usage(None, 7, reasoning_tokens=4)),
        ({"completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 4}},
         Usage(None, 7, reasoning_tokens=4)),
    ],
    ids=["anthropic", "openai", "bedrock", "gemini", "gemini reasoning", "openai reasoning"],
)  # fmt: skip
def test_dialects_get_one_meaning(report, usage):
    """Input includes cached tokens and output includes reasoning, whatever the dialect includes."""
    assert usage == read_usage(report)
