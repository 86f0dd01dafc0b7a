"""The conditions of questions."""

import pytest

from lupis_instrument._query.calls import list_calls
from lupis_instrument._query.filters import make_filter
from lupis_instrument._query.text_filter import FilterSyntaxError, parse_filter


@pytest.fixture
def calls(store, other_store):
    """Three calls that differ in all fields."""
    attributes = {"user.id": "u7", "session.id": "s1", "lupis.metadata.organization_id": "acme"}
    store.call("gpt-4o", chat="trip", cost=0.5, seconds=3, **attributes)
    store.call(
        "gpt-4o-mini",
        chat="two words",
        input_tokens=2000,
        error="429",
        **{"http.response.status_code": 429, "http.request.resend_count": 2},
    )
    other_store.call("claude", "anthropic", cost=0.01, **{"server.address": "api.anthropic.com"})
    return store


def select(ask, call_filter):
    """Return the models of the selected calls."""
    return {call.model for call in ask(list_calls, call_filter).calls}


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("", {"gpt-4o", "gpt-4o-mini", "claude"}),
        ("model:gpt-4o", {"gpt-4o"}),
        ("model:gpt*", {"gpt-4o", "gpt-4o-mini"}),
        ("-model:gpt*", {"claude"}),
        ("model:gpt-4[o", set()),
        ("-model:claude provider:openai", {"gpt-4o", "gpt-4o-mini"}),
        ("error", {"gpt-4o-mini"}),
        ("-error", {"gpt-4o", "claude"}),
        ("error:429", {"gpt-4o-mini"}),
        ("status:429", {"gpt-4o-mini"}),
        ("status>=400", {"gpt-4o-mini"}),
        ("retries", {"gpt-4o-mini"}),
        ("-retry", {"gpt-4o", "claude"}),
        ("user:u7", {"gpt-4o"}),
        ("-user:u7", {"gpt-4o-mini", "claude"}),
        ("session:s1 org:acme", {"gpt-4o"}),
        ('chat:"two words"', {"gpt-4o-mini"}),
        ("cost>0.01", {"gpt-4o"}),
        ("cost>=$0.01", {"gpt-4o", "claude"}),
        ("cost<0.1", {"claude"}),
        ("-cost", {"gpt-4o-mini"}),
        ("duration>2s", {"gpt-4o"}),
        ("duration<=1500ms", {"gpt-4o-mini", "claude"}),
        ("time>2", {"gpt-4o"}),
        ("in>1000", {"gpt-4o-mini"}),
        ("project:lab", {"claude"}),
        ("-project:lab", {"gpt-4o", "gpt-4o-mini"}),
        ("run:bbb", {"claude"}),
        ("service:agent operation:chat", {"gpt-4o", "gpt-4o-mini", "claude"}),
        ("host:api.anthropic.com", {"claude"}),
        ("trip", {"gpt-4o"}),
        ("-trip", {"gpt-4o-mini", "claude"}),
        ('"o words"', {"gpt-4o-mini"}),
        ("ANTHROPIC", {"claude"}),
        ("since:1h", {"gpt-4o", "gpt-4o-mini", "claude"}),
        ("until:1h", set()),
        ("tag.team:red", set()),
    ],
)
def test_text_selects_calls(text, models, calls, ask):
    """A call must match every word."""
    assert models == select(ask, parse_filter(text))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("colour:red", "'colour:red': no such field"),
        ("cost>much", "'cost>much': expected a number, such as 0.01"),
        ("duration>long", "expected a number, such as 2s or 300ms"),
        ("model:", "expected a value after ':'"),
        ("since:noon", "expected 30m, 1h, 2d or 1w"),
        ("trace:xyz", "up to 32 hexadecimal digits"),
    ],
)
def test_a_wrong_word_is_named(text, problem):
    """The message says the word and the valid ones."""
    with pytest.raises(FilterSyntaxError, match=problem):
        parse_filter(f"error {text}")


def test_a_quote_that_nothing_closes_is_a_part_of_the_word(ask, calls):
    """People type filters letter by letter."""
    assert set() == select(ask, parse_filter('"two words'))


def test_values_select_calls(calls, ask):
    """None stands for no condition, and True asks for any value."""
    assert {"gpt-4o"} == select(ask, make_filter(chat="trip", user=None))
    assert {"gpt-4o", "claude"} == select(ask, make_filter(error=False))
    assert {"gpt-4o"} == select(ask, make_filter(min_cost=0.1))


def test_a_value_is_no_pattern(store, ask):
    """The ids of conversations may have any characters."""
    store.call("a", chat="c*")
    store.call("b", chat="cc")
    assert {"a"} == select(ask, make_filter(chat="c*"))


def test_an_unknown_field_is_refused():
    """The caller has misspelt it."""
    with pytest.raises(ValueError, match="no field 'colour'"):
        make_filter(colour="red")
