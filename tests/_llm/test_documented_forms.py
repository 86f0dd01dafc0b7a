"""Tokens and cost of answers in documented forms, and of damaged answers."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timezone
from urllib.parse import urlsplit

import pytest
from _llm.conftest import read_call
from _llm.documented_forms import FORMS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lupis_instrument._llm.api.endpoints import identify_endpoint
from lupis_instrument._llm.pricing.prices import FREE, UNPRICED, price_call
from lupis_instrument._llm.usage.usage import Usage

AT = datetime(2026, 11, 30, tzinfo=timezone.utc)
USAGE_FIELDS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cached": "cache_read_tokens",
    "reasoning": "reasoning_tokens",
}


def read_form(form, answer):
    """The endpoint, the facts and the price of a form's call with this answer."""
    method = "POST" if form.request is not None else "GET"
    request = None if form.request is None else dict(form.request)
    facts = read_call(answer, url=form.url, method=method, request=request, headers=form.headers)
    parts = urlsplit(form.url)
    endpoint = identify_endpoint(method, parts.hostname, parts.port, parts.path)
    price = price_call(
        provider=endpoint.provider,
        api_url=form.url,
        models=(facts.response_model, facts.request_model),
        usage=facts.usage,
        at=AT,
    )
    return endpoint, facts, price


@pytest.mark.parametrize("form", FORMS, ids=[form.name for form in FORMS])
def test_documented_form_is_read(form):
    """Each expected value is read."""
    endpoint, facts, price = read_form(form, form.answer)
    usage = facts.usage or Usage()
    result = {
        "provider": endpoint.provider,
        "operation": endpoint.operation,
        **{name: getattr(usage, field) for name, field in USAGE_FIELDS.items()},
        "cost": price.total if price.total is None else pytest.approx(float(price.total)),
        "status": price.status,
        "source": price.source,
        "estimate": price.estimate if price.estimate is None else float(price.estimate),
        "error": facts.error_type,
    }
    expected = {name: value for name, value in form.expected.items() if name != "reason"}
    assert expected == {name: result[name] for name in expected}
    assert form.expected.get("reason", "") in (price.reason or "")


def list_places(value, path=()):
    """The paths of all members of an answer."""
    rows = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in rows:
        yield (*path, key)
        if isinstance(member, (dict, list)):
            yield from list_places(member, (*path, key))


@st.composite
def damaged_answers(draw):
    """A form, and its answer with one to three members changed or missing."""
    form = draw(st.sampled_from([row for row in FORMS if isinstance(row.answer, dict)]))
    answer = copy.deepcopy(form.answer)
    for path in draw(st.lists(st.sampled_from([*list_places(answer)]), min_size=1, max_size=3)):
        holder = answer
        try:
            for key in path[:-1]:
                holder = holder[key]
            if draw(st.booleans()):
                del holder[path[-1]]
            else:
                holder[path[-1]] = draw(
                    st.sampled_from([None, -1, 1.5, "x", [], {}, True, 10**30, "house-model", 7])
                )
        except (LookupError, TypeError):
            continue  # an earlier change has removed the member
    return form, answer


@settings(max_examples=300, deadline=None, database=None, derandomize=True,
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(damaged_answers())
def test_unknown_is_never_zero(damaged):
    """A cost of $0 is the price of a free model, and no cost is an unpriced call's."""
    form, answer = damaged
    price = read_form(form, json.loads(json.dumps(answer)))[2]
    if price.total == 0:
        assert FREE == price.status
        assert str((form.request or {}).get("model")).endswith(":free")
    assert (price.total is None) == (price.status == UNPRICED)
    assert price.reason or price.status in ("priced", FREE)
