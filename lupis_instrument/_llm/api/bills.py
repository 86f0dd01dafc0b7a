"""Where providers state the cost of a call in its answer: one row for each statement."""

from __future__ import annotations

from typing import Any, NamedTuple

from lupis_instrument._llm.api.field_paths import FieldPath, split_paths


class BillRow(NamedTuple):
    """A statement of the cost of a call.

    Attributes:
        path: the path of the amount, in the report or in the members that `RESPONSE_FIELDS` calls
            `charges`.
        per_usd: the number of the provider's units that are one US dollar.
        providers: the providers whose amount it is; empty if the path says enough.
        own_key: the path of an amount that the user pays to another company, which is added if the
            member `is_byok` (bring your own key) is true.
        if_zero: the path of an amount that counts if the amount at `path` is 0.
        beside: a member that the report must have, so that the path says enough.
        zero_counts: whether an amount of 0 states that the call is free.
    """

    path: FieldPath
    per_usd: int = 1
    providers: frozenset[str] = frozenset()
    own_key: FieldPath = ()
    if_zero: FieldPath = ()
    beside: str = ""
    zero_counts: bool = True


def _row(
    path: str, providers: str = "", *, own_key: str = "", if_zero: str = "", **more: Any
) -> BillRow:
    amount, key_amount, other_amount = map(_split_path, (path, own_key, if_zero))
    names = frozenset(providers.split())
    return BillRow(amount, providers=names, own_key=key_amount, if_zero=other_amount, **more)


def _split_path(path: str) -> FieldPath:
    return split_paths(path)[0] if path else ()


BILLS: tuple[BillRow, ...] = (
    # docs.x.ai/developers/cost-tracking
    _row("cost_in_usd_ticks", per_usd=10**10),
    # vercel.com/docs/ai-gateway/capabilities/usage: `cost` is 0 with the user's own key
    _row("cost", "vercel", if_zero="market_cost"),
    # openrouter.ai/docs/use-cases/usage-accounting. Other gateways use the same form; the member
    # `cost_details` tells it from amounts in other currencies.
    _row("cost", "openrouter", own_key="cost_details.upstream_inference_cost"),
    _row("cost", own_key="cost_details.upstream_inference_cost", beside="cost_details"),
    # docs.perplexity.ai/guides/pricing
    _row("cost.total_cost"),
    # charm.land/hyper; docs.venice.ai/api-reference/endpoint/chat/completions
    _row("cost.usd"),
    _row("usd", "venice", zero_counts=False),  # 0 if the call was paid in the provider's token
    # avian.io/docs, docs.requesty.ai
    _row("cost", "avian deepinfra opencode requesty"),
    # deepinfra.com/docs: `usage` of chats, and `inference_status` of the native API
    _row("estimated_cost", "deepinfra"),
    # ai.pydantic.dev/gateway
    _row("pydantic_ai_gateway.cost_estimate"),
    # docs.github.com/copilot/concepts/billing: 1 AI credit is 0.01 USD; a call within the plan
    # states 0
    _row("total_nano_aiu", per_usd=10**11, zero_counts=False),
)
"""The statements, the most specific first."""

BILL_NAMES = frozenset(row.path[0] for row in BILLS)
"""The first members of all paths."""

BILL_HEADERS = frozenset(
    ("x-litellm-response-cost",)  # docs.litellm.ai/docs/proxy/response_headers
)
"""Response headers that state the cost in USD. LiteLLM states 0 for models it has no price for."""
