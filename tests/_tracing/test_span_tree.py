"""Which spans lie above a call's, and who waits for whom."""

from collections import deque
from contextvars import copy_context

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider

from lupis_instrument._tracing.span_tree import SpanTree, find_llm_ancestor


class Family:
    """Spans of a provider like the program's, noted as they begin."""

    def __init__(self):
        self.span_tree = SpanTree()
        self.tracer = TracerProvider(shutdown_on_exit=False).get_tracer("theirs")

    def begin(self, parent=None, **attributes):
        """A span below another, and its node."""
        context = trace.set_span_in_context(parent) if parent is not None else None
        given = {name.replace("__", "."): value for name, value in attributes.items()}
        span = self.tracer.start_span("span", context=context, attributes=given)
        return span, self.span_tree.begin_span(span, context)


@pytest.fixture
def family():
    """An empty ancestry."""
    return Family()


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        ({"gen_ai__operation__name": "chat"}, True),
        ({"gen_ai__operation__name": "invoke_agent", "gen_ai__system": "x"}, False),
        ({"gen_ai__system": "openai"}, True),
        ({"llm__request__type": "chat"}, True),
        ({"openinference__span__kind": "LLM"}, True),
        ({"openinference__span__kind": "AGENT"}, False),
        ({"gen_ai__usage__prompt_tokens": 3}, True),
        ({"http__method": "POST"}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("between", [0, 1, 3])
def test_the_span_of_an_llm_library_is_found(attributes, found, between, family):
    """By what it says; however many others lie between."""
    span, wanted = family.begin(**attributes)
    for _ in range(between):
        span, _node = family.begin(span)
    _, node = family.begin(span)
    assert (wanted if found else None) is find_llm_ancestor(node)


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("chat openai/gpt-4o", "CLIENT", True),
        ("embeddings m", "CLIENT", True),
        ("chat", "CLIENT", True),
        ("chat gpt-4o", "INTERNAL", False),
        ("chatting", "CLIENT", False),
        ("POST", "CLIENT", False),
    ],
)
def test_a_span_that_says_nothing_yet_is_known_by_its_name(name, kind, found, family):
    """OpenLIT's of LiteLLM tell of the call when it is over."""
    span = family.tracer.start_span(name, kind=trace.SpanKind[kind])
    wanted = family.span_tree.begin_span(span, None)
    _, node = family.begin(span)
    assert (wanted if found else None) is find_llm_ancestor(node)


def test_a_span_does_not_lie_above_itself(family):
    """It may be of an LLM library."""
    _, node = family.begin(gen_ai__system="openai")
    assert None is find_llm_ancestor(node)


def test_what_waits_is_called_once_when_the_span_ends(family):
    """And at once after that."""
    span, node = family.begin()
    called = []
    family.span_tree.wait_for_end(node, lambda: called.append("waited"))
    assert [] == called
    family.span_tree.end_span(span)
    family.span_tree.end_span(span)
    family.span_tree.release_waiting()
    assert ["waited"] == called
    node.call_when_ended(lambda: called.append("late"))
    assert ["waited", "late"] == called


def test_a_span_that_never_ends_holds_nobody_for_ever(family):
    """A flush lets go of what waits."""
    _, node = family.begin()
    called = []
    family.span_tree.wait_for_end(node, lambda: called.append(1))
    family.span_tree.release_waiting()
    assert [1] == called


def test_who_waits_lets_no_other_out_of_sight(family):
    """A flush in another thread finds those that are not to be let go of yet."""
    _, node = family.begin()
    called = []

    class Watched(deque):
        def popleft(self):
            called.append("taken")
            return super().popleft()

    family.span_tree._waits = Watched()
    family.span_tree.wait_for_end(node, lambda: called.append("let go"))
    assert [] == called
    family.span_tree.release_waiting()
    assert ["taken", "let go"] == called


def test_patience_has_an_end(family, monkeypatch):
    """The next one that waits lets go of those that have waited too long."""
    monkeypatch.setattr("lupis_instrument._tracing.span_tree._MAX_WAIT", -1)
    _, node = family.begin()
    called = []
    family.span_tree.wait_for_end(node, lambda: called.append(1))
    assert [1] == called


def test_a_child_process_starts_with_none(family):
    """The spans under way are its parent's."""
    span, _ = family.begin(gen_ai__system="openai")
    family.span_tree.reset()
    _, node = family.begin(span)
    assert None is find_llm_ancestor(node)


class TestBesideTheCall:
    """An LLM library's span that its instrumentor doesn't make current."""

    @pytest.fixture(autouse=True)
    def _elsewhere(self, family):
        """What was begun in a test is begun there only."""
        token = family.span_tree._latest_llm_node.set(lambda: None)
        yield
        family.span_tree._latest_llm_node.reset(token)

    @pytest.fixture
    def call(self, family):
        """Begins the span of an LLM call, and puts it below the library's, if there is one."""

        def call(parent=None, status=None, **context):
            here = Context(context)
            here = here if parent is None else trace.set_span_in_context(parent, here)
            span = family.tracer.start_span("call", context=here)
            node = family.span_tree.begin_span(span, here)
            llm = family.span_tree.find_llm_beside(node, here)
            if llm is not None:
                family.span_tree.attach_below(node, llm)
            if status is not None:
                span.set_attribute("http.response.status_code", status)
                family.span_tree.end_span(span)
            return find_llm_ancestor(node)

        return call

    def test_it_is_found(self, family, call):
        """It was begun here, beneath the same span."""
        outer, _ = family.begin()
        _, wanted = family.begin(outer, gen_ai__operation__name="chat")
        assert wanted is call(outer)

    def test_others_may_lie_between(self, family, call):
        """As the program's own instrumentor's of the HTTP client."""
        outer, _ = family.begin()
        _, wanted = family.begin(outer, gen_ai__operation__name="chat")
        between, _ = family.begin(outer)
        assert wanted is call(between)

    def test_another_call_is_not_its(self, family, call):
        """It may stay open for as long as the first one's answer is read."""
        _, wanted = family.begin(gen_ai__operation__name="chat")
        assert [wanted, None] == [call(), call()]
        assert None is call(status=200)

    @pytest.mark.parametrize("status", [429, 500])
    def test_an_attempt_after_one_that_failed_is(self, status, family, call):
        """The library makes it."""
        _, wanted = family.begin(gen_ai__operation__name="chat")
        assert [wanted, wanted, None] == [call(status=status), call(status=200), call()]

    def test_all_are_where_the_context_says_so(self, family, call):
        """By a mark that instrumentors of LLM libraries leave."""
        _, wanted = family.begin(gen_ai__operation__name="chat")
        mark = {"suppress_language_model_instrumentation": True}
        assert [wanted, wanted] == [call(**mark), call(**mark)]

    def test_one_that_has_ended_is_not_found(self, family, call):
        """The call comes after it."""
        span, _ = family.begin(gen_ai__operation__name="chat")
        family.span_tree.end_span(span)
        assert None is call()

    def test_one_elsewhere_is_not_found(self, family, call):
        """It lies below another span, or was begun in another context."""
        outer, _ = family.begin()
        family.begin(outer, gen_ai__operation__name="chat")
        assert None is call()
        copy_context().run(family.begin, gen_ai__operation__name="chat")
        assert None is call()

    def test_the_mark_is_that_of_the_field(self):
        """Where the package that defines it is installed."""
        package = pytest.importorskip("opentelemetry.semconv_ai")
        key = package.SUPPRESS_LANGUAGE_MODEL_INSTRUMENTATION_KEY
        assert "suppress_language_model_instrumentation" == key


def test_answers_that_were_told_of_are_not_kept_for_ever(family):
    """The latest are."""
    for number in range(1100):
        family.begin(gen_ai__response__id=f"r{number}", gen_ai__usage__input_tokens=1)
    told = [number for number in range(1100) if family.span_tree.tokens_reported(f"r{number}")]
    assert [*range(76, 1100)] == told
