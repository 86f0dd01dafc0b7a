"""Every example runs as its docstring says, prints the same without Lupis, and shows up with it."""

import contextlib
import importlib.util
from collections import Counter
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
CHAT = "chat gpt-4o-mini"


def example(name, *packages):
    """A test parameter: an example, skipped where a package that it shows isn't installed."""
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
# How many spans of which name an example makes.
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


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Gives what an example left behind under lupis-run, which it does once for all tests."""
    from servers import otlp
    from servers.program import Runner

    with contextlib.ExitStack() as sinks:
        done = {}

        def run_once(name):
            if name not in done:
                sink = sinks.enter_context(otlp.serving())
                run = Runner(sink, tmp_path_factory.mktemp(name))
                done[name] = run(EXAMPLES / f"{name}.py")
            return done[name]

        yield run_once


def tokens(spans):
    """Input and output tokens of the spans, summed."""
    return tuple(
        sum(span["attributes"].get(f"gen_ai.usage.{side}_tokens", 0) for span in spans)
        for side in ("input", "output")
    )


@pytest.mark.parametrize("name", ALL)
def test_prints_the_same_with_and_without(name, run, ran):
    """An example's output and exit status don't change under lupis-run."""
    plain = run(EXAMPLES / f"{name}.py", launched=False)
    launched = ran(name)
    assert (0, plain.stdout, "") == (launched.returncode, launched.stdout, launched.stderr)
    assert (0, "") == (plain.returncode, plain.stderr)


@pytest.mark.parametrize("name", ALL)
def test_makes_one_span_a_call(name, ran):
    """Each LLM call of an example is one CLIENT span, named for operation and model."""
    spans = ran(name).spans
    assert SPANS[name] == Counter(span["name"] for span in spans)
    assert {"CLIENT"} >= {span["kind"] for span in spans}


@pytest.mark.parametrize("name", [row for row in ALL if SPANS[row.id]])
def test_reports_tokens_for_what_succeeded(name, ran):
    """Calls that were answered in full have the tokens that the provider reported."""
    for span in ran(name).spans:
        attributes = span["attributes"]
        reported = "gen_ai.usage.input_tokens" in attributes
        answered = attributes["http.response.status_code"] == 200
        whole = attributes.get("lupis.response.outcome") == "complete"
        assert (answered and whole) == reported, span


def test_agent_counts_what_the_stand_in_reported(ran):
    """The agent's tokens are those that the stand-in's answers reported, streamed ones too."""
    assert (888, 87) == tokens(ran("agent").spans)


def test_agent_is_one_conversation(run):
    """A chat id given to lupis-run is on each of the agent's calls."""
    spans = run(EXAMPLES / "agent.py", env={"LUPIS_CHAT_ID": "trip-1"}).spans
    assert ["trip-1"] * 7 == [span["attributes"]["lupis.chat.id"] for span in spans]


def test_agent_shows_the_failed_call(ran):
    """The call that was answered 429 is an error, and the only one."""
    spans = ran("agent").spans
    failed = [span["attributes"] for span in spans if span["status"] == "ERROR"]
    assert ["429"] == [attributes["error.type"] for attributes in failed]


def test_events_arrive_in_order_with_metadata(ran):
    """Events carry their properties, redacted, and the metadata in force."""
    events = ran("event_tracking_example").events
    names = [event["name"] for event in events]
    assert ["feature_used", "report_opened", "connected", "invited"] == names
    assert {"feature": "export"} == events[0]["properties"]
    assert {"rows": 120, "filters": ["today", "mine"]} == events[1]["properties"]
    assert "made-up-secret" not in str(events)
    assert ["user-7", "user-7", "user-8"] == [event["metadata"]["user_id"] for event in events[1:]]


def test_events_arrive_without_the_launcher(run):
    """LupisSDK.init is enough for events."""
    events = run(EXAMPLES / "event_tracking_example.py", launched=False).events
    assert 4 == len(events)


@pytest.mark.parametrize("launched", [True, False])
def test_each_call_is_in_its_conversation(run, launched):
    """Chat ids follow blocks, threads and tasks, and never get mixed up."""
    spans = run(EXAMPLES / "chat_id_example.py", launched=launched).spans
    expected = {"all": 1, "block": 1, "function": 1, "ann": 2, "ben": 2}
    chats = Counter(span["attributes"]["lupis.chat.id"] for span in spans)
    assert {f"chat-{name}": count for name, count in expected.items()} == chats


def test_the_programs_own_exporter_gets_ours_when_asked(run):
    """And only then."""
    asked = run(EXAMPLES / "own_tracing_example.py", env={"LUPIS_JOIN_PROVIDER": "true"})
    assert ("['POST', 'chat gpt-4o-mini', 'work']\n", "") == (asked.stdout, asked.stderr)


@pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="needs openai")
def test_two_conversations_are_told_apart_across_a_restart(run):
    """Two chat ids, each with all its calls of both runs, which take turns."""
    for _ in range(2):
        spans = run(EXAMPLES / "two_conversations_example.py", "said.json").spans
    chats = [span["attributes"]["lupis.chat.id"] for span in spans]
    assert (12, 2) == (len(chats), len(set(chats)))
    assert chats[:2] * 6 == chats
    assert {"derived"} == {span["attributes"]["lupis.chat.source"] for span in spans}


@pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="needs openai")
def test_stream_left_early_is_closed(ran):
    """One of the streams is left early; the others are read to the end."""
    spans = ran("streaming_example").spans
    outcomes = Counter(span["attributes"]["lupis.response.outcome"] for span in spans)
    assert {"complete": 3, "closed": 1} == outcomes


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.stem)
def test_says_how_to_run_it(file):
    """An example's docstring has the command that runs it."""
    assert f"python examples/{file.name}" in file.read_text(encoding="utf-8").split('"""')[1]
