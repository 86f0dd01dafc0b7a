"""The cost that a provider states in its answer."""

from __future__ import annotations

from decimal import Decimal

import pytest

from lupis_instrument._llm.usage.stated_cost import read_header_cost, read_stated_cost


@pytest.mark.parametrize(
    ("provider", "report", "cost"),
    [
        ("openrouter", {"cost": 0.25}, "0.25"),
        ("openrouter", {"cost": 0}, "0"),
        ("openrouter", {"cost": "0.25"}, "0.25"),
        ("x_ai", {"cost_in_usd_ticks": 12345}, "0.0000012345"),
        ("vercel", {"cost": 0, "market_cost": 0.5}, "0.5"),
        ("vercel", {"cost": 0.25, "market_cost": 0.5}, "0.25"),
        ("vercel", {"cost": 0, "is_byok": True}, None),
        ("openai", {"cost": 0.25}, None),
        ("openai", {"cost": 0.25, "cost_details": {}}, "0.25"),
        ("venice", {"usd": 0, "diem": 1}, None),
        ("github_copilot", {"total_nano_aiu": 0}, None),
    ],
)
def test_stated_cost_is_read(provider, report, cost):
    """The unit is the provider's; some state 0 for calls that are paid in another manner."""
    expected = None if cost is None else Decimal(cost)
    assert expected == read_stated_cost(provider, report)


@pytest.mark.parametrize(
    "amount", [None, True, -1, "x", "", [], {}, float("nan"), float("inf"), 10**400, "9" * 99, 1e9]
)
def test_damaged_amount_states_nothing(amount):
    """An amount is a number of USD, not negative and not absurdly large."""
    assert read_stated_cost("openrouter", {"cost": amount}) is None


def test_own_key_is_added():
    """The user pays the gateway's fee and the other company."""
    details = {"cost_details": {"upstream_inference_cost": 0.5}}
    costs = [
        read_stated_cost("openrouter", {"cost": 0.25, "is_byok": own, **details})
        for own in (True, False)
    ]
    assert [Decimal("0.75"), Decimal("0.25")] == costs


@pytest.mark.parametrize(("text", "cost"), [("0.5", "0.5"), ("1e-05", "0.00001"), ("0.0", None)])
def test_header_states_a_cost(text, cost):
    """LiteLLM states 0 for models that it has no price for."""
    expected = None if cost is None else Decimal(cost)
    assert expected == read_header_cost({"x-litellm-response-cost": text})
