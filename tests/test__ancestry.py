"""Which spans lie above a call's, and who waits for whom."""

from contextvars import copy_context

import pytest
from opentelemetry import trace
from opentelemetry.context import Context, set_value
from opentelemetry.sdk.trace import TracerProvider

from lupis_instrument._ancestry import Ancestry, llm_above


class Family:
    """Spans of a provider like the program's, noted as they begin."""

    def __init__(self):
        self.ancestry = Ancestry()
        self.tracer = TracerProvider(shutdown_on_exit=False).get_tracer("theirs")

    def begin(self, parent=None, **attributes):
        """A span below another, and its node."""
        context = trace.set_span_in_context(parent) if parent is not None else None
        given = {name.replace("__", "."): value for name, value in attributes.items()}
        span = self.tracer.start_span("span", context=context, attributes=given)
        return span, self.ancestry.begin(span, context)


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
    assert (wanted if found else None) is llm_above(node)


def test_a_span_does_not_lie_above_itself(family):
    """It may be of an LLM library."""
    _, node = family.begin(gen_ai__system="openai")
    assert None is llm_above(node)


def test_what_waits_is_called_once_when_the_span_ends(family):
    """And at once after that."""
    span, node = family.begin()
    called = []
    family.ancestry.wait(node, lambda: called.append("waited"))
    assert [] == called
    family.ancestry.end(span)
    family.ancestry.end(span)
    family.ancestry.release()
    assert ["waited"] == called
    node.then(lambda: called.append("late"))
    assert ["waited", "late"] == called


def test_a_span_that_never_ends_holds_nobody_for_ever(family):
    """A flush lets go of what waits."""
    _, node = family.begin()
    called = []
    family.ancestry.wait(node, lambda: called.append(1))
    family.ancestry.release()
    assert [1] == called


def test_patience_has_an_end(family, monkeypatch):
    """The next one that waits lets go of those that have waited too long."""
    monkeypatch.setattr("lupis_instrument._ancestry._PATIENCE", -1)
    _, node = family.begin()
    called = []
    family.ancestry.wait(node, lambda: called.append(1))
    assert [1] == called


def test_a_child_process_starts_with_none(family):
    """The spans under way are its parent's."""
    span, _ = family.begin(gen_ai__system="openai")
    family.ancestry.forget()
    _, node = family.begin(span)
    assert None is llm_above(node)


class TestBesideTheCall:
    """An LLM library's span that its instrumentor doesn't make current, only marks the context."""

    @pytest.fixture
    def marked(self):
        """A context as such instrumentors make it."""
        return set_value("suppress_language_model_instrumentation", True)

    @pytest.fixture
    def below(self, family, marked):
        """Begins the span of a call made in a marked context."""

        def begin(parent=None, context=marked):
            context = context if parent is None else trace.set_span_in_context(parent, context)
            return family.ancestry.begin(family.tracer.start_span("call", context=context), context)

        return begin

    @pytest.fixture
    def started(self, family):
        """Runs in a context of its own, which such a span's start marks."""
        return copy_context().run

    def test_it_is_found(self, started, family, below):
        """It was begun here, beneath the same span."""

        def act():
            outer, _ = family.begin()
            _, wanted = family.begin(outer, gen_ai__operation__name="chat")
            assert wanted is llm_above(below(outer))

        started(act)

    def test_the_mark_tells(self, started, family, below):
        """Without it the call lies below nothing."""

        def act():
            family.begin(gen_ai__operation__name="chat")
            assert None is llm_above(below(context=Context()))

        started(act)

    def test_one_that_has_ended_is_not(self, started, family, below):
        """The mark was left by another then."""

        def act():
            span, _ = family.begin(gen_ai__operation__name="chat")
            family.ancestry.end(span)
            assert None is llm_above(below())

        started(act)

    def test_one_elsewhere_is_not(self, started, family, below):
        """It lies below another span, or in another context."""

        def act():
            outer, _ = family.begin()
            family.begin(outer, gen_ai__operation__name="chat")
            assert None is llm_above(below())

        started(act)
        assert None is llm_above(below())

    def test_the_mark_is_that_of_the_field(self):
        """Where the package that defines it is installed."""
        package = pytest.importorskip("opentelemetry.semconv_ai")
        key = package.SUPPRESS_LANGUAGE_MODEL_INSTRUMENTATION_KEY
        assert "suppress_language_model_instrumentation" == key
