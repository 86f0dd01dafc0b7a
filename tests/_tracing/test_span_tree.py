"""The tree of open spans: the LLM library's span above a call, and waiting for its end."""

from collections import deque
from contextvars import copy_context

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider

from lupis_instrument._tracing.span_tree import SpanTree, find_llm_ancestor


class Spans:
    """Spans of a provider like the program's, each added to a tree when it starts."""

    def __init__(self):
        self.tree = SpanTree()
        self.tracer = TracerProvider(shutdown_on_exit=False).get_tracer("program")

    def begin(self, parent=None, **attributes):
        """Returns a span below another one, and its node."""
        context = trace.set_span_in_context(parent) if parent is not None else None
        attributes = {name.replace("__", "."): value for name, value in attributes.items()}
        span = self.tracer.start_span("span", context=context, attributes=attributes)
        return span, self.tree.begin_span(span)


@pytest.fixture
def spans():
    """An empty tree and its tracer."""
    return Spans()


class TestFindLlmAncestor:
    """The nearest span above a call that an LLM library's instrumentor made."""

    @pytest.mark.parametrize(
        ("attributes", "is_llm"),
        [
            ({"gen_ai__operation__name": "chat"}, True),
            ({"gen_ai__operation__name": "invoke_agent", "gen_ai__system": "x"}, False),
            ({"gen_ai__system": "openai"}, True),
            ({"llm__request__type": "chat"}, True),
            ({"openinference__span__kind": "LLM"}, True),
            ({"openinference__span__kind": "AGENT"}, False),
            ({"langfuse__observation__type": "generation"}, True),
            ({"langfuse__observation__type": "agent"}, False),
            ({"mlflow__spanType": '"CHAT_MODEL"'}, True),
            ({"gen_ai__usage__prompt_tokens": 3}, True),
            ({"http__method": "POST"}, False),
            ({}, False),
        ],
    )
    @pytest.mark.parametrize("between", [0, 1, 3])
    def test_attributes_identify_it(self, attributes, is_llm, between, spans):
        """Other spans may lie between it and the call."""
        span, llm_node = spans.begin(**attributes)
        for _ in range(between):
            span, _node = spans.begin(span)
        _, node = spans.begin(span)
        assert (llm_node if is_llm else None) is find_llm_ancestor(node)

    @pytest.mark.parametrize(
        ("name", "kind", "is_llm"),
        [
            ("chat openai/gpt-4o", "CLIENT", True),
            ("embeddings m", "CLIENT", True),
            ("chat", "CLIENT", True),
            ("chat gpt-4o", "INTERNAL", False),
            ("chatting", "CLIENT", False),
            ("POST", "CLIENT", False),
        ],
    )
    def test_its_name_identifies_it_without_attributes(self, name, kind, is_llm, spans):
        """OpenLIT's span of a LiteLLM call gets its attributes when the call is over."""
        span = spans.tracer.start_span(name, kind=trace.SpanKind[kind])
        llm_node = spans.tree.begin_span(span)
        _, node = spans.begin(span)
        assert (llm_node if is_llm else None) is find_llm_ancestor(node)

    def test_a_span_is_not_its_own_ancestor(self, spans):
        """Not even if an LLM library's instrumentor made it."""
        _, node = spans.begin(gen_ai__system="openai")
        assert None is find_llm_ancestor(node)

    def test_a_forked_child_starts_with_an_empty_tree(self, spans):
        """The open spans belong to its parent."""
        span, _ = spans.begin(gen_ai__system="openai")
        spans.tree.reset()
        _, node = spans.begin(span)
        assert None is find_llm_ancestor(node)


class TestWaiting:
    """Callbacks that wait for the end of a span."""

    def test_a_callback_is_called_once_when_the_span_ends(self, spans):
        """A callback that comes later is called at once."""
        span, node = spans.begin()
        calls = []
        spans.tree.wait_for_end(node, lambda: calls.append("waited"))
        assert [] == calls
        spans.tree.end_span(span)
        spans.tree.end_span(span)
        spans.tree.release_waiting()
        assert ["waited"] == calls
        node.call_when_ended(lambda: calls.append("late"))
        assert ["waited", "late"] == calls

    def test_a_flush_releases_the_callbacks_of_an_open_span(self, spans):
        """The span may never end."""
        _, node = spans.begin()
        calls = []
        spans.tree.wait_for_end(node, lambda: calls.append(1))
        spans.tree.release_waiting()
        assert [1] == calls

    def test_a_wait_that_is_not_over_is_never_taken_out(self, spans):
        """A flush in another thread must find it at any time."""
        _, node = spans.begin()
        calls = []

        class RecordingDeque(deque):
            def popleft(self):
                calls.append("taken")
                return super().popleft()

        spans.tree._waits = RecordingDeque()
        spans.tree.wait_for_end(node, lambda: calls.append("released"))
        assert [] == calls
        spans.tree.release_waiting()
        assert ["taken", "released"] == calls

    def test_the_next_wait_releases_callbacks_that_have_waited_too_long(self, spans, monkeypatch):
        """The tree has no timer."""
        monkeypatch.setattr("lupis_instrument._tracing.span_tree._MAX_WAIT", -1)
        _, node = spans.begin()
        calls = []
        spans.tree.wait_for_end(node, lambda: calls.append(1))
        assert [1] == calls


class TestFindLlmBeside:
    """An LLM library's span that its instrumentor does not make current."""

    @pytest.fixture(autouse=True)
    def _no_latest_span(self, spans):
        """Spans of one test are not the latest ones of another."""
        token = spans.tree._latest_llm_node.set(lambda: None)
        yield
        spans.tree._latest_llm_node.reset(token)

    @pytest.fixture
    def call(self, spans):
        """Starts the span of a call as the processor does; returns the LLM span's node."""

        def call(parent=None, status=None, **values):
            context = Context(values)
            if parent is not None:
                context = trace.set_span_in_context(parent, context)
            span = spans.tracer.start_span("call", context=context)
            node = spans.tree.begin_span(span)
            llm_node = spans.tree.find_llm_beside(node, context)
            if llm_node is not None:
                spans.tree.attach_below(node, llm_node)
            if status is not None:
                span.set_attribute("http.response.status_code", status)
                spans.tree.end_span(span)
            return find_llm_ancestor(node)

        return call

    def test_it_belongs_to_a_call_below_the_same_span(self, spans, call):
        """It was started in this thread and is open."""
        outer, _ = spans.begin()
        _, llm_node = spans.begin(outer, gen_ai__operation__name="chat")
        assert llm_node is call(outer)

    @pytest.mark.parametrize(("kind", "belongs"), [("generation", True), ("span", False)])
    def test_a_library_may_say_late_that_it_is_an_llm_call(self, kind, belongs, spans):
        """Langfuse's wrapper of openai starts a span, and then sets its attributes."""

        def run():
            spans.tracer = TracerProvider(shutdown_on_exit=False).get_tracer("langfuse-sdk")
            span, llm_node = spans.begin()
            span.set_attribute("langfuse.observation.type", kind)
            node = spans.tree.add_span(spans.tracer.start_span("call"))
            llm_beside = spans.tree.find_llm_beside(node, Context())
            assert belongs is (llm_node is llm_beside)

        copy_context().run(run)

    def test_other_spans_may_lie_between(self, spans, call):
        """The program's own instrumentor of the HTTP client makes one."""
        outer, _ = spans.begin()
        _, llm_node = spans.begin(outer, gen_ai__operation__name="chat")
        between, _ = spans.begin(outer)
        assert llm_node is call(between)

    def test_a_second_call_does_not_belong_to_it(self, spans, call):
        """The span stays open for as long as the first call's response is read."""
        _, llm_node = spans.begin(gen_ai__operation__name="chat")
        assert [llm_node, None] == [call(), call()]
        assert None is call(status=200)

    @pytest.mark.parametrize("status", [429, 500])
    def test_a_call_after_a_failed_one_belongs_to_it(self, status, spans, call):
        """The library retries within one span."""
        _, llm_node = spans.begin(gen_ai__operation__name="chat")
        assert [llm_node, llm_node, None] == [call(status=status), call(status=200), call()]

    def test_every_call_that_the_context_marks_belongs_to_it(self, spans, call):
        """Instrumentors of LLM libraries set the mark for the calls below them."""
        _, llm_node = spans.begin(gen_ai__operation__name="chat")
        mark = {"suppress_language_model_instrumentation": True}
        assert [llm_node, llm_node] == [call(**mark), call(**mark)]

    def test_no_call_after_its_end_belongs_to_it(self, spans, call):
        """The span has ended before the call starts."""
        span, _ = spans.begin(gen_ai__operation__name="chat")
        spans.tree.end_span(span)
        assert None is call()

    def test_no_call_elsewhere_belongs_to_it(self, spans, call):
        """The span lies below another span, or was started in another context."""
        outer, _ = spans.begin()
        spans.begin(outer, gen_ai__operation__name="chat")
        assert None is call()
        copy_context().run(spans.begin, gen_ai__operation__name="chat")
        assert None is call()

    def test_the_mark_is_the_key_of_the_package_that_defines_it(self):
        """If opentelemetry-semantic-conventions-ai is installed."""
        package = pytest.importorskip("opentelemetry.semconv_ai")
        key = package.SUPPRESS_LANGUAGE_MODEL_INSTRUMENTATION_KEY
        assert "suppress_language_model_instrumentation" == key


def test_a_span_stands_for_the_open_span_with_its_ids(spans):
    """A stand-in without attributes has the ids of the real span."""
    span, _ = spans.begin()
    stand_in = trace.NonRecordingSpan(span.get_span_context())
    assert span is spans.tree.resolve_span(stand_in)
    spans.tree.end_span(span)
    assert stand_in is spans.tree.resolve_span(stand_in)


def test_only_the_latest_reported_responses_are_kept(spans):
    """The others are forgotten, oldest first."""
    for number in range(1100):
        spans.begin(gen_ai__response__id=f"r{number}", gen_ai__usage__input_tokens=1)
    reported = [number for number in range(1100) if spans.tree.tokens_reported(f"r{number}")]
    assert [*range(76, 1100)] == reported
