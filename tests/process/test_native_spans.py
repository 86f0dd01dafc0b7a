"""Spans that a program makes by OpenTelemetry's API alone, while it has set no provider."""

import json

import pytest

AGENT = """
from opentelemetry import trace
tracer = trace.get_tracer("agents.example")
tokens = {"gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 5}

def run_agent():
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "openai",
                  "input.value": "PLANTED", "gen_ai.system_instructions": "PLANTED"}
    with tracer.start_as_current_span("invoke_agent planner", attributes=attributes) as agent:
        attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
        with tracer.start_as_current_span("chat", attributes=attributes) as chat:
            call("in a chat")
            chat.add_event("gen_ai.choice", {"message": "PLANTED"})
            chat.set_attributes({**tokens, "gen_ai.output.messages": "PLANTED"})
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
        with tracer.start_as_current_span("execute_tool search", attributes=attributes) as tool:
            call("in a tool")
            tool.set_attribute("gen_ai.tool.call.result", "PLANTED")
        recording = agent.is_recording()
        agent.set_attributes({"gen_ai.usage.input_tokens": 14, "gen_ai.usage.output_tokens": 10})
    return recording, type(trace.get_tracer_provider()).__name__
"""
"""An agent with a chat whose library reports its tokens, and with a tool that calls an LLM."""
OWN_PROVIDER = """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

def set_provider():
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    trace.set_tracer_provider(provider)
    return memory
"""


@pytest.fixture
def agent_spans(run_caller, sink):
    """The spans of an agent without a provider, by their names, and a call's by its mark."""
    done = run_caller(AGENT + "print(run_agent())", env={"LUPIS_SUMMARY": "true"})
    assert "(True, 'ProxyTracerProvider')\n" == done.stdout
    assert "PLANTED" not in repr(sink.spans)
    mark = "http.request.header.x-mark"
    return {span["attributes"].get(mark, [span["name"]])[0]: span for span in sink.spans}, done


def test_an_agent_is_one_trace(agent_spans):
    """Its spans are the parents of the calls."""
    spans, _ = agent_spans
    parents = {"chat": "invoke_agent planner", "execute_tool search": "invoke_agent planner"}
    parents.update({"in a chat": "chat", "in a tool": "execute_tool search"})
    assert {"invoke_agent planner", *parents} == set(spans)
    assert 1 == len({span["trace_id"] for span in spans.values()})
    for name, parent in parents.items():
        assert spans[parent]["span_id"] == spans[name]["parent_span_id"]


def test_tokens_and_calls_count_once(agent_spans):
    """The library's chat has the tokens of one call; the agent repeats the sum."""
    spans, done = agent_spans
    tokens = "gen_ai.usage.input_tokens"
    counted = [name for name, span in spans.items() if tokens in span["attributes"]]
    assert ["chat", "in a tool"] == sorted(counted)
    assert 14 == spans["invoke_agent planner"]["attributes"]["lupis.repeated.input_tokens"]
    assert "child" == spans["chat"]["attributes"]["lupis.dedup"]
    costs = [name for name, span in spans.items() if "gen_ai.usage.cost" in span["attributes"]]
    assert ["in a chat", "in a tool"] == sorted(costs)
    assert "2 LLM calls" in done.stderr


@pytest.mark.parametrize(
    "env",
    [{"LUPIS_NATIVE_SPANS": "false"}, {"LUPIS_EXCLUDED_SCOPES": "other,agents.*"}],
    ids=["off", "scope"],
)
def test_settings_leave_native_spans_out(env, run_caller, sink):
    """The library's spans record nothing then, and the calls are recorded alone."""
    done = run_caller(AGENT + "print(run_agent())", env=env)
    assert "(False, 'ProxyTracerProvider')\n" == done.stdout
    assert 2 == len(sink.spans)


def test_a_provider_set_later_gets_the_spans_from_then_on(run_caller, sink):
    """Spans from before are not its own, and later ones are not exported here."""
    program = """
        run_agent()
        memory = set_provider()
        run_agent()
        print(sorted(span.name for span in memory.get_finished_spans()))
        """
    done = run_caller(AGENT + OWN_PROVIDER + "\n".join(map(str.strip, program.splitlines())))
    assert ["chat", "execute_tool search", "invoke_agent planner"] == json.loads(
        done.stdout.replace("'", '"')
    )
    names = [span["name"] for span in sink.spans]
    assert (1, 4) == (names.count("invoke_agent planner"), names.count("chat gpt-4o-mini"))


def test_only_importing_the_api_loads_no_sdk(run):
    """The SDK is loaded with the first span."""
    done = run("""
        import sys
        from opentelemetry import trace
        tracer = trace.get_tracer("library")
        print("opentelemetry.sdk" in sys.modules)
        tracer.start_span("first")
        print("opentelemetry.sdk" in sys.modules)
        """)
    assert "False\nTrue\n" == done.stdout
