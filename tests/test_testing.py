"""`lupis_instrument.testing`; each test runs a program, since `capture` instruments its process."""

from textwrap import dedent

import pytest

PRELUDE = """
import json, sys, urllib.request
from lupis_instrument import LupisConfig, LupisSDK, LupisUsageError
from lupis_instrument.testing import START, capture

def call(model="gpt-4o-mini"):
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(sys.argv[1] + "/v1/chat/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read()

def show(value):
    print(json.dumps(value))
"""


@pytest.fixture
def play(run, llm):
    """A function that runs a program and returns its output; nothing reaches the collector."""

    def play(text, **options):
        options.setdefault("launched", False)
        result = run(PRELUDE + dedent(text), llm.url, **options)
        assert (0, "") == (result.returncode, result.stderr)
        assert [] == run.sink.requests
        return result.stdout.splitlines()

    return play


def test_calls_spans_and_events_are_captured(play):
    """All are plain dicts that JSON can hold."""
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
    """Ids are numbers in the order of the spans, and times whole seconds from START."""
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


def test_ended_calls_can_be_read_inside_the_block(play):
    """A call can be read as soon as it has ended, and not after a reset."""
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


def test_blocks_are_separate(play):
    """A block has no spans or chat ids of an earlier one, and cannot be nested."""
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


def test_capture_works_under_lupis_run(play):
    """A whole test suite can run under `lupis-run`."""
    assert ["1"] == play(
        """
        with capture() as captured:
            call()
        print(len(captured.calls))
        """,
        launched=True,
    )


def test_captured_calls_are_in_no_summary(run, llm):
    """The summary and the collector have only the call before the block."""
    text = """
        call("before")
        with capture() as captured:
            call("captured")
        print(*(span["name"] for span in captured.calls))
        """
    result = run(PRELUDE + dedent(text), llm.url, env={"LUPIS_SUMMARY": "true"})
    assert "chat captured\n" == result.stdout
    assert ["chat before"] == [span["name"] for span in result.spans]
    first, *others = result.stderr.splitlines()
    assert first.startswith("lupis: 1 LLM call, ")
    assert f"  1 span -> {run.sink.traces_url}" in others


def test_durable_spans_are_captured(play):
    """With LUPIS_DURABLE, a block's spans do not reach the store."""
    text = """
        with capture() as captured:
            call()
        print(len(captured.calls))
        """
    assert ["1"] == play(text, launched=True, env={"LUPIS_DURABLE": "true"})


def test_init_inside_the_block_keeps_capturing(play):
    """A program that calls `init` gets the instance of the block."""
    text = """
        with capture() as captured:
            LupisSDK.init(LupisConfig(project_id="shop", otlp_endpoint="http://127.0.0.1:9"))
            call()
        print(len(captured.calls))
        """
    assert ["1"] == play(text)


def test_captured_events_are_redacted(play):
    """A test sees the values that would leave the process."""
    text = """
        with capture() as captured:
            LupisSDK.get_instance().track_event(
                "e", {"password": "hunter22222", "error": [{"exception.message": "PLANTED"}]}
            )
        print(captured.events[0]["properties"])
        """
    shown = "{'password': '***', 'error': [{'exception.message': '[…]'}]}"
    assert [shown] == play(text)


def test_disabled_instrumentation_is_an_error(run):
    """A test must not pass because nothing is recorded."""
    program = PRELUDE + dedent(
        """
        try:
            with capture():
                pass
        except LupisUsageError as error:
            print(error)
        """
    )
    result = run(program, launched=False, env={"LUPIS_ENABLED": "false"})
    assert "instrumentation is switched off: see LUPIS_ENABLED\n" == result.stdout
