"""Answers that come with a later request than the one that asked for them."""

import pytest

from lupis_instrument._llm.api.endpoints import identify_endpoint
from lupis_instrument._llm.recent import MAX_ENTRIES
from lupis_instrument._llm.usage.background_jobs import BackgroundJobs
from lupis_instrument._llm.usage.report import Usage

OPENAI = "https://api.openai.com/v1"
RUNS = f"{OPENAI}/threads/thread_1/runs"
REPLICATE = "https://api.replicate.com/v1"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/interactions"
COMPLETED = (
    b'data: {"type": "response.completed", "response": {"id": "x", "status": "completed",'
    b' "usage": {"input_tokens": 5, "output_tokens": 6}}}\n\n'
)
# What asks, what its answer says, where the answer is, and what that says.
APIS = {
    "responses": (
        f"{OPENAI}/responses",
        "queued",
        f"{OPENAI}/responses/x",
        {"status": "completed", "usage": {"input_tokens": 5, "output_tokens": 6}},
    ),
    "responses, as a stream": (
        f"{OPENAI}/responses",
        "in_progress",
        f"{OPENAI}/responses/x?stream=true",
        COMPLETED,
    ),
    "runs": (
        RUNS,
        "queued",
        f"{RUNS}/x",
        {"status": "completed", "usage": {"prompt_tokens": 5, "completion_tokens": 6}},
    ),
    "interactions": (
        GEMINI,
        "in_progress",
        f"{GEMINI}/x",
        {"status": "completed", "usage": {"total_input_tokens": 5, "total_output_tokens": 6}},
    ),
    "predictions": (
        f"{REPLICATE}/models/meta/llama/predictions",
        "starting",
        f"{REPLICATE}/predictions/x",
        {"status": "succeeded", "metrics": {"input_token_count": 5, "output_token_count": 6}},
    ),
}


@pytest.fixture
def settle(read):
    """Has a call settled; gives the usage that counts for it, as input and output."""
    pending = BackgroundJobs()

    def settle(url, body, method="GET"):
        host, _, path = url.partition("://")[2].partition("/")
        endpoint = identify_endpoint(method, host, None, f"/{path}")
        body = {"id": "x", **body} if isinstance(body, dict) else body
        usage = pending.assign_usage(endpoint, read(body, url=url, method=method)).usage
        return usage and usage[:2]

    return settle


@pytest.mark.parametrize("api", APIS)
def test_it_counts_once_where_it_is_first_read(settle, api):
    """Not while it is awaited, nor when it is read again."""
    url, state, there, answer = APIS[api]
    assert [None, None, (5, 6), None] == [
        settle(url, {"status": state}, "POST"),
        settle(there, {"status": state}),
        settle(there, answer),
        settle(there, answer),
    ]


@pytest.mark.parametrize("api", APIS)
def test_what_was_not_asked_for_here_is_no_use(settle, api):
    """It was counted where it was."""
    _, _, there, answer = APIS[api]
    assert None is settle(there, answer)


def test_what_came_at_once_is_no_use_again(settle):
    """A stored response."""
    url, _, there, answer = APIS["responses"]
    assert [(5, 6), None] == [settle(url, answer, "POST"), settle(there, answer)]


def test_a_run_that_waits_for_tools_counts_at_its_end(settle):
    """What is submitted goes on with it."""
    _, _, there, answer = APIS["runs"]
    assert [None, None, None, (5, 6)] == [
        settle(RUNS, {"status": "queued"}, "POST"),
        settle(there, {"status": "requires_action"}),
        settle(f"{there}/submit_tool_outputs", {"status": "queued"}, "POST"),
        settle(there, answer),
    ]


def test_a_run_that_ends_with_what_is_submitted_counts_there(settle):
    """As its stream tells, and no more when it is read."""
    _, _, there, answer = APIS["runs"]
    assert [None, (5, 6), None] == [
        settle(RUNS, {"status": "queued"}, "POST"),
        settle(f"{there}/submit_tool_outputs", answer, "POST"),
        settle(there, answer),
    ]


def test_another_providers_ids_are_others(settle):
    """They may be the same."""
    url, state, *_ = APIS["predictions"]
    _, _, there, answer = APIS["responses"]
    settle(url, {"status": state}, "POST")
    assert None is settle(there, answer)


def test_memory_is_bounded(read):
    """Nobody may ever ask for an answer."""
    pending = BackgroundJobs()
    endpoint = identify_endpoint("POST", "api.openai.com", None, "/v1/responses")
    facts = read({"id": "x", "status": "queued"}, url=f"{OPENAI}/responses")
    for number in range(MAX_ENTRIES + 10):
        pending.assign_usage(endpoint, facts._replace(response_id=str(number)))
    later = identify_endpoint("GET", "api.openai.com", None, "/v1/responses/0")
    there = facts._replace(waiting=False, stored_usage=Usage(1))
    kept = [pending.assign_usage(later, there._replace(response_id=each)) for each in ("0", "10")]
    assert [None, Usage(1)] == [each.usage for each in kept]
