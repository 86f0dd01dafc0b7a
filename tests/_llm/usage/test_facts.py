"""Facts that are collected from the JSON values of a response."""

from __future__ import annotations

import pytest

from lupis_instrument._llm.usage.facts import ResponseFacts
from lupis_instrument._llm.usage.usage import Usage


def collect(*values):
    facts = ResponseFacts()
    for value in values:
        facts.add_value(value)
    return facts


@pytest.mark.parametrize(
    ("value", "name", "fact"),
    [
        ({"model": "m"}, "model", "m"),
        ({"response": {"model": "m"}}, "model", "m"),
        ({"modelVersion": "m"}, "model", "m"),
        ({"id": "x"}, "id", "x"),
        ({"message": {"id": "x"}}, "id", "x"),
        ({"service_tier": "flex"}, "tier", "flex"),
        ({"usage": {"speed": "fast"}}, "speed", "fast"),
        ({"usage": {"inference_geo": "us"}}, "geography", "us"),
        ({"status": "queued"}, "state", "queued"),
        ({"duration": "8.5"}, "duration", 8.5),
        ({"conversation": {"id": "c"}}, "conversation_id", "c"),
        ({"thread_id": "t"}, "conversation_id", "t"),
        ({"error": {"code": "x", "type": "y"}}, "error_type", "x"),
        ({"error": {"message": "free text"}}, "error_type", "error"),
        ({"__type": "aws#Throttling"}, "error_type", "Throttling"),
    ],
)
def test_fact_is_read(value, name, fact):
    """Each fact is read at its documented paths."""
    assert fact == getattr(collect(value), name)


@pytest.mark.parametrize("value", [None, [], {}, "text", 5, [{"model": "m"}]])
def test_value_other_than_an_object_is_ignored(value):
    """Only JSON objects have facts."""
    facts = collect(value)
    assert (None, None, ()) == (facts.model, facts.find_usage(), facts.finish_reasons)


@pytest.mark.parametrize("wrong", [5, "", None, ["m"], {"a": "m"}, "x" * 257])
def test_wrong_name_changes_nothing(wrong):
    """A model that is no short text doesn't replace an earlier one."""
    assert collect({"model": "m"}, {"model": wrong}).model == "m"


def test_last_model_and_first_id_count():
    """The last model and the first id of a stream are kept."""
    facts = collect({"model": "a", "id": "1"}, {"model": "b", "id": "2"})
    assert ("b", "1") == (facts.model, facts.id)


@pytest.mark.parametrize("text", ["free text", "5xx", "x" * 65, "", "a b", "secret: x!"])
def test_free_text_is_no_word(text):
    """A word of a provider looks like an identifier, so free text is never kept."""
    assert collect({"service_tier": text, "stop_reason": text}).tier is None
    assert collect({"stop_reason": text}).finish_reasons == ()


@pytest.mark.parametrize(
    ("values", "reasons"),
    [
        ([{"choices": [{"finish_reason": "stop"}, {"finish_reason": "length"}]}],
         ("stop", "length")),
        ([{"choices": [{"index": 1, "finish_reason": "b"}]},
          {"choices": [{"index": 0, "finish_reason": "a"}]}], ("a", "b")),
        ([{"choices": [{"index": -1, "finish_reason": "a"}]}], ("a",)),
        ([{"choices": [{"index": 10**9, "finish_reason": "a"}]}], ("a",)),
        ([{"choices": [{"index": True, "finish_reason": "a"}]}], ("a",)),
        ([{"choices": [None, 5, {"finish_reason": "a"}]}], ("a",)),
        ([{"choices": {"finish_reason": "a"}}], ()),
        ([{"candidates": [{"finishReason": "STOP"}]}], ("STOP",)),
        ([{"stop_reason": "end_turn"}], ("end_turn",)),
        ([{"stop_reason": "a"}, {"stop_reason": None}], ("a",)),
    ],
)  # fmt: skip
def test_finish_reasons_are_ordered_by_index(values, reasons):
    """Finish reasons are ordered by index, or by position if the index is invalid."""
    assert reasons == collect(*values).finish_reasons


def test_finish_reasons_are_limited():
    """No more than 128 answers of one list are read."""
    assert len(collect({"choices": [{"finish_reason": "a"}] * 1000}).finish_reasons) == 128


def test_reports_are_merged():
    """Reports are merged member by member, and null changes nothing."""
    first = {"usage": {"prompt_tokens": 5, "completion_tokens": 1}}
    last = {"usage": {"prompt_tokens": None, "completion_tokens": 4}}
    assert Usage(5, 4) == collect(first, last).find_usage()


def test_usage_of_the_provider_comes_before_metrics_of_the_host():
    """The metrics of the host count only if the provider itself reports nothing."""
    metrics = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 7, "outputTokenCount": 9}}
    usages = [collect(metrics, *more).find_usage() for more in ((), ({"eval_count": 3},))]
    assert [Usage(7, 9), Usage(None, 3)] == usages


def test_calls_of_an_agent_are_added():
    """The usage of all model calls of an agent is added up."""
    report = {"metadata": {"usage": {"inputTokens": 10, "outputTokens": 2}}}
    trace = {"trace": {"orchestrationTrace": {"modelInvocationOutput": report}}}
    assert Usage(20, 4) == collect(trace, trace).find_usage()


@pytest.mark.parametrize("kind", ["thread.run.step", "thread.run.step.delta"])
def test_usage_of_a_step_is_ignored(kind):
    """The steps of a run don't count, because the run reports their sum."""
    step = {"object": kind, "usage": {"prompt_tokens": 9}}
    run = {"object": "thread.run", "usage": {"prompt_tokens": 20}}
    assert [None, Usage(20)] == [collect(step).find_usage(), collect(run, step).find_usage()]


@pytest.mark.parametrize(
    ("state", "waiting"),
    [("queued", True), ("in_progress", True), ("starting", True), ("completed", False),
     ("failed", False), (None, False)],
)  # fmt: skip
def test_state_says_whether_the_answer_is_pending(state, waiting):
    """Unfinished states mean that a later request brings the answer."""
    assert waiting is collect({"status": state}).waiting


def test_answer_of_one_value_has_a_hash():
    """An answer that is one JSON value has a hash; the same answer has the same hash."""
    answer = {"choices": [{"message": {"role": "assistant", "content": "Hi"}}]}
    hashes = [collect(value).answer_hash for value in (answer, answer, {"choices": []})]
    assert hashes[0] == hashes[1] is not None
    assert hashes[2] is None


def test_a_zero_of_a_later_event_replaces_no_count():
    """The counts of a stream are cumulative: a smaller one can't be right."""
    start = {
        "type": "message_start",
        "message": {"usage": {"input_tokens": 60, "output_tokens": 1}},
    }
    delta = {"type": "message_delta", "usage": {"input_tokens": 0, "output_tokens": 9}}
    usage = collect(start, delta).find_usage("anthropic")
    assert (60, 9) == (usage.input_tokens, usage.output_tokens)


FUNCTION_CALL = {"type": "function_call", "id": "fc_1", "name": "get_weather"}


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        ({"status": "completed", "output": []}, ("stop",)),
        ({"status": "completed", "output": [FUNCTION_CALL]}, ("tool_calls",)),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            ("max_output_tokens",),
        ),
        ({"status": "in_progress"}, ()),
    ],
)
def test_an_answer_of_openai_responses_has_a_finish_reason(answer, reasons):
    """The same in a stream and in a plain answer."""
    answer = {"object": "response", **answer}
    assert reasons == collect(answer).finish_reasons
    event = {"type": f"response.{answer['status']}", "response": answer}
    assert reasons == collect({"type": "response.created"}, event).finish_reasons
