"""Parts of usage reports that are charged beside the tokens of the call's own model."""

from __future__ import annotations

import pytest

from lupis_instrument._llm.usage.report import read_usage
from lupis_instrument._llm.usage.usage import Round, Usage

CHAT = {"prompt_tokens": 10, "completion_tokens": 5}
MESSAGE = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 0}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("server_tool_use", {"web_search_requests": 2}),
        ("server_tool_use_details", {"web_search_requests": 2, "tool_calls_requested": 2}),
        ("server_side_tool_usage_details", {"web_search_calls": 2, "mcp_calls": 4}),
        ("server_side_tools_used", ["web_search", "web_search"]),
        ("tool_calls_details", {"search_web": {"invocation": 2}}),
        ("tool_usage", {"web_search": {"num_requests": 2}}),
        ("connectors", {"web_search": 2}),
        ("grounding_tool_count", [{"type": "google_search", "count": 2}]),
        ("serverToolUsage", {"webSearchRequests": 2}),
    ],
)
def test_searches_are_counted_in_any_form(member, value):
    """Each provider has its own form."""
    usage = read_usage({**CHAT, member: value})
    assert (2, ()) == (usage.web_searches, usage.problems)


@pytest.mark.parametrize(
    ("member", "value", "problem"),
    [
        ("server_tool_use", {"oracle_requests": 2}, "oracle requests not read"),
        ("grounding_tool_count", [{"type": "google_maps", "count": 1}], "google maps not read"),
        ("server_tool_use", {"my secret prompt!": 2}, "unknown part not read"),
        ("code_tool_details", {"runs": {"long": 1}}, "code tool details not read"),
        ("num_sources_used", 3, "no price for sources"),
        ("billed_units", {"images": 1}, "no price for images"),
        ("prompt_tokens_details", {"smell_tokens": 3}, "unknown modality"),
        ("completion_tokens_details", {"reasoning_tokens": 9}, "reasoning exceeds output"),
        ("total_tokens", 99, "total tokens differ from their sum"),
    ],
)
def test_unknown_part_is_a_problem(member, value, problem):
    """The message has the provider's word only if that is a word."""
    assert problem in read_usage({**CHAT, member: value}).problems


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("server_tool_use", None),
        ("server_tool_use", {"web_search_requests": 0, "oracle_requests": 0}),
        ("server_tool_use", {"web_fetch_requests": 7}),
        ("code_tool_details", {"runs": 0}),
        ("billed_units", {"input_tokens": 10}),
        ("prompt_tokens_details", {"text_tokens": 10, "smell_tokens": 0}),
        ("total_tokens", 15),
    ],
)
def test_part_without_a_charge_is_no_problem(member, value):
    """Zeros, tools without a charge, and parts that have the price of the whole."""
    assert () == read_usage({**CHAT, member: value}).problems


def read_rounds(*rows, model="claude-a-1"):
    """The rounds and problems of a report of Anthropic."""
    usage = read_usage({**MESSAGE, "iterations": list(rows)}, model=model)
    return usage.rounds, usage.problems


def test_round_of_an_advisor_is_added():
    """It has its own model, and the report does not include it."""
    row = {"type": "advisor_message", "model": "claude-b-1", "input_tokens": 3, "output_tokens": 2}
    assert ((Round("claude-b-1", Usage(3, 2)),), ()) == read_rounds(row)


@pytest.mark.parametrize("name", ["claude-a-1", "claude-a-1-20260901", "claude-a-1-latest", None])
def test_round_of_the_own_model_is_included(name):
    """The report includes it, whatever form its name has."""
    row = {"type": "fallback_message", "model": name, "input_tokens": 3, "output_tokens": 2}
    assert ((), ()) == read_rounds(row)


def test_declined_round_is_charged_after_output():
    """A model that declines before any output costs nothing."""
    row = {"type": "message", "model": "claude-b-1", "input_tokens": 3, "output_tokens": 2}
    assert 1 == len(read_rounds(row)[0])
    assert 0 == len(read_rounds({**row, "output_tokens": 0})[0])


@pytest.mark.parametrize("rows", [None, "x", [None, 1, "x"], [{}]])
def test_damaged_rounds_are_no_rounds(rows):
    """A round without a type is of an unknown kind."""
    assert () == read_usage({**MESSAGE, "iterations": rows}).rounds


@pytest.mark.parametrize("name", [None, -1, ["x"], "", "x" * 300])
def test_round_without_a_name_has_no_model(name):
    """It cannot be priced, and the cost is partial."""
    row = {"type": "advisor_message", "model": name, "input_tokens": 3, "output_tokens": 2}
    assert ((Round(None, Usage(3, 2)),), ()) == read_rounds(row)
