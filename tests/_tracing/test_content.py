"""Content of prompts and answers leaves no span, whichever library has put it there."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, SpanContext

from lupis_instrument import _semconv
from lupis_instrument._tracing import content
from lupis_instrument._tracing.content import is_content, remove_content

CONTENT = {
    "gen_ai.input.messages": "[]",
    "gen_ai.output.messages": "[]",
    "gen_ai.system_instructions": "be brief",
    "gen_ai.tool.call.arguments": "{}",
    "gen_ai.tool.call.result": "sunny",
    "gen_ai.prompt": "hi",
    "gen_ai.prompt.0.content": "hi",
    "gen_ai.completion.0.content": "hi",
    "input.value": "hi",
    "output.value": "hi",
    "llm.input_messages.0.message.content": "hi",
    "llm.output_messages.0.message.content": "hi",
    "gcp.vertex.agent.llm_request": "{}",
    "gcp.vertex.agent.tool_response": "{}",
    "traceloop.entity.input": "{}",
    "traceloop.entity.output": "{}",
    "langfuse.observation.input": "hi",
    "haystack.component.input": "hi",
    "mlflow.spanInputs": "hi",
    "embedding.vector": (0.1, 0.2),
    "crew_agents": "[]",
    "crewai.crew.tasks": "[]",
    "crewai.agent.goal": "plan a trip",
    "formatted_description": "plan a trip",
    "gen_ai.tool.json_schema": "{}",
    "gen_ai.response.0.image.url": "https://images.example/1",
    "smolagents.managed_agents.0.additional_prompting": "hi",
    "user_input": "a name that no table has",
    "toolArguments": "neither has this one",
    "anything": "x" * 9_000,
}
NO_CONTENT = {
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.request.stop_sequences": ("END",),
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.output.type": "json",
    "gen_ai.usage.input_tokens": 7,
    "gen_ai.usage.prompt_tokens": 7,
    "gen_ai.conversation.id": "c-1",
    "gen_ai.agent.name": "planner",
    "gen_ai.tool.call.id": "call_1",
    "gen_ai.prompt.name": "analyze",
    "traceloop.entity.name": "plan",
    "llm.token_count.prompt": 7,
    "messaging.message.id": "m-1",
    "db.query.text": "SELECT 1",
    "steps": 3,
}


def end_span(attributes=(), events=(), links=(), scope="library"):
    """Returns a finished span."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer(scope)
    span = tracer.start_span("work", attributes=dict(attributes), links=links)
    for name, values in events:
        span.add_event(name, values)
    span.end()
    return span._readable_span()


@pytest.mark.parametrize("name", CONTENT)
def test_content_is_recognized_by_its_name(name):
    """The table has names of libraries' conventions; other names have a word for content."""
    assert is_content(name, CONTENT[name])


@pytest.mark.parametrize("name", NO_CONTENT)
def test_other_attributes_stay(name):
    """Models, counts, ids and names are no content."""
    assert not is_content(name, NO_CONTENT[name])


def test_a_name_that_holds_content_is_replaced():
    """OpenLLMetry names the spans of CrewAI's tasks by their descriptions."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer(
        "opentelemetry.instrumentation.crewai.instrumentation"
    )
    names = []
    for name in ("plan a trip.task", "planner.agent"):
        span = tracer.start_span(name)
        span.end()
        names.append(remove_content(span._readable_span()).name)
    assert ["task", "planner.agent"] == names


def test_a_span_without_content_is_not_copied():
    """Most spans are exported as they are."""
    span = end_span(NO_CONTENT, [("step", {"number": 1})])
    assert span is remove_content(span)


def test_a_span_keeps_everything_but_its_content():
    """Attributes, events and links lose content; other values stay."""
    link = Link(SpanContext(1, 2, is_remote=False), {"input.value": "PLANTED", "number": 4})
    events = [
        ("gen_ai.user.message", {"content": "PLANTED"}),
        ("step", {"prompt": "PLANTED", "number": 1}),
    ]
    span = remove_content(end_span({**NO_CONTENT, "input.value": "PLANTED"}, events, [link]))
    assert NO_CONTENT == dict(span.attributes)
    assert [("step", {"number": 1})] == [
        (event.name, dict(event.attributes)) for event in span.events
    ]
    assert {"number": 4} == dict(span.links[0].attributes)


def test_spans_of_the_sdk_lose_only_the_attributes_of_the_table():
    """The program has chosen the names of `create_span` itself."""
    values = {"question": "mine", "input.value": "PLANTED"}
    span = remove_content(end_span(values, scope=_semconv.SCOPE))
    assert {"question": "mine"} == dict(span.attributes)


def test_a_fault_removes_all_text(monkeypatch, capsys):
    """If in doubt, nothing leaves the process."""
    monkeypatch.setattr(content, "_filter_attributes", None)
    span = remove_content(end_span({"steps": 3}))
    assert ("[REDACTED]", {}) == (span.name, dict(span.attributes))
    assert "removing the content of a span failed" in capsys.readouterr().err
