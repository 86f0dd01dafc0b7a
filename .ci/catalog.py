"""Writes the price catalog that the package ships, from the installed genai-prices.

The header line of the catalog has its source, the units and the providers. Each further line is
one model, provider by provider. A reader can parse only the lines that it needs, and a diff shows
which models changed. `lupis_instrument/_llm/pricing/catalog.py` reads the file.

usage: python .ci/catalog.py
"""

# A script that prints:
# ruff: noqa: INP001, T201

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any, Iterator

from lupis_instrument._llm.pricing.catalog_source import is_free

SOURCE = "genai-prices"
CATALOG = Path(__file__).parents[1] / "lupis_instrument" / "_llm" / "pricing" / "catalog.jsonl"


def build_catalog(day: str) -> str:
    """Return the text of the catalog; it depends only on genai-prices and on `day`."""
    from genai_prices.data import providers
    from genai_prices.data_units import unit_data

    blocks = [
        "".join(_format_model(provider, model) for model in provider.models)
        for provider in providers
    ]
    header = {
        "source": SOURCE,
        "version": metadata.version(SOURCE),
        "date": day,
        "units": {name: _list_unit_columns(name, row) for name, row in unit_data.items()},
        "providers": [
            _describe_provider(provider, len(block.encode()))
            for provider, block in zip(providers, blocks)
        ],
    }
    return _format_line(header) + "".join(blocks)


def read_header() -> dict[str, Any]:
    """Return the header of the existing catalog; empty if there is no catalog."""
    if not CATALOG.exists():
        return {}
    with CATALOG.open(encoding="utf-8") as lines:
        header: dict[str, Any] = json.loads(next(lines))
    return header


def _list_unit_columns(name: str, row: dict[str, Any]) -> list[Any]:
    return [row.get("price_key", name), row["per"], row.get("dimensions", {})]


def _describe_provider(provider: Any, size: int) -> dict[str, Any]:
    """Return a provider's row in the header; its models take `size` bytes."""
    members = {
        "id": provider.id,
        "name": provider.name,
        "bytes": size,
        "url": provider.api_pattern,
        "ids": provider.provider_match and _convert_rule(provider.provider_match),
        "models": provider.model_match and _convert_rule(provider.model_match),
        "fallbacks": provider.fallback_model_providers,
    }
    return {name: value for name, value in members.items() if value is not None}


def _format_model(provider: Any, model: Any) -> str:
    prices = _convert_price_list(
        model.prices, free=is_free(provider.id, model.id, model.price_comments)
    )
    columns = [model.id, _convert_rule(model.match), prices]
    variants = [
        [
            variant.when,
            _convert_constraint(variant.constraint),
            _convert_prices(variant.prices, free=False),
        ]
        for variant in model.price_variants or ()
    ]
    return _format_line([*columns, variants] if variants else columns)


def _convert_rule(clause: Any) -> Any:
    """Return a rule for names in the form of `lupis_instrument._llm.pricing.name_rules`."""
    ((kind, operand),) = vars(clause).items()
    if kind == "or_":
        return [_convert_rule(option) for option in operand]
    if kind == "and_":
        return {"and": [_convert_rule(condition) for condition in operand]}
    if kind == "equals":
        return operand.lower()
    return {kind: operand if kind == "regex" else operand.lower()}


def _convert_price_list(prices: Any, *, free: bool) -> Any:
    """Return the prices of a model, or a list of (constraint, prices) if they change."""
    if not isinstance(prices, list):
        return _convert_prices(prices, free=free)
    return [
        [_convert_constraint(row.constraint), _convert_prices(row.prices, free=free)]
        for row in prices
    ]


def _convert_prices(prices: Any, *, free: bool) -> Any:
    rates = {name: _format_rate(price) for name, price in _iterate_prices(prices)}
    return "free" if free and not rates else rates


def _iterate_prices(prices: Any) -> Iterator[tuple[str, Any]]:
    return ((name, price) for name, price in vars(prices).items() if price is not None)


def _format_rate(price: Any) -> Any:
    """Return USD as text with all digits, or a list of that and one [threshold, USD] a tier."""
    if hasattr(price, "tiers"):
        return [f"{price.base:f}", *([tier.start, f"{tier.price:f}"] for tier in price.tiers)]
    return f"{price:f}"


def _convert_constraint(constraint: Any) -> Any:
    """Return None, the first day of the prices, or the two times of day between which they hold.

    All are in UTC.
    """
    if constraint is None:
        return None
    if hasattr(constraint, "start_date"):
        return constraint.start_date.isoformat()
    return [_format_time(constraint.start_time), _format_time(constraint.end_time)]


def _format_time(time: Any) -> str:
    """Return a time of day in UTC."""
    if time.tzinfo is not None:
        time = datetime.combine(date(1970, 1, 1), time).astimezone(timezone.utc).time()
    return str(time.isoformat())


def _format_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def main() -> None:
    """Write the catalog; its date stays the same until the version of genai-prices changes."""
    header = read_header()
    is_same_version = header.get("version") == metadata.version(SOURCE)
    day = header["date"] if is_same_version else datetime.now(timezone.utc).date().isoformat()
    text = build_catalog(day)
    CATALOG.write_text(text, encoding="utf-8")
    print(f"{CATALOG}: {SOURCE} {metadata.version(SOURCE)}, {text.count(chr(10)) - 1} models")


if __name__ == "__main__":
    main()
