"""The kit for users' own tests; each of these is a program, for it instruments its process."""

from textwrap import dedent

import pytest

PRELUDE = """
import json, sys, urllib.request
from lupis_instrument import LupisConfig, LupisSDK, LupisUsageError
from lupis_instrument.testing import START, capture

def call(model="gpt-4o-mini"):
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(sys.argv[1] + "/v1/chat/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read()

def show(value):
    print(json.dumps(value))
"""


@pytest.fixture
def play(run, llm):
    """Runs a program and gives what it printed; nothing may reach the collector."""

    def play(text, **options):
        options.setdefault("launched", False)
        done = run(PRELUDE + dedent(text), llm.url, **options)
        assert (0, "") == (done.returncode, done.stderr)
        assert [] == run.sink.requests
        return done.stdout.splitlines()

    return play


def test_what_a_block_does_is_captured(play):
    """Calls, own spans and events, as plain dicts that JSON can hold."""
    text = """
        with capture() as captured:
            sdk = LupisSDK.get_instance()
            with sdk.conversation("trip"), sdk.create_span("plan", {"steps": 3}):
                call()
            sdk.track_event("bought", {"items": 2})
        (seen,) = captured.calls
        show([seen["name"], seen["kind"], seen["attributes"]["lupis.chat.id"], seen["status"]])
        show([span["name"] for span in captured.spans])
        show([[event["name"], event["properties"]] for event in captured.events])
        json.dumps(captured.spans)
        """
    assert [
        '["chat gpt-4o-mini", "CLIENT", "trip", "UNSET"]',
        '["plan", "chat gpt-4o-mini"]',
        '[["bought", {"items": 2}]]',
    ] == play(text)


def test_ids_and_times_are_fixed(play):
    """Numbered as the spans began; whole seconds from START."""
    text = """
        with capture() as captured:
            for _ in range(2):
                with LupisSDK.get_instance().create_span("plan"):
                    call()
            LupisSDK.get_instance().track_event("done")
        show([[int(span[name] or "0", 16) for name in ("trace_id", "span_id", "parent_span_id")]
              for span in captured.spans])
        show([[span[name] // 10**9 - START for name in ("start", "end")] for span in captured.spans])
        show(captured.events[0]["timestamp"] == START * 1000)
        """
    assert [
        "[[1, 1, 0], [1, 2, 1], [2, 3, 0], [2, 4, 3]]",
        "[[0, 3], [1, 2], [4, 7], [5, 6]]",
        "true",
    ] == play(text)


def test_reading_needs_no_waiting(play):
    """What has ended is there inside the block, and gone after a reset."""
    text = """
        with capture() as captured:
            call()
            print(len(captured.calls))
            captured.reset()
            print(len(captured.calls))
            call("gpt-4o")
            print(captured.calls[0]["name"], captured.calls[0]["span_id"][-1])
        """
    assert ["1", "0", "chat gpt-4o 1"] == play(text)


def test_blocks_do_not_see_each_other(play):
    """Neither their spans nor their chat ids; and they don't nest."""
    text = """
        with capture() as first:
            LupisSDK.get_instance().set_chat_id("mine")
            call()
            try:
                with capture():
                    pass
            except LupisUsageError as error:
                print(error)
        with capture() as second:
            call()
        print(len(first.calls), len(second.calls))
        print("mine" == first.calls[0]["attributes"]["lupis.chat.id"])
        print(second.calls[0]["attributes"].get("lupis.chat.id") == "mine")
        """
    assert ["another block is capturing: one at a time", "1 1", "True", "False"] == play(text)


def test_it_works_below_lupis_run(play):
    """As when a whole test suite is run by it."""
    assert ["1"] == play(
        """
        with capture() as captured:
            call()
        print(len(captured.calls))
        """,
        launched=True,
    )


def test_what_a_block_captures_is_in_no_summary(run, llm):
    """What was recorded before it is, and goes where it would; nothing is said of settings."""
    text = """
        call("before")
        with capture() as captured:
            call("captured")
        print(*(each["name"] for each in captured.calls))
        """
    done = run(PRELUDE + dedent(text), llm.url, env={"LUPIS_SUMMARY": "true"})
    assert "chat captured\n" == done.stdout
    assert ["chat before"] == [span["name"] for span in done.spans]
    first, *_, last = done.stderr.splitlines()
    assert first.startswith("lupis: 1 LLM call, ")
    assert last == f"  1 span -> {run.sink.traces_url}"


def test_a_block_captures_what_would_be_stored_at_once(play):
    """Nothing of it is in the store."""
    text = """
        with capture() as captured:
            call()
        print(len(captured.calls))
        """
    assert ["1"] == play(text, launched=True, env={"LUPIS_DURABLE": "true"})


def test_a_program_that_sets_itself_up_is_captured_too(play):
    """Its `init` finds the instance."""
    text = """
        with capture() as captured:
            LupisSDK.init(LupisConfig(project_id="shop", otlp_endpoint="http://127.0.0.1:9"))
            call()
        print(len(captured.calls))
        """
    assert ["1"] == play(text)


def test_secrets_are_hidden_here_too(play):
    """What a test sees is what would leave."""
    text = """
        with capture() as captured:
            LupisSDK.get_instance().track_event("e", {"password": "hunter22222"})
        print(captured.events[0]["properties"])
        """
    assert ["{'password': '***'}"] == play(text)


def test_switched_off_it_says_so(run):
    """A test must not pass for want of spans."""
    program = PRELUDE + dedent(
        """
        try:
            with capture():
                pass
        except LupisUsageError as error:
            print(error)
        """
    )
    done = run(program, launched=False, env={"LUPIS_ENABLED": "false"})
    assert "instrumentation is switched off: see LUPIS_ENABLED\n" == done.stdout
