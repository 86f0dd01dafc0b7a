"""Each example runs as its docstring says, has the same output without `lupis-run`, and makes spans."""

import contextlib
import importlib.util
from collections import Counter
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
CHAT = "chat gpt-4o-mini"


def example(name, *packages):
    """A test parameter: an example, skipped if a package that it needs is not installed."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    reason = f"{name}.py needs {', '.join(missing)}"
    return pytest.param(name, id=name, marks=pytest.mark.skipif(bool(missing), reason=reason))


ALL = [
    example("agent"),
    example("event_tracking_example"),
    example("chat_id_example"),
    example("testing_example"),
    example("own_tracing_example"),
    example("openai_example", "openai"),
    example("two_conversations_example", "openai"),
    example("streaming_example", "openai"),
    example("anthropic_example", "anthropic"),
    example("langchain_example", "langchain_openai"),
]
SPANS = {
    "agent": {
        "embeddings text-embedding-3-small": 1,
        CHAT: 2,
        "chat always-busy": 1,
        "chat gpt-4o": 2,
        "chat claude-haiku-4-5": 1,
    },
    "event_tracking_example": {},
    "chat_id_example": {CHAT: 7},
    "testing_example": {},
    "own_tracing_example": {CHAT: 1},
    "openai_example": {
        CHAT: 3,
        "chat gpt-4.1": 1,
        "embeddings text-embedding-3-small": 1,
        "chat always-busy": 1,
    },
    "two_conversations_example": {CHAT: 6},
    "streaming_example": {CHAT: 4},
    "anthropic_example": {"chat claude-haiku-4-5": 4, "chat always-denied": 1},
    "langchain_example": {CHAT: 4, "embeddings text-embedding-3-small": 1},
}
"""By example, the names of its spans and how many it makes."""


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    """A function that runs an example under `lupis-run` once for all tests, and returns its result."""
    from servers import otlp
    from servers.program import Runner

    with contextlib.ExitStack() as sinks:
        results = {}

        def run_example(name):
            if name not in results:
                sink = sinks.enter_context(otlp.serving())
                run = Runner(sink, tmp_path_factory.mktemp(name))
                results[name] = run(EXAMPLES / f"{name}.py")
            return results[name]

        yield run_example


def tokens(spans):
    """Input and output tokens of the spans, summed."""
    return tuple(
        sum(span["attributes"].get(f"gen_ai.usage.{side}_tokens", 0) for span in spans)
        for side in ("input", "output")
    )


@pytest.mark.parametrize("name", ALL)
def test_output_is_the_same_with_lupis_run(name, run, run_once):
    """An example has the same output and exit status with and without `lupis-run`."""
    plain = run(EXAMPLES / f"{name}.py", launched=False)
    launched = run_once(name)
    assert (0, plain.stdout, "") == (launched.returncode, launched.stdout, launched.stderr)
    assert (0, "") == (plain.returncode, plain.stderr)


@pytest.mark.parametrize("name", ALL)
def test_each_call_is_one_span(name, run_once):
    """Each LLM call is one CLIENT span, named after operation and model."""
    spans = run_once(name).spans
    assert SPANS[name] == Counter(span["name"] for span in spans)
    assert {"CLIENT"} >= {span["kind"] for span in spans}


@pytest.mark.parametrize("name", [row for row in ALL if SPANS[row.id]])
def test_complete_calls_have_tokens(name, run_once):
    """A call has tokens if its response is complete, and no tokens otherwise."""
    for span in run_once(name).spans:
        attributes = span["attributes"]
        has_tokens = "gen_ai.usage.input_tokens" in attributes
        succeeded = attributes["http.response.status_code"] == 200
        complete = attributes.get("lupis.response.outcome") == "complete"
        assert (succeeded and complete) == has_tokens, span


def test_agent_has_the_reported_tokens(run_once):
    """The sums are those that the fake provider reported, streams included."""
    assert (888, 87) == tokens(run_once("agent").spans)


def test_agent_is_one_conversation(run):
    """A chat id given to `lupis-run` is on each of the agent's calls."""
    spans = run(EXAMPLES / "agent.py", env={"LUPIS_CHAT_ID": "trip-1"}).spans
    assert ["trip-1"] * 7 == [span["attributes"]["lupis.chat.id"] for span in spans]


def test_agent_has_one_failed_call(run_once):
    """The call that got status 429 is an error, and no other call is."""
    spans = run_once("agent").spans
    failed = [span["attributes"] for span in spans if span["status"] == "ERROR"]
    assert ["429"] == [attributes["error.type"] for attributes in failed]


def test_events_arrive_in_order_with_metadata(run_once):
    """Events have their properties, redacted, and their metadata."""
    events = run_once("event_tracking_example").events
    names = [event["name"] for event in events]
    assert ["feature_used", "report_opened", "connected", "invited"] == names
    assert {"feature": "export"} == events[0]["properties"]
    assert {"rows": 120, "filters": ["today", "mine"]} == events[1]["properties"]
    assert "made-up-secret" not in str(events)
    assert ["user-7", "user-7", "user-8"] == [event["metadata"]["user_id"] for event in events[1:]]


def test_events_arrive_without_lupis_run(run):
    """`LupisSDK.init` is enough for events."""
    events = run(EXAMPLES / "event_tracking_example.py", launched=False).events
    assert 4 == len(events)


@pytest.mark.parametrize("launched", [True, False])
def test_calls_have_the_chat_id_of_their_conversation(run, launched):
    """Chat ids follow blocks, threads and tasks, and do not mix."""
    spans = run(EXAMPLES / "chat_id_example.py", launched=launched).spans
    expected = {"all": 1, "block": 1, "function": 1, "ann": 2, "ben": 2}
    chats = Counter(span["attributes"]["lupis.chat.id"] for span in spans)
    assert {f"chat-{name}": count for name, count in expected.items()} == chats


def test_own_exporter_gets_spans_of_calls_if_set(run):
    """With LUPIS_JOIN_PROVIDER, the example's own exporter gets the spans of LLM calls too."""
    result = run(EXAMPLES / "own_tracing_example.py", env={"LUPIS_JOIN_PROVIDER": "true"})
    assert ("['POST', 'chat gpt-4o-mini', 'work']\n", "") == (result.stdout, result.stderr)


@pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="needs openai")
def test_two_conversations_continue_after_a_restart(run):
    """Each of the two derived chat ids has its calls of both runs."""
    for _ in range(2):
        spans = run(EXAMPLES / "two_conversations_example.py", "said.json").spans
    chats = [span["attributes"]["lupis.chat.id"] for span in spans]
    assert (12, 2) == (len(chats), len(set(chats)))
    assert chats[:2] * 6 == chats
    assert {"derived"} == {span["attributes"]["lupis.chat.source"] for span in spans}


@pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="needs openai")
def test_stream_that_is_not_read_to_its_end_is_closed(run_once):
    """One stream is closed early; the others are complete."""
    spans = run_once("streaming_example").spans
    outcomes = Counter(span["attributes"]["lupis.response.outcome"] for span in spans)
    assert {"complete": 3, "closed": 1} == outcomes


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.stem)
def test_docstring_has_the_command(file):
    """An example's docstring has the command that runs it."""
    assert f"python examples/{file.name}" in file.read_text(encoding="utf-8").split('"""')[1]


@pytest.mark.parametrize("name", ALL)
def test_page_shows_the_output(name, run_once):
    """The page of the examples has the output of each, before the totals."""
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    section = page.partition(f"## {name}.py\n")[2].partition("## ")[0]
    assert f"```text\n{run_once(name).stdout}lupis: " in section
