"""Adds the cost to the attributes of a call that has usage and no price.

Such calls are reported by the spans of other libraries, here and at the receiver of `lupis ui`.
"""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from lupis_instrument import _semconv
from lupis_instrument._llm.pricing.prices import price_call
from lupis_instrument._llm.usage.stated_cost import read_stated_cost
from lupis_instrument._llm.usage.usage import Usage
from lupis_instrument._tracing.stages.enrich import COST_NAMES, USAGE_NAMES

if TYPE_CHECKING:
    from lupis_instrument._llm.pricing.catalog import PriceCatalog
    from lupis_instrument._llm.pricing.own_prices import OwnPrices

_USAGE = "gen_ai.usage."
_BILLS = ("cost_in_usd_ticks",)
"""Members of usage reports in which providers state the cost; libraries copy them."""
_COST_ATTRIBUTES = tuple(name for _, name in COST_NAMES)
_read_parts = attrgetter(*(field for field, _ in COST_NAMES))


def add_cost(
    attributes: dict[str, Any],
    at: int,
    own_prices: OwnPrices | None = None,
    catalog: PriceCatalog | None = None,
) -> None:
    """Add the cost of a call to its attributes, if they have usage and no cost.

    Args:
        attributes: the attributes of the call's span.
        at: the time of the call, nanoseconds since the epoch.
        own_prices: the user's own prices, used before the catalog's.
        catalog: the catalog of prices; None for the one that the package ships.
    """
    usage = _read_usage(attributes)
    if usage is None or _semconv.LUPIS_COST_STATUS in attributes:
        return
    provider = str(attributes.get(_semconv.GEN_AI_PROVIDER_NAME, ""))
    bills = {name: attributes[_USAGE + name] for name in _BILLS if _USAGE + name in attributes}
    cost = price_call(
        provider=provider,
        api_url=str(attributes.get(_semconv.URL_FULL, "")),
        models=(
            _read_text(attributes, _semconv.GEN_AI_RESPONSE_MODEL),
            _read_text(attributes, _semconv.GEN_AI_REQUEST_MODEL),
        ),
        usage=usage._replace(stated_cost=read_stated_cost(provider, bills)),
        at=datetime.fromtimestamp(at / 1e9, tz=timezone.utc),
        own_prices=own_prices,
        catalog=catalog,
    )
    for name, value in zip(_COST_ATTRIBUTES, _read_parts(cost)):
        if value is not None:
            attributes[name] = float(value) if isinstance(value, Decimal) else value


def _read_usage(attributes: dict[str, Any]) -> Usage | None:
    """Return the usage in the attributes; None without any."""
    counts = {
        field: attributes[name]
        for field, (name,) in USAGE_NAMES
        if name in attributes and type(attributes[name]) is int and attributes[name] >= 0
    }
    if "input_tokens" not in counts and "output_tokens" not in counts:
        return None
    return Usage(**counts)


def _read_text(attributes: dict[str, Any], name: str) -> str | None:
    value = attributes.get(name)
    return value if isinstance(value, str) else None
