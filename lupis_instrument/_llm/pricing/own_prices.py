"""Prices of the user's own, laid over the catalogue."""

from __future__ import annotations

from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Dict, Mapping

from lupis_instrument._llm.api.providers import ALIASES
from lupis_instrument._llm.pricing.catalog import load

if TYPE_CHECKING:
    from typing import Sequence

    from lupis_instrument._llm.pricing.tariff import Prices, Rate, Tariff

_MODELS = "models"
_PROVIDERS = "providers"
_TIER_LENGTH = 2

PriceTable = Dict[str, "Prices"]
"""Model, exact or a glob, in lower case -> its prices."""


class OwnPrices:
    """What the user says that models cost.

    A model's prices are taken from here whole: what its entry leaves out is not looked up in the
    catalogue, and service tiers make no difference to them.
    """

    def __init__(self, document: Any) -> None:
        """Take what `LUPIS_PRICES_FILE` holds.

        ``{"models": {MODEL: PRICES}, "providers": {PROVIDER: {"models": {MODEL: PRICES}}}}``,
        where MODEL is a model's name or a glob, and PRICES has the catalogue's names of prices:
        ``{"input_mtok": 0.5, "output_mtok": 1.5, "cache_read_mtok": 0.05}``, USD per million
        tokens; a price with tiers is ``{"base": 2.5, "tiers": [[272000, 5]]}``, where 5 holds for
        all tokens of calls with more than 272,000 tokens of input.

        Raises:
            ValueError: it is not of that form; the message says where.
        """
        whole = _object(document, "the document", (_MODELS, _PROVIDERS))
        tariff = load().tariff
        self._anyones = _read_models(whole, "", tariff)
        self._providers = {}
        for name, row in _object(whole.get(_PROVIDERS, {}), _PROVIDERS).items():
            where = f"{_PROVIDERS}.{name}"
            table = _read_models(_object(row, where, (_MODELS,)), where + ".", tariff)
            self._providers[ALIASES.get(name.lower(), name.lower())] = table

    def providers(self) -> list[str]:
        """Return the providers that have prices of their own here."""
        return [*self._providers]

    def find(self, provider: str, models: Sequence[str]) -> Prices | None:
        """Find the prices of a model by its names, the best first; None if they are not here.

        A provider's come before those for any provider, names before globs, and globs in the order
        of the file.
        """
        for table in (self._providers.get(provider, {}), self._anyones):
            for model in models:
                name = model.lower()
                globs = (prices for glob, prices in table.items() if fnmatchcase(name, glob))
                prices = table.get(name) or next(globs, None)
                if prices is not None:
                    return prices
        return None


def _object(value: Any, where: str, members: tuple[str, ...] = ()) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected a JSON object, not {value!r}")  # noqa: TRY004
    for name in value if members else ():
        if name not in members:
            raise ValueError(f"{where}: unknown member {name!r}; expected {' or '.join(members)}")
    return value


def _read_models(row: Mapping[str, Any], where: str, tariff: Tariff) -> PriceTable:
    models = _object(row.get(_MODELS, {}), where + _MODELS)
    return {
        model.lower(): _read_prices(prices, f"{where}{_MODELS}.{model}", tariff)
        for model, prices in models.items()
    }


def _read_prices(row: Any, where: str, tariff: Tariff) -> Prices:
    prices: Prices = {}
    for name, value in _object(row, where).items():
        if name not in tariff.by_price:
            raise ValueError(f"{where}: unknown price {name!r}{_suggest(name, tariff)}")
        prices[name] = _read_rate(value, f"{where}.{name}")
    if not prices:
        raise ValueError(f"{where}: expected prices such as input_mtok and output_mtok")
    gaps = tariff.find_gaps(prices)
    if gaps:
        raise ValueError(f"{where}: missing beside {', '.join(prices)}: {', '.join(gaps)}")
    return prices


def _suggest(name: str, tariff: Tariff) -> str:
    import difflib  # 5 ms, which only a wrong name has to pay

    near = difflib.get_close_matches(name, tariff.by_price, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _read_rate(value: Any, where: str) -> Rate:
    if not isinstance(value, dict):
        return _read_amount(value, where)
    row = _object(value, where, ("base", "tiers"))
    tiers = row.get("tiers")
    if not isinstance(tiers, list) or not all(_is_tier(tier) for tier in tiers):
        raise ValueError(f"{where}.tiers: expected [[tokens, price], …], not {tiers!r}")
    steps = [[start, _read_amount(amount, f"{where}.tiers")] for start, amount in tiers]
    return [_read_amount(row.get("base"), f"{where}.base"), *sorted(steps)]


def _is_tier(value: Any) -> bool:
    return isinstance(value, list) and len(value) == _TIER_LENGTH and _is_whole(value[0])


def _is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def _read_amount(value: Any, where: str) -> str:
    if type(value) in (int, float, Decimal):
        amount = Decimal(str(value))
        if amount.is_finite() and amount >= 0:
            return f"{amount:f}"
    raise ValueError(f"{where}: expected USD, a number not below 0, not {value!r}")
