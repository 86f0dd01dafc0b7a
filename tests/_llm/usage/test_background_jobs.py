"""Usage of answers that a later request brings."""

from decimal import Decimal

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


def count_call(read, jobs, method, url, body):
    """Return the facts of a call, with the usage that counts for it."""
    host, _, path = url.partition("://")[2].partition("/")
    endpoint = identify_endpoint(method, host, None, f"/{path}")
    status = 202 if body == b"" else 200
    return jobs.assign_usage(endpoint, read(body, url=url, method=method, status=status))


@pytest.fixture
def count_usage(read):
    """A function that returns the input and output that count for a call."""
    jobs = BackgroundJobs()

    def count_usage(url, body, method="GET"):
        body = {"id": "x", **body} if isinstance(body, dict) else body
        usage = count_call(read, jobs, method, url, body).usage
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


XAI = "https://api.x.ai/v1"
PERPLEXITY = "https://api.perplexity.ai"
CHAT_USAGE = {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}
COMPLETION = {"id": "answer", "object": "chat.completion", "model": "grok-4", "usage": CHAT_USAGE}
# API: (URL that starts the job, its answer, URL of the result, the results until it is complete).
# The ids of the job and of its result differ.
# https://docs.x.ai/docs/guides/deferred-chat-completions and
# https://docs.perplexity.ai/api-reference/async-sonar-api-request-get
DEFERRED = {
    "xAI's chats": (
        f"{XAI}/chat/completions",
        {"request_id": "job"},
        f"{XAI}/chat/deferred-completion/job",
        [b"", COMPLETION],
    ),
    "Perplexity's chats": (
        f"{PERPLEXITY}/async/chat/completions",
        {"id": "job", "model": "sonar", "created_at": 1, "status": "CREATED"},
        f"{PERPLEXITY}/async/chat/completions/job",
        [
            {"id": "job", "model": "sonar", "status": "IN_PROGRESS", "response": None},
            {"id": "job", "model": "sonar", "status": "COMPLETED", "response": COMPLETION},
        ],
    ),
    "Perplexity's chats, as today": (
        f"{PERPLEXITY}/v1/async/sonar",
        {"id": "job", "model": "sonar", "created_at": 1, "status": "CREATED"},
        f"{PERPLEXITY}/v1/async/sonar/job",
        [{"id": "job", "model": "sonar", "status": "COMPLETED", "response": COMPLETION}],
    ),
}


@pytest.mark.parametrize("api", DEFERRED)
def test_deferred_chat_counts_once_whatever_the_id_of_its_answer(read, api):
    """The path of the result has the job's id; its body may have another one."""
    url, start, answer_url, answers = DEFERRED[api]
    jobs = BackgroundJobs()
    counted = [count_call(read, jobs, "POST", url, start).usage]
    for answer in [*answers, answers[-1]]:
        usage = count_call(read, jobs, "GET", answer_url, answer).usage
        counted.append(usage and usage[:2])
    assert [*[None] * len(answers), (5, 6), None] == counted


@pytest.mark.parametrize(
    ("start", "url", "job", "states", "bill"),
    [
        # The states and the bill: https://docs.x.ai/docs/api-reference
        (
            {"request_id": "job"},
            f"{XAI}/videos/generations",
            f"{XAI}/videos/job",
            ("pending", "done"),
            {"cost_in_usd_ticks": 5_000_000_000},
        ),
        # https://openrouter.ai/docs/client-sdks/python/components/videogenerationresponse
        (
            {"id": "job", "polling_url": "/api/v1/videos/job", "status": "pending"},
            "https://openrouter.ai/api/v1/videos",
            "https://openrouter.ai/api/v1/videos/job",
            ("in_progress", "completed"),
            {"cost": 0.5, "is_byok": False},
        ),
    ],
    ids=["xAI", "OpenRouter"],
)
def test_stated_cost_of_a_video_counts_once(read, start, url, job, states, bill):
    """The result of the job states it each time that a request reads it."""
    jobs = BackgroundJobs()
    waiting, done = states
    costs = [
        usage and usage.stated_cost
        for usage in (
            count_call(read, jobs, "POST", url, start).usage,
            count_call(read, jobs, "GET", job, {"status": waiting}).usage,
            count_call(read, jobs, "GET", job, {"status": done, "usage": bill}).usage,
            count_call(read, jobs, "GET", job, {"status": done, "usage": bill}).usage,
        )
    ]
    assert [None, None, Decimal("0.5"), None] == costs
