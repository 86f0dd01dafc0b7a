"""Turns the prices of the installed genai-prices into the catalogue that the package ships.

The first line of the catalogue says where it comes from and lists units and providers; each line
after that is one model, provider by provider, so that a reader parses those it needs and a diff
shows which model changed. `lupis_instrument/_llm/pricing/catalog.py` reads it.

usage: python .ci/catalog.py
"""

# A script, which prints:
# ruff: noqa: INP001, T201

from __future__ import annotations

import json
import re
from datetime import date, datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any, Iterator

SOURCE = "genai-prices"
CATALOG = Path(__file__).parents[1] / "lupis_instrument" / "_llm" / "pricing" / "catalog.jsonl"

# genai-prices lists no prices for two kinds of model: those that cost nothing, and those whose
# price it doesn't know. What tells them apart is a name or a comment, or else a row here.
_FREE_NAME = re.compile(r":free$|-exp(?:-[0-9-]+)?$")
_FREE_COMMENT = re.compile(r"free of charge|zero token cost", re.IGNORECASE)
_FREE = {
    ("google", "gemma-3"): "ai.google.dev/gemini-api/docs/pricing: free of charge",
    ("google", "gemma-3n"): "ai.google.dev/gemini-api/docs/pricing: free of charge",
    ("openai", "moderation"): "platform.openai.com/docs/guides/moderation: free to use",
}


def build(day: str) -> str:
    """Return the text of the catalogue; the same for the same genai-prices and day."""
    from genai_prices.data import providers
    from genai_prices.data_units import unit_data

    blocks = [
        "".join(_model(provider, model) for model in provider.models) for provider in providers
    ]
    header = {
        "source": SOURCE,
        "version": metadata.version(SOURCE),
        "date": day,
        "units": {name: _unit(name, row) for name, row in unit_data.items()},
        "providers": [
            _provider(provider, len(block.encode())) for provider, block in zip(providers, blocks)
        ],
    }
    return _line(header) + "".join(blocks)


def read_header() -> dict[str, Any]:
    """Return the first line of the catalogue that is there; nothing if there is none."""
    if not CATALOG.exists():
        return {}
    with CATALOG.open(encoding="utf-8") as lines:
        header: dict[str, Any] = json.loads(next(lines))
    return header


def _unit(name: str, row: dict[str, Any]) -> list[Any]:
    return [row.get("price_key", name), row["per"], row.get("dimensions", {})]


def _provider(provider: Any, size: int) -> dict[str, Any]:
    found = {
        "id": provider.id,
        "name": provider.name,
        "bytes": size,
        "url": provider.api_pattern,
        "ids": provider.provider_match and _clause(provider.provider_match),
        "models": provider.model_match and _clause(provider.model_match),
        "fallbacks": provider.fallback_model_providers,
    }
    return {name: value for name, value in found.items() if value is not None}


def _model(provider: Any, model: Any) -> str:
    prices = _price_list(model.prices, free=_is_free(provider.id, model))
    columns = [model.id, _clause(model.match), prices]
    variants = [
        [variant.when, _constraint(variant.constraint), _prices(variant.prices, free=False)]
        for variant in model.price_variants or ()
    ]
    return _line([*columns, variants] if variants else columns)


def _is_free(provider: str, model: Any) -> bool:
    return bool(
        (provider, model.id) in _FREE
        or _FREE_NAME.search(model.id)
        or _FREE_COMMENT.search(model.price_comments or "")
    )


def _clause(clause: Any) -> Any:
    """Return a matching rule: a text to equal, a list of which one matches, or kind and operand."""
    ((kind, operand),) = vars(clause).items()
    if kind == "or_":
        return [_clause(each) for each in operand]
    if kind == "and_":
        return {"and": [_clause(each) for each in operand]}
    if kind == "equals":
        return operand.lower()
    return {kind: operand if kind == "regex" else operand.lower()}


def _price_list(prices: Any, *, free: bool) -> Any:
    """Return the one set of prices, or several with the constraint of each."""
    if not isinstance(prices, list):
        return _prices(prices, free=free)
    return [[_constraint(row.constraint), _prices(row.prices, free=free)] for row in prices]


def _prices(prices: Any, *, free: bool) -> Any:
    found = {name: _price(price) for name, price in _given(prices)}
    return "free" if free and not found else found


def _given(prices: Any) -> Iterator[tuple[str, Any]]:
    return ((name, price) for name, price in vars(prices).items() if price is not None)


def _price(price: Any) -> Any:
    """Return USD as text, digit for digit; tiers follow as [the number one begins above, USD]."""
    if hasattr(price, "tiers"):
        return [f"{price.base:f}", *([tier.start, f"{tier.price:f}"] for tier in price.tiers)]
    return f"{price:f}"


def _constraint(constraint: Any) -> Any:
    """Return None, the day (UTC) prices start on, or the times of day (UTC) they hold between."""
    if constraint is None:
        return None
    if hasattr(constraint, "start_date"):
        return constraint.start_date.isoformat()
    return [_utc(constraint.start_time), _utc(constraint.end_time)]


def _utc(time: Any) -> str:
    if time.tzinfo is not None:
        time = datetime.combine(date(1970, 1, 1), time).astimezone(timezone.utc).time()
    return str(time.isoformat())


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def main() -> None:
    """Write the catalogue; its day is that on which this version's was first written."""
    header = read_header()
    known = header.get("version") == metadata.version(SOURCE)
    day = header["date"] if known else datetime.now(timezone.utc).date().isoformat()
    text = build(day)
    CATALOG.write_text(text, encoding="utf-8")
    print(f"{CATALOG}: {SOURCE} {metadata.version(SOURCE)}, {text.count(chr(10)) - 1} models")


if __name__ == "__main__":
    main()
