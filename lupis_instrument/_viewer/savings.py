"""Estimates the cost that a provider's cache saved, by the catalog of prices."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache

_SAMPLE_TOKENS = 1000


def estimate_savings(provider: str | None, model: str | None, cached_tokens: int) -> float | None:
    """Return the difference between input and cached input in USD; None without known prices.

    Args:
        provider: the provider.
        model: the model.
        cached_tokens: the input tokens that came from the cache.
    """
    if not cached_tokens:
        return 0.0
    rate = None if provider is None or model is None else _find_rate(provider, model)
    return None if rate is None else rate * cached_tokens


@lru_cache(maxsize=512)
def _find_rate(provider: str, model: str) -> float | None:
    """Return the USD that one cached token saves, at the prices of short requests."""
    # Imported here: the catalog takes time to load.
    from lupis_instrument._llm.pricing.prices import price_call
    from lupis_instrument._llm.usage.usage import Usage

    totals = [
        price_call(
            provider=provider,
            api_url="",
            models=(model,),
            usage=Usage(_SAMPLE_TOKENS, 0, cache_read_tokens=cached),
            at=datetime.now(timezone.utc),
        ).total
        for cached in (0, _SAMPLE_TOKENS)
    ]
    if totals[0] is None or totals[1] is None:
        return None
    return float(totals[0] - totals[1]) / _SAMPLE_TOKENS
