"""Shows what models cost: the catalogue's price lists, and the user's own prices."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Iterator, Mapping, NamedTuple

from lupis_instrument._config.config import resolve_settings
from lupis_instrument._llm.api.providers import PROVIDER_ALIASES
from lupis_instrument._llm.pricing.catalog import FREE, ModelMatch, PriceCatalog, load_catalog
from lupis_instrument._llm.pricing.price_lists import PRICE_LISTS

if TYPE_CHECKING:
    from lupis_instrument._llm.pricing.catalog import PriceList
    from lupis_instrument._llm.pricing.own_prices import OwnPrices
    from lupis_instrument._llm.pricing.tariff import Prices, Rate

OWN = "LUPIS_PRICES_FILE"
# The prices that have a column of their own, with its heading.
_COLUMNS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache read",
    "cache_write_mtok": "cache write",
}
_MOST_SUGGESTED = 5


class Row(NamedTuple):
    """One set of prices of one model.

    Attributes:
        provider: the catalogue's id of the seller, or `OWN`.
        model: the catalogue's id of the model, or the name in the file.
        when: for which calls they are: a day they start on, times of day, a service tier, a
            provider of the user's file; empty for any.
        prices: name of the price -> USD per million tokens, or per the unit its name tells; a
            price with tiers is of the form that LUPIS_PRICES_FILE has.
    """

    provider: str
    model: str
    when: str
    prices: Mapping[str, Any]


class Missing(LookupError):  # noqa: N818 - it says what it is, and its message is for the user
    """No such model or provider; the message names those with the nearest names."""


def list_providers() -> list[Row]:
    """List the sellers, each with how many models it lists."""
    catalog = load_catalog()
    return [
        Row(seller.id, f"{len(catalog.list_models(seller))} models", "", {})
        for seller in catalog.price_lists.values()
    ]


def list_models(provider: str) -> list[Row]:
    """List a provider's models and their prices, at any time and for any calls.

    Raises:
        Missing: the catalogue has no prices of that provider.
    """
    catalog = load_catalog()
    seller = _find_seller(catalog, provider)
    return [
        row
        for listing in catalog.list_models(seller)
        for row in _describe(ModelMatch(seller, listing, is_own=True))
    ]


def find_prices(model: str, provider: str | None = None) -> list[Row]:
    """Find what a model costs, at one provider or at all that have it.

    Raises:
        Missing: the catalogue doesn't know the model or the provider.
    """
    catalog = load_catalog()
    rows = list(_find_own(model, provider))
    try:
        price_lists = (
            [_find_seller(catalog, provider)] if provider else list(catalog.price_lists.values())
        )
    except Missing:
        if not rows:
            raise
        return rows  # those of a provider that the catalogue doesn't know
    found = [each for each in (catalog.match_model(one, model) for one in price_lists) if each]
    first = catalog.find_list_by_model(model.lower())
    for each in sorted(found, key=lambda one: (one.price_list != first, not one.is_own)):
        rows += _describe(each)
    if not rows:
        raise Missing(_suggest(model, "model", [id_ for one in price_lists for id_ in _ids(one)]))
    return rows


def show_table(rows: list[Row]) -> str:
    """Lay the rows out as text, with the catalogue's version and day above them."""
    catalog = load_catalog()
    lines = [f"{catalog} of {catalog.day}; USD per million tokens", ""]
    priced = any(row.prices or row.when for row in rows)
    heads = ("provider", "model", "when", *_COLUMNS.values(), "other")
    cells = [heads, *map(_cells, rows)] if priced else [(row.provider, row.model) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines += ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
    return "\n".join(lines)


def show_json(rows: list[Row]) -> str:
    """Write the rows as JSON."""
    import json

    catalog = load_catalog()
    head = {"source": catalog.source, "version": catalog.version, "date": str(catalog.day)}
    return json.dumps({"catalog": head, "prices": [row._asdict() for row in rows]}, indent=2)


def _find_seller(catalog: PriceCatalog, provider: str) -> PriceList:
    name = provider.lower()
    name = PROVIDER_ALIASES.get(name, name)
    seller = catalog.find_price_list(PRICE_LISTS.get(name, name))
    if seller is None:
        raise Missing(_suggest(provider, "provider", [*catalog.price_lists, *PRICE_LISTS]))
    return seller


def _find_own(model: str, provider: str | None) -> Iterator[Row]:
    path = resolve_settings(os.environ, None, launched=True).config.prices_file
    if path is None:
        return
    from lupis_instrument._config.prices_file import read_prices

    own: OwnPrices = read_prices(path)
    name = (provider or "").lower()
    anyones = own.find_prices("", (model,))
    for each in [PROVIDER_ALIASES.get(name, name)] if name else ["", *own.list_providers()]:
        prices = own.find_prices(each, (model,))
        if prices is not None and (each == "" or name or prices is not anyones):
            yield Row(OWN, model, each and f"at {each}", _spell(prices))


def _describe(found: ModelMatch) -> Iterator[Row]:
    seller, listing, own = found
    standard = listing.prices if isinstance(listing.prices, list) else [(None, listing.prices)]
    for limit, prices in standard:
        yield Row(seller.id, listing.id, _tell_limit(limit), _spell(prices))
    for asked, limit, prices in listing.variants if own else ():
        if prices:
            words = [_tell_condition(key, word) for key, word in asked.items()]
            when = ", ".join(filter(None, [*words, _tell_limit(limit)]))
            yield Row(seller.id, listing.id, when, _spell(prices))


def _tell_condition(key: str, word: str) -> str:
    return word if key == "processing" else f"{key.replace('_', ' ')} {word}"


def _tell_limit(limit: Any) -> str:
    if limit is None:
        return ""
    if isinstance(limit, str):
        return f"from {limit}"
    start, end = limit
    return f"daily {start[:5]}-{end[:5]} UTC"


def _spell(prices: Prices | str) -> dict[str, Any]:
    if not isinstance(prices, dict):
        return {"input_mtok": 0.0, "output_mtok": 0.0} if prices == FREE else {}
    return {name: _spell_rate(rate) for name, rate in prices.items()}


def _spell_rate(rate: Rate) -> Any:
    if isinstance(rate, str):
        return float(rate)
    return {"base": float(rate[0]), "tiers": [[start, float(usd)] for start, usd in rate[1:]]}


def _cells(row: Row) -> tuple[str, ...]:
    other = (f"{name} {_show(row.prices[name])}" for name in row.prices if name not in _COLUMNS)
    shown = [_show(row.prices[name]) if name in row.prices else "" for name in _COLUMNS]
    unknown = "" if row.prices else "no price known"
    return (row.provider, row.model, row.when, *shown, unknown or ", ".join(other))


def _show(price: Any) -> str:
    """A price, with the number of input tokens above which another holds for all of them."""
    if not isinstance(price, dict):
        return f"{price:.10g}"
    steps = (f"{usd:.10g} over {start // 1000}k" for start, usd in price["tiers"])
    return ", ".join((f"{price['base']:.10g}", *steps))


def _ids(seller: PriceList) -> list[str]:
    return [listing.id for listing in load_catalog().list_models(seller)]


def _suggest(name: str, kind: str, known: list[str]) -> str:
    import difflib

    by_folded = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), by_folded, n=_MOST_SUGGESTED)
    nearest = f"; the nearest are {', '.join(by_folded[each] for each in near)}" if near else ""
    return f"no prices are known for the {kind} {name!r}{nearest}"
