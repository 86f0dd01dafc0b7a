"""What counted units cost by a list of prices: units, tiers and exact decimal arithmetic.

The rules are those of genai-prices (https://github.com/pydantic/genai-prices), to whose results
ours are equal: the tests compare the two over its whole data.
"""

from __future__ import annotations

from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import lru_cache
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    FrozenSet,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Tuple,
    Union,
)

if TYPE_CHECKING:
    from typing import Sequence

Number = Union[int, float, Decimal]
"""A count; tokens are whole, seconds of audio need not be. Never negative."""
Rate = Union[str, List[Any]]
"""USD per unit as decimal text, or that and, for each tier, ``[begins above, USD]``."""
Prices = Dict[str, Rate]
"""Name of a price, such as ``input_mtok`` -> its rate."""

INPUT = "input"
OUTPUT = "output"
CACHE = "cache"
OTHER = "other"
"""Neither direction: requests, searches, hours of audio."""

_WHOLE_INPUT = "input_tokens"
_REQUESTS = "requests"
# What Python starts with; the program's own context must not change what a call costs.
_MONEY = Context(prec=28, rounding=ROUND_HALF_EVEN)
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


Traits = FrozenSet[Tuple[str, str]]


class UncountedError(ValueError):
    """A unit has a price of its own, and was used by all appearances, but was not counted.

    Attributes:
        unit: its name.
    """

    def __init__(self, unit: str) -> None:
        super().__init__(f"no count of {unit}")
        self.unit = unit


class InconsistentError(ValueError):
    """The parts of a count add up to more than the whole."""


class Unit(NamedTuple):
    """Something counted and paid for, such as tokens read from the cache."""

    name: str
    price: str
    """The name of its price."""
    per: int
    """How many units the price is for."""
    traits: Traits
    """What makes it what it is; a unit with fewer of the same traits contains it."""
    part: str
    """Where its cost is reported: `INPUT`, `OUTPUT`, `CACHE` or `OTHER`."""


class Charge(NamedTuple):
    """What was used costs, in USD."""

    input: Decimal
    """All input, cached input with it."""
    output: Decimal
    cache: Decimal
    """The part of `input` that has a price for cached input of its own."""
    rest: Decimal
    """What is neither output nor cache."""
    total: Decimal


class Tariff:
    """The units there are, and how counts of them are charged."""

    def __init__(self, rows: Mapping[str, Sequence[Any]]) -> None:
        """Take the units: name -> name of the price, units per price, traits."""
        self.units = {
            name: Unit(name, price, per, frozenset(traits.items()), _find_part(traits))
            for name, (price, per, traits) in rows.items()
        }
        self.by_price = {unit.price: unit for unit in self.units.values()}
        self._plan = lru_cache(maxsize=256)(self._arrange)

    def charge(self, prices: Mapping[str, Rate], counts: Mapping[str, Number]) -> Charge:
        """Charge `counts`, by unit, at `prices`; a unit without a price costs what contains it.

        Raises:
            UncountedError: a count is missing that the others imply.
            InconsistentError: a part is larger than its whole.
        """
        used = [self.units[name].traits for name in counts if counts[name] and name in self.units]
        leaves = self._split(tuple(prices), counts, used)
        tiered = any(isinstance(rate, list) for rate in prices.values())
        size = _count(self.units[_WHOLE_INPUT], counts, used) if tiered else 0
        sums = dict.fromkeys((INPUT, OUTPUT, CACHE, OTHER), Decimal(0))
        everything = total = Decimal(0)
        with localcontext(_MONEY):
            for name, rate in prices.items():
                unit = self.by_price[name]
                if not leaves[unit.name]:
                    continue
                cost = _pick(rate, size) * _exactly(leaves[unit.name]) / unit.per
                sums[unit.part] += cost
                total += cost
                everything += cost if unit.part in (INPUT, CACHE) else 0
            rest = sums[INPUT] + sums[OTHER]
        return Charge(everything, sums[OUTPUT], sums[CACHE], rest, total)

    def find_gaps(self, prices: Iterable[str]) -> list[str]:
        """Name the prices that are needed beside these for their units to be told apart."""
        units = [self.by_price[name] for name in prices]
        traits = {unit.traits for unit in units}
        joint = {
            first.traits | second.traits
            for first in units
            for second in units
            if _are_compatible(first, second)
        }
        return [
            unit.price
            for unit in self.units.values()
            if unit.traits not in traits
            and (unit.traits in joint or any(unit.traits < each for each in traits))
        ]

    def _split(
        self, prices: tuple[str, ...], counts: Mapping[str, Number], used: list[Traits]
    ) -> dict[str, Number]:
        """The counts without what of them has a price of its own."""
        leaves: dict[str, Number] = {_REQUESTS: 1}
        for unit, parts in self._plan(prices):
            rest = _subtract(_count(unit, counts, used), [leaves[part] for part in parts])
            if rest < 0:
                raise InconsistentError(f"the parts of {unit.name} exceed it")
            leaves[unit.name] = rest
        return leaves

    def _arrange(self, prices: tuple[str, ...]) -> list[tuple[Unit, tuple[str, ...]]]:
        """Sort the units priced, the most special first, each with those that it contains."""
        units = [self.by_price[name] for name in prices if self.by_price[name].name != _REQUESTS]
        units.sort(key=lambda unit: (-len(unit.traits), unit.name))
        return [
            (unit, tuple(other.name for other in units if unit.traits < other.traits))
            for unit in units
        ]


def _count(unit: Unit, counts: Mapping[str, Number], used: list[Traits]) -> Number:
    """The count of `unit`: as reported, or 0 where nothing that was used tells of it."""
    count = counts.get(unit.name)
    if count is not None:
        return count
    wider = []
    for traits in used:
        if unit.traits < traits:
            raise UncountedError(unit.name)
        if traits < unit.traits:
            wider.append(traits)
    if len(wider) > 1 and any(a | b == unit.traits for a in wider for b in wider):
        raise UncountedError(unit.name)
    return 0


def _find_part(traits: Mapping[str, str]) -> str:
    if traits.get("token_type", "").startswith("cache_"):
        return CACHE
    return traits.get("direction", OTHER)


def _are_compatible(first: Unit, second: Unit) -> bool:
    return len(dict(first.traits | second.traits)) == len(first.traits | second.traits)


def _pick(rate: Rate, size: Number) -> Decimal:
    """The rate for that many input tokens: the highest tier begun holds for all of them."""
    if isinstance(rate, str):
        return read_amount(rate)
    for start, amount in reversed(rate[1:]):
        if size > start:
            return read_amount(amount)
    return read_amount(rate[0])


read_amount = lru_cache(maxsize=4096)(Decimal)
"""An amount in USD, of which a price list has few that differ."""


def _exactly(number: Number) -> Decimal:
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def _subtract(whole: Number, parts: list[Number]) -> Number:
    if not parts:
        return whole
    if isinstance(whole, int) and all(isinstance(part, int) for part in parts):
        return whole - sum(parts)
    with localcontext(_EXACT):
        rest = _exactly(whole) - sum(map(_exactly, parts))
    return rest if any(isinstance(number, Decimal) for number in (whole, *parts)) else float(rest)
