"""The user's own prices, which take precedence over the catalog."""

from __future__ import annotations

from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Dict, Mapping

from lupis_instrument._llm.api.providers import PROVIDER_ALIASES
from lupis_instrument._llm.pricing.catalog import load_catalog

if TYPE_CHECKING:
    from typing import Sequence

    from lupis_instrument._llm.pricing.tariff import Prices, Rate, Tariff

_MODELS = "models"
_PROVIDERS = "providers"
_TIER_LENGTH = 2  # [tokens, price]

PriceTable = Dict[str, "Prices"]
"""Prices by model: an exact name or a glob, in lower case."""


class OwnPrices:
    """The prices that the user has set for models.

    An entry here replaces the catalog's entry as a whole: a price that it lacks is not looked
    up in the catalog, and service tiers do not change its prices.
    """

    def __init__(self, document: Any) -> None:
        """Read the content of `LUPIS_PRICES_FILE`, parsed as JSON.

        ``{"models": {MODEL: PRICES}, "providers": {PROVIDER: {"models": {MODEL: PRICES}}}}``,
        where MODEL is a model's name or a glob, and PRICES has the catalog's names of prices:
        ``{"input_mtok": 0.5, "output_mtok": 1.5, "cache_read_mtok": 0.05}``, USD per million
        tokens; a price with tiers is ``{"base": 2.5, "tiers": [[272000, 5]]}``, where 5 holds for
        all tokens of calls with more than 272,000 tokens of input.

        Raises:
            ValueError: the document has another form; the message names the member.
        """
        root = _read_object(document, "the document", (_MODELS, _PROVIDERS))
        tariff = load_catalog().tariff
        self._common = _read_models(root, "", tariff)
        self._by_provider = {}
        for name, row in _read_object(root.get(_PROVIDERS, {}), _PROVIDERS).items():
            path = f"{_PROVIDERS}.{name}"
            table = _read_models(_read_object(row, path, (_MODELS,)), path + ".", tariff)
            self._by_provider[PROVIDER_ALIASES.get(name.lower(), name.lower())] = table

    def list_providers(self) -> list[str]:
        """Return the providers that have an entry of their own."""
        return [*self._by_provider]

    def find_prices(self, provider: str, models: Sequence[str]) -> Prices | None:
        """Return the prices of a model, or None if it has no entry.

        The provider's entries come first, then the entries for all providers. In each, the names
        in `models` are tried in order, and an exact name wins over globs, in the file's order.
        """
        for table in (self._by_provider.get(provider, {}), self._common):
            for model in models:
                name = model.lower()
                globs = (prices for glob, prices in table.items() if fnmatchcase(name, glob))
                prices = table.get(name) or next(globs, None)
                if prices is not None:
                    return prices
        return None


# In the functions below, `path` is the dotted path of a value in the document, for messages.


def _read_object(value: Any, path: str, members: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """Return `value` if it is a JSON object with no other members than `members` (if given)."""
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected a JSON object, not {value!r}")  # noqa: TRY004
    for name in value if members else ():
        if name not in members:
            raise ValueError(f"{path}: unknown member {name!r}; expected {' or '.join(members)}")
    return value


def _read_models(row: Mapping[str, Any], prefix: str, tariff: Tariff) -> PriceTable:
    models = _read_object(row.get(_MODELS, {}), prefix + _MODELS)
    return {
        model.lower(): _read_prices(prices, f"{prefix}{_MODELS}.{model}", tariff)
        for model, prices in models.items()
    }


def _read_prices(row: Any, path: str, tariff: Tariff) -> Prices:
    prices: Prices = {}
    for name, value in _read_object(row, path).items():
        if name not in tariff.by_price:
            raise ValueError(f"{path}: unknown price {name!r}{_suggest_price(name, tariff)}")
        prices[name] = _read_rate(value, f"{path}.{name}")
    if not prices:
        raise ValueError(f"{path}: expected prices such as input_mtok and output_mtok")
    missing = tariff.find_missing_prices(prices)
    if missing:
        raise ValueError(f"{path}: missing beside {', '.join(prices)}: {', '.join(missing)}")
    return prices


def _suggest_price(name: str, tariff: Tariff) -> str:
    import difflib  # takes 5 ms, and only a wrong name needs it

    near = difflib.get_close_matches(name, tariff.by_price, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _read_rate(value: Any, path: str) -> Rate:
    if not isinstance(value, dict):
        return _read_amount(value, path)
    row = _read_object(value, path, ("base", "tiers"))
    tiers = row.get("tiers")
    if not isinstance(tiers, list) or not all(_is_tier(tier) for tier in tiers):
        raise ValueError(f"{path}.tiers: expected [[tokens, price], …], not {tiers!r}")
    steps = [[threshold, _read_amount(amount, f"{path}.tiers")] for threshold, amount in tiers]
    return [_read_amount(row.get("base"), f"{path}.base"), *sorted(steps)]


def _is_tier(value: Any) -> bool:
    return isinstance(value, list) and len(value) == _TIER_LENGTH and _is_whole(value[0])


def _is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0  # isinstance would admit true, JSON's bool


def _read_amount(value: Any, path: str) -> str:
    """Return USD as decimal text with the digits of the file."""
    if type(value) in (int, float, Decimal):
        amount = Decimal(str(value))
        if amount.is_finite() and amount >= 0:
            return f"{amount:f}"
    raise ValueError(f"{path}: expected USD, a number not below 0, not {value!r}")
