"""Usage of answers that a later request brings."""

import pytest

from lupis_instrument._llm.api.endpoints import identify_endpoint
from lupis_instrument._llm.usage.background_jobs import MAX_JOBS, BackgroundJobs
from lupis_instrument._llm.usage.usage import Usage

OPENAI = "https://api.openai.com/v1"
RUNS = f"{OPENAI}/threads/thread_1/runs"
REPLICATE = "https://api.replicate.com/v1"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/interactions"
COMPLETED = (
    b'data: {"type": "response.completed", "response": {"id": "x", "status": "completed",'
    b' "usage": {"input_tokens": 5, "output_tokens": 6}}}\n\n'
)
# API: (URL that starts the job, its first state, URL of the answer, the answer)
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
def count_usage(read):
    """A function that returns the input and output that count for a call."""
    jobs = BackgroundJobs()

    def count_usage(url, body, method="GET"):
        host, _, path = url.partition("://")[2].partition("/")
        endpoint = identify_endpoint(method, host, None, f"/{path}")
        body = {"id": "x", **body} if isinstance(body, dict) else body
        usage = jobs.assign_usage(endpoint, read(body, url=url, method=method)).usage
        return usage and usage[:2]

    return count_usage


@pytest.mark.parametrize("api", APIS)
def test_usage_counts_once_when_the_answer_is_first_read(count_usage, api):
    """Usage doesn't count while the answer is awaited, nor when it is read again."""
    url, state, answer_url, answer = APIS[api]
    assert [None, None, (5, 6), None] == [
        count_usage(url, {"status": state}, "POST"),
        count_usage(answer_url, {"status": state}),
        count_usage(answer_url, answer),
        count_usage(answer_url, answer),
    ]


@pytest.mark.parametrize("api", APIS)
def test_answer_to_another_process_does_not_count(count_usage, api):
    """An answer that another process requested counted there."""
    _, _, answer_url, answer = APIS[api]
    assert None is count_usage(answer_url, answer)


def test_immediate_answer_does_not_count_again(count_usage):
    """A response that was complete at once doesn't count again when it is read as stored."""
    url, _, answer_url, answer = APIS["responses"]
    assert [(5, 6), None] == [count_usage(url, answer, "POST"), count_usage(answer_url, answer)]


def test_run_that_waits_for_tools_counts_at_its_end(count_usage):
    """A run goes on after the outputs of tools are submitted, and counts when it is complete."""
    _, _, answer_url, answer = APIS["runs"]
    assert [None, None, None, (5, 6)] == [
        count_usage(RUNS, {"status": "queued"}, "POST"),
        count_usage(answer_url, {"status": "requires_action"}),
        count_usage(f"{answer_url}/submit_tool_outputs", {"status": "queued"}, "POST"),
        count_usage(answer_url, answer),
    ]


def test_run_that_ends_with_tool_outputs_counts_once(count_usage):
    """A run that the submission completes counts with it, and not when it is read later."""
    _, _, answer_url, answer = APIS["runs"]
    assert [None, (5, 6), None] == [
        count_usage(RUNS, {"status": "queued"}, "POST"),
        count_usage(f"{answer_url}/submit_tool_outputs", answer, "POST"),
        count_usage(answer_url, answer),
    ]


def test_ids_belong_to_one_provider(count_usage):
    """The same id at another provider is another job."""
    url, state, *_ = APIS["predictions"]
    _, _, answer_url, answer = APIS["responses"]
    count_usage(url, {"status": state}, "POST")
    assert None is count_usage(answer_url, answer)


def test_memory_is_bounded(read):
    """Jobs whose answer nobody ever requests are forgotten."""
    jobs = BackgroundJobs()
    endpoint = identify_endpoint("POST", "api.openai.com", None, "/v1/responses")
    facts = read({"id": "x", "status": "queued"}, url=f"{OPENAI}/responses")
    for number in range(MAX_JOBS + 10):
        jobs.assign_usage(endpoint, facts._replace(response_id=str(number)))
    later_endpoint = identify_endpoint("GET", "api.openai.com", None, "/v1/responses/0")
    answer = facts._replace(waiting=False, stored_usage=Usage(1))
    calls = [jobs.assign_usage(later_endpoint, answer._replace(response_id=i)) for i in ("0", "10")]
    assert [None, Usage(1)] == [call.usage for call in calls]
