"""Reading of usage reports."""

from __future__ import annotations

import pytest

from lupis_instrument._llm.api.field_paths import parse_seconds
from lupis_instrument._llm.usage.report import read_root_counts, read_usage
from lupis_instrument._llm.usage.usage import Usage


@pytest.mark.parametrize("report", [{}, {"model": "m"}, {"prompt_tokens": None}, {"usage": {}}])
def test_report_without_counts_gives_none(report):
    """A report of no dialect, or without counts, is no usage."""
    assert read_usage(report) is None


@pytest.mark.parametrize(
    ("value", "count"),
    [(0, 0), (7, 7), (7.0, 7), (2**63 - 1, 2**63 - 1), (2**63, None), (-1, None), (1.5, None),
     (float("inf"), None), (float("nan"), None), (True, None), ("7", None), ([], None)],
)  # fmt: skip
def test_count_is_a_whole_number(value, count):
    """A count is a whole number from 0 to the largest signed 64-bit integer."""
    usage = read_usage({"prompt_tokens": value, "completion_tokens": 1})
    assert Usage(count, 1) == usage


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(5, 5.0), (8.25, 8.25), ("8.25", 8.25), ("0", 0.0), ("x", None), (-1, None), (True, None),
     (None, None), ([], None), ("inf", None), ("nan", None), (10**400, None)],
)  # fmt: skip
def test_seconds_are_a_number_or_a_text(value, seconds):
    """A duration is a number or its text, from 0 on and finite."""
    assert seconds == parse_seconds(value)


@pytest.mark.parametrize(
    ("report", "usage"),
    [
        # xAI excludes reasoning from completion_tokens.
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 18,
          "completion_tokens_details": {"reasoning_tokens": 3}},
         Usage(10, 8, reasoning_tokens=3, total_tokens=18)),
        ({"prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18,
          "completion_tokens_details": {"reasoning_tokens": 3}},
         Usage(10, 8, reasoning_tokens=3, total_tokens=18)),
        # Mistral excludes audio from prompt_tokens.
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 19,
          "prompt_tokens_details": {"audio_tokens": 4}},
         Usage(14, 5, total_tokens=19, input_audio_tokens=4)),
        # Anthropic's models behind other APIs exclude cached tokens.
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115,
          "cache_read_input_tokens": 60, "cache_creation_input_tokens": 40},
         Usage(110, 5, cache_read_tokens=60, cache_write_tokens=40, total_tokens=115)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details":
          {"cached_tokens": 60}}, Usage(70, 5, cache_read_tokens=60)),
        # A difference that is no part of the report is left alone.
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 99,
          "completion_tokens_details": {"reasoning_tokens": 3}},
         Usage(10, 5, reasoning_tokens=3, total_tokens=99,
               problems=("total tokens differ from their sum",))),
    ],
    ids=["xai", "openai", "mistral", "cached by total", "cached without total", "unexplained"],
)  # fmt: skip
def test_excluded_part_is_added(report, usage):
    """A part that the provider excluded is added if the provider's own total proves it."""
    assert usage == read_usage(report)


def test_extra_rounds_are_added():
    """Only the rounds that the outer report excludes are added to it."""
    rounds = [
        {"type": "compaction", "input_tokens": 100, "output_tokens": 40},
        {"type": "message", "input_tokens": 5, "output_tokens": 2},
        "no report",
    ]
    report = {"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 0}
    assert read_usage({**report, "iterations": rounds})[:2] == (105, 42)
    assert read_usage({**report, "iterations": None})[:2] == (5, 2)


def test_modalities_are_split():
    """Counts by modality give the text, audio and image parts of input, output and cache."""
    report = {
        "promptTokenCount": 40,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 20},
            {"modality": "AUDIO", "tokenCount": 12},
            {"modality": "IMAGE", "tokenCount": 8},
            {"modality": ["AUDIO"], "tokenCount": 1},
            {"modality": "AUDIO", "tokenCount": -1},
            None,
        ],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
    }
    usage = Usage(
        40,
        input_audio_tokens=12,
        input_image_tokens=8,
        input_text_tokens=20,
        cache_read_audio_tokens=4,
        problems=("unknown modality",),
    )
    assert usage == read_usage(report)


@pytest.mark.parametrize(
    ("details", "written"),
    [
        ([{"ttl": "5m", "inputTokens": 3}, {"ttl": "1h", "inputTokens": 4}], (3, 4)),
        ([{"ttl": "5m", "inputTokens": 3}, {"ttl": "5m", "inputTokens": 2}], (5, None)),
        ([], (None, None)),
        ({"ttl": "5m", "inputTokens": 3}, (None, None)),
    ],
)
def test_elements_of_a_list_are_selected(details, written):
    """Bedrock's cache writes are selected by their time to live and added up."""
    usage = read_usage({"inputTokens": 1, "cacheDetails": details})
    assert written == (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens)


def test_root_counts_keep_the_largest():
    """Of several parts of an answer, the largest count is kept."""
    counts = {}
    for part in ({"eval_count": 0, "prompt_eval_count": 5}, {"eval_count": 7}, {"eval_count": 2}):
        read_root_counts(part, counts)
    assert counts == {"eval_count": 7, "prompt_eval_count": 5}


def test_root_counts_are_added_over_a_list():
    """A count in a list of results is added over all results."""
    counts = {}
    read_root_counts({"results": [{"tokenCount": 3}, {"tokenCount": 4}, {}, None]}, counts)
    assert counts == {"results.tokenCount": 7}
