"""Looks up prices of models in the catalog and in the user's prices file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Iterator, Mapping, NamedTuple

from lupis_instrument._config.config import resolve_settings
from lupis_instrument._config.price_catalog import read_catalog as read_stored_catalog
from lupis_instrument._llm.api.providers import PROVIDER_ALIASES
from lupis_instrument._llm.pricing.catalog import FREE, ModelMatch
from lupis_instrument._llm.pricing.price_lists import PRICE_LISTS

if TYPE_CHECKING:
    from lupis_instrument._llm.pricing.catalog import PriceCatalog, PriceList
    from lupis_instrument._llm.pricing.own_prices import OwnPrices
    from lupis_instrument._llm.pricing.tariff import Prices, Rate

OWN_PROVIDER = "LUPIS_PRICES_FILE"
"""The provider in rows of the user's prices file."""
_MAX_SUGGESTIONS = 5


class PriceRow(NamedTuple):
    """One set of prices of one model.

    Attributes:
        provider: the catalog's id of the provider, or `OWN_PROVIDER`.
        model: the catalog's id of the model, or the name in the prices file.
        when: the condition for these prices: the day they start on, times of day, a service
            tier, or a provider of the prices file; empty for all calls.
        prices: name of the price -> USD per million tokens, or per the unit in the name; a price
            with tiers has the form of LUPIS_PRICES_FILE.
    """

    provider: str
    model: str
    when: str
    prices: Mapping[str, Any]


class UnknownPriceError(LookupError):
    """No prices are known for a model or provider; the message names similar ones."""


def read_catalog() -> PriceCatalog:
    """Return the catalog that calls of this user are charged by."""
    return read_stored_catalog(resolve_settings(os.environ, None, launched=True).config.data_dir)


def list_providers() -> list[PriceRow]:
    """List the providers in the catalog, each with its number of models."""
    catalog = read_catalog()
    return [
        PriceRow(price_list.id, _count_models(len(catalog.list_models(price_list))), "", {})
        for price_list in catalog.price_lists.values()
    ]


def _count_models(count: int) -> str:
    return "1 model" if count == 1 else f"{count} models"


def list_models(provider: str) -> list[PriceRow]:
    """List the models of a provider with all their prices.

    Raises:
        UnknownPriceError: the catalog has no prices of this provider.
    """
    catalog = read_catalog()
    price_list = _find_price_list(catalog, provider)
    return [
        row
        for entry in catalog.list_models(price_list)
        for row in _describe_match(ModelMatch(price_list, entry, is_own=True))
    ]


def find_prices(model: str, provider: str | None = None) -> list[PriceRow]:
    """Find the prices of a model, from one provider or from all that offer it.

    The user's own prices come first, then the company that made the model, then providers with
    prices of their own, and last the providers that charge by another provider's price list.

    Raises:
        UnknownPriceError: no prices are known for the model or the provider.
    """
    catalog = read_catalog()
    rows = list(_find_own_prices(model, provider))
    try:
        price_lists = _select_price_lists(catalog, provider)
    except UnknownPriceError:
        if not rows:
            raise
        return rows  # only the prices file knows the provider
    matches = filter(None, (catalog.match_model(entry, model) for entry in price_lists))
    maker = catalog.find_list_by_model(model.lower())
    for match in sorted(matches, key=lambda match: (match.price_list != maker, not match.is_own)):
        rows += _describe_match(match)
    if not rows:
        known = [
            entry.id for price_list in price_lists for entry in catalog.list_models(price_list)
        ]
        raise UnknownPriceError(_suggest_names(model, "model", known))
    return rows


def _select_price_lists(catalog: PriceCatalog, provider: str | None) -> list[PriceList]:
    if provider:
        return [_find_price_list(catalog, provider)]
    return list(catalog.price_lists.values())


def _find_price_list(catalog: PriceCatalog, provider: str) -> PriceList:
    name = provider.lower()
    name = PROVIDER_ALIASES.get(name, name)
    price_list = catalog.find_price_list(PRICE_LISTS.get(name, name))
    if price_list is None:
        known = [*catalog.price_lists, *PRICE_LISTS]
        raise UnknownPriceError(_suggest_names(provider, "provider", known))
    return price_list


def _find_own_prices(model: str, provider: str | None) -> Iterator[PriceRow]:
    """Yield the prices of a model in the user's prices file."""
    path = resolve_settings(os.environ, None, launched=True).config.prices_file
    if path is None:
        return
    from lupis_instrument._config.prices_file import read_prices

    own: OwnPrices = read_prices(path)
    name = (provider or "").lower()
    # Prices without a provider apply to every provider without prices of its own: without a
    # provider in the question, they are listed once, not for each provider.
    general_prices = own.find_prices("", (model,))
    for seller in [PROVIDER_ALIASES.get(name, name)] if name else ["", *own.list_providers()]:
        prices = own.find_prices(seller, (model,))
        if prices is not None and (seller == "" or name or prices is not general_prices):
            when = f"at {seller}" if seller else ""
            yield PriceRow(OWN_PROVIDER, model, when, _convert_prices(prices))


def _describe_match(match: ModelMatch) -> Iterator[PriceRow]:
    """Yield the standard prices of a model, then the prices under conditions."""
    price_list, entry, is_own = match
    standard = entry.prices if isinstance(entry.prices, list) else [(None, entry.prices)]
    for limit, prices in standard:
        when = _describe_limit(limit)
        yield PriceRow(price_list.id, entry.id, when, _convert_prices(prices))
    for conditions, limit, prices in entry.variants if is_own else ():
        if prices:
            words = [_describe_condition(key, value) for key, value in conditions.items()]
            when = ", ".join(filter(None, [*words, _describe_limit(limit)]))
            yield PriceRow(price_list.id, entry.id, when, _convert_prices(prices))


def _describe_condition(key: str, value: str) -> str:
    return value if key == "processing" else f"{key.replace('_', ' ')} {value}"


def _describe_limit(limit: Any) -> str:
    """Return the first day or the times of day of some prices; empty without a limit."""
    if limit is None:
        return ""
    if isinstance(limit, str):
        return f"from {limit}"
    start, end = limit
    return f"daily {start[:5]}-{end[:5]} UTC"


def _convert_prices(prices: Prices | str) -> dict[str, Any]:
    """Return prices as numbers; free models cost 0.0, unknown prices give an empty result."""
    if not isinstance(prices, dict):
        return {"input_mtok": 0.0, "output_mtok": 0.0} if prices == FREE else {}
    return {name: _convert_rate(rate) for name, rate in prices.items()}


def _convert_rate(rate: Rate) -> Any:
    if isinstance(rate, str):
        return float(rate)
    return {"base": float(rate[0]), "tiers": [[start, float(usd)] for start, usd in rate[1:]]}


def _suggest_names(name: str, kind: str, known: list[str]) -> str:
    """Return the message for an unknown name, with the most similar known ones."""
    import difflib

    originals = {known_name.lower(): known_name for known_name in known}
    similar = difflib.get_close_matches(name.lower(), originals, n=_MAX_SUGGESTIONS)
    names = ", ".join(originals[folded] for folded in similar)
    suggestion = f"; the nearest are {names}" if similar else ""
    return f"no prices are known for the {kind} {name!r}{suggestion}"
