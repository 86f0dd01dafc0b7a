"""Makes a price catalog from the data file that genai-prices publishes.

https://github.com/pydantic/genai-prices/blob/main/prices/new_data/v2/data.schema.json
"""

from __future__ import annotations

import json
import re
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Mapping
from zlib import crc32

from lupis_instrument._llm.pricing.name_rules import matches_rule

if TYPE_CHECKING:
    from lupis_instrument._llm.pricing.catalog import PriceCatalog, PriceList

# genai-prices lists two kinds of models without prices: free models, and models whose price it
# does not know. A model is free if its id or a comment says so, or if it has a row here.
_FREE_NAME = re.compile(r":free$|-exp(?:-[0-9-]+)?$")
_FREE_COMMENT = re.compile(r"free of charge|zero token cost", re.IGNORECASE)
_FREE = {
    ("google", "gemma-3"): "ai.google.dev/gemini-api/docs/pricing: free of charge",
    ("google", "gemma-3n"): "ai.google.dev/gemini-api/docs/pricing: free of charge",
    ("openai", "moderation"): "platform.openai.com/docs/guides/moderation: free to use",
}
_MAX_RATE = Decimal(100_000)
"""No unit of the catalog costs more, in USD: the dearest models cost 600 per million tokens."""
_MIN_SHARE = 0.5
"""The share of the models in the older catalog that a newer one must have."""


def is_free(provider: str, model: str, comment: str | None) -> bool:
    """Return whether a model without prices is free, rather than of an unknown price."""
    return bool(
        (provider, model) in _FREE
        or _FREE_NAME.search(model)
        or _FREE_COMMENT.search(comment or "")
    )


def convert_source(text: bytes, older: PriceCatalog, day: date) -> bytes:
    """Return the content of a catalog with the prices of `text`.

    Providers that the older catalog has and the newer data lacks stay in it.

    Args:
        text: the data file of genai-prices.
        older: the catalog that the package ships.
        day: the day on which the data was fetched.

    Raises:
        ValueError: the data has another form, or is implausible; the message says how.
    """
    try:
        document = json.loads(text, parse_float=Decimal, parse_int=Decimal)
        blocks = [_convert_provider(row, older) for row in document]
    except (KeyError, TypeError, AttributeError, ArithmeticError, re.error) as error:
        raise ValueError(f"unexpected form: {type(error).__name__} {error}") from None
    known = {head["id"] for head, _ in blocks}
    blocks += [
        (_describe_list(row), older.read_lines(row))
        for row in older.price_lists.values()
        if row.id not in known
    ]
    _check_size(blocks, older)
    lines = b"".join(block for _, block in blocks)
    header = {
        "source": older.source,
        "version": day.isoformat(),
        "date": day.isoformat(),
        "crc32": crc32(lines),
        "units": older.units,
        "providers": [{**head, "bytes": len(block)} for head, block in blocks],
    }
    return _format_line(header) + lines


def _check_size(blocks: list[tuple[dict[str, Any], bytes]], older: PriceCatalog) -> None:
    """Refuse data that lacks most of the models that were known before."""
    count = sum(block.count(b"\n") for _, block in blocks)
    expected = sum(older.read_lines(row).count(b"\n") for row in older.price_lists.values())
    if count < expected * _MIN_SHARE:
        raise ValueError(f"only {count} models; the shipped catalog has {expected}")


def _convert_provider(row: Mapping[str, Any], older: PriceCatalog) -> tuple[dict[str, Any], bytes]:
    """Return the row of a provider in the header, and the lines of its models."""
    head = {
        "id": _read_text(row["id"]),
        "name": _read_text(row["name"]),
        "url": _read_pattern(row["api_pattern"]),
        "ids": _convert_optional_rule(row.get("provider_match")),
        "models": _convert_optional_rule(row.get("model_match")),
        "fallbacks": row.get("fallback_model_providers"),
    }
    lines = b"".join(_convert_model(head["id"], model, older) for model in row["models"])
    return {name: value for name, value in head.items() if value is not None}, lines


def _describe_list(row: PriceList) -> dict[str, Any]:
    """Return the row of a provider in the header, from a catalog."""
    members = {"id": row.id, "name": row.name, "url": row.url}
    rules = {"ids": row.alias_rule, "models": row.model_rule, "fallbacks": list(row.fallbacks)}
    return {**members, **{name: value for name, value in rules.items() if value}}


def _convert_model(provider: str, model: Mapping[str, Any], older: PriceCatalog) -> bytes:
    """Return the line of a model; no line if a price is for a unit that this version lacks."""
    variants = model.get("price_variants") or []
    lists = model["prices"] if isinstance(model["prices"], list) else [{"prices": model["prices"]}]
    names = {name for row in (*lists, *variants) for name in row["prices"]}
    if not names <= older.tariff.by_price.keys():
        return b""
    free = is_free(provider, model["id"], model.get("price_comments"))
    prices: Any = [
        [_convert_constraint(row.get("constraint")), _convert_prices(row["prices"], free=free)]
        for row in lists
    ]
    columns = [
        _read_text(model["id"]),
        _convert_rule(model["match"]),
        prices if isinstance(model["prices"], list) else prices[0][1],
    ]
    changes = [
        [
            {_read_text(name): _read_text(word) for name, word in row["when"].items()},
            _convert_constraint(row.get("constraint")),
            _convert_prices(row["prices"], free=False),
        ]
        for row in variants
    ]
    return _format_line([*columns, changes] if changes else columns)


def _convert_prices(prices: Mapping[str, Any], *, free: bool) -> Any:
    rates = {name: _convert_rate(rate) for name, rate in prices.items() if rate is not None}
    return "free" if free and not rates else rates


def _convert_rate(rate: Any) -> Any:
    """Return USD as text, or a list of that and one [threshold, USD] for each tier."""
    if isinstance(rate, dict):
        tiers = [[int(tier["start"]), _read_amount(tier["price"])] for tier in rate["tiers"]]
        return [_read_amount(rate["base"]), *tiers]
    return _read_amount(rate)


def _read_amount(amount: Any) -> str:
    usd = Decimal(str(amount)) if isinstance(amount, str) else amount
    if not isinstance(usd, Decimal) or not usd.is_finite() or not 0 <= usd <= _MAX_RATE:
        raise ValueError(f"implausible price: {str(amount)[:40]!r}")
    return f"{usd:f}"


def _convert_optional_rule(clause: Any) -> Any:
    return None if clause is None else _convert_rule(clause)


def _convert_rule(clause: Mapping[str, Any]) -> Any:
    """Return a rule for names in the form of `name_rules`."""
    ((kind, operand),) = clause.items()
    if kind in ("or", "and"):
        rules = [_convert_rule(row) for row in operand]
        return rules if kind == "or" else {"and": rules}
    text = _read_pattern(operand) if kind == "regex" else _read_text(operand).lower()
    rule = text if kind == "equals" else {kind: text}
    matches_rule(rule, "")  # raises KeyError for an unknown kind
    return rule


def _convert_constraint(constraint: Any) -> Any:
    """Return None, the first day of the prices, or two times of day in UTC."""
    if constraint is None:
        return None
    if "start_date" in constraint:
        return date(*map(int, constraint["start_date"].split("-"))).isoformat()
    return [_read_time(constraint["start_time"]), _read_time(constraint["end_time"])]


def _read_time(text: str) -> str:
    """Return a time of day in UTC."""
    moment = time.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is not None:
        moment = datetime.combine(date(1970, 1, 1), moment).astimezone(timezone.utc).time()
    return moment.isoformat()


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, not {type(value).__name__}")
    return value


def _read_pattern(value: Any) -> str:
    return re.compile(_read_text(value)).pattern


def _format_line(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode() + b"\n"
