"""The price of counted units: which units contain which, tiers, and exact decimal arithmetic.

It follows the rules of genai-prices (https://github.com/pydantic/genai-prices). The tests compare
the results with that library over all of its data.
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
"""A count: whole for tokens, maybe fractional for seconds of audio. Never negative."""
Rate = Union[str, List[Any]]
"""USD per unit as decimal text, or a list of that and one ``[threshold, USD]`` for each tier."""
Prices = Dict[str, Rate]
"""Rate by name of the price, such as ``input_mtok``."""

INPUT = "input"
OUTPUT = "output"
CACHE = "cache"
OTHER = "other"
"""Neither input nor output: requests, searches, hours of audio."""

_ALL_INPUT = "input_tokens"
_REQUESTS = "requests"
# Python's default context. The program may have changed its own, which must not change a cost.
_MONEY = Context(prec=28, rounding=ROUND_HALF_EVEN)
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


Traits = FrozenSet[Tuple[str, str]]


class UncountedError(ValueError):
    """A unit with its own price was apparently used, but there is no count of it.

    Attributes:
        unit: the unit's name.
    """

    def __init__(self, unit: str) -> None:
        super().__init__(f"no count of {unit}")
        self.unit = unit


class InconsistentError(ValueError):
    """The parts of a count add up to more than the whole."""


class Unit(NamedTuple):
    """Something that providers count and charge, such as tokens read from the cache.

    Attributes:
        name: the unit's name, such as ``cache_read_tokens``.
        price: the name of its price, such as ``cache_read_mtok``.
        per: the number of units that the price is for.
        traits: the unit's properties; a unit whose traits are a subset of another's contains it.
        category: the figure that includes its cost: `INPUT`, `OUTPUT`, `CACHE` or `OTHER`.
    """

    name: str
    price: str
    per: int
    traits: Traits
    category: str


class Charge(NamedTuple):
    """The cost of a call, in USD.

    Attributes:
        input: all input, including cached input.
        output: all output.
        cache: the part of `input` that was charged at a price for cached input.
        uncached: everything except output and cache, requests and searches included.
        total: the sum of all costs.
    """

    input: Decimal
    output: Decimal
    cache: Decimal
    uncached: Decimal
    total: Decimal


class Tariff:
    """All units, and the rules by which counts of them are charged.

    Attributes:
        units: the units by name.
        by_price: the units by the name of their price.
    """

    def __init__(self, rows: Mapping[str, Sequence[Any]]) -> None:
        """Read the units from `rows`: name -> (name of the price, units per price, traits)."""
        self.units = {
            name: Unit(name, price, per, frozenset(traits.items()), _find_category(traits))
            for name, (price, per, traits) in rows.items()
        }
        self.by_price = {unit.price: unit for unit in self.units.values()}
        self._order_cached = lru_cache(maxsize=256)(self._order_units)
        self._plan_cached = lru_cache(maxsize=256)(self._plan_counts)

    def charge_counts(self, prices: Mapping[str, Rate], counts: Mapping[str, Number]) -> Charge:
        """Return the cost of `counts`, by unit, at `prices`.

        A unit without its own price costs as much as the unit that contains it.

        Raises:
            UncountedError: a count is missing that other counts imply.
            InconsistentError: a part is larger than its whole.
        """
        disjoint = self._split_counts(tuple(prices), counts)
        tiered = list in map(type, prices.values())
        size = self._count_input(counts) if tiered else 0
        sums = dict.fromkeys((INPUT, OUTPUT, CACHE, OTHER), Decimal(0))
        all_input = total = Decimal(0)
        with localcontext(_MONEY):
            for name, rate in prices.items():
                unit = self.by_price[name]
                count = disjoint.get(unit.name)
                if not count:
                    continue
                cost = _select_rate(rate, size) * _to_decimal(count) / unit.per
                sums[unit.category] += cost
                total += cost
                all_input += cost if unit.category in (INPUT, CACHE) else 0
            uncached = sums[INPUT] + sums[OTHER]
        return Charge(all_input, sums[OUTPUT], sums[CACHE], uncached, total)

    def find_missing_prices(self, prices: Iterable[str]) -> list[str]:
        """Return the names of further prices without which `prices` would be ambiguous.

        Two examples: a price for cached input needs one for input, which contains it; prices for
        cached input and for images need one for cached images, which belong to both.
        """
        units = [self.by_price[name] for name in prices]
        priced = {unit.traits for unit in units}
        overlaps = {
            first.traits | second.traits
            for first in units
            for second in units
            if _can_overlap(first, second)
        }
        return [
            unit.price
            for unit in self.units.values()
            if unit.traits not in priced
            and (unit.traits in overlaps or any(unit.traits < traits for traits in priced))
        ]

    def _split_counts(
        self, prices: tuple[str, ...], counts: Mapping[str, Number]
    ) -> dict[str, Number]:
        """Split overlapping counts into disjoint ones, by unit; unused units are left out.

        From each count, subtract the parts that have a price of their own: input tokens, for
        example, without the tokens read from the cache. Nothing is then charged twice.
        """
        used = tuple([name for name, count in counts.items() if count])
        disjoint: dict[str, Number] = {_REQUESTS: 1}
        for unit, is_counted, parts in self._plan_cached(prices, tuple(counts), used):
            whole = counts[unit.name] if is_counted else 0
            remainder = (
                _subtract_parts(whole, [disjoint[part] for part in parts]) if parts else whole
            )
            if remainder < 0:
                raise InconsistentError(f"the parts of {unit.name} exceed it")
            disjoint[unit.name] = remainder
        return disjoint

    def _plan_counts(
        self, prices: tuple[str, ...], counted: tuple[str, ...], used: tuple[str, ...]
    ) -> list[tuple[Unit, bool, tuple[str, ...]]]:
        """Return how to split counts; kept, because the calls to a model count the same units.

        Args:
            prices: the names of the prices.
            counted: the names of the counted units.
            used: the names of the units whose counts are not 0.

        Returns:
            The priced units that are used or contain a used one, the most specific first, each
            with whether it is counted, and the used units that it contains.

        Raises:
            UncountedError: a count is missing that other counts imply.
        """
        plan = []
        planned: set[str] = set()
        for unit, parts in self._order_cached(prices):
            is_counted = unit.name in counted
            if not is_counted:
                self._check_unused(unit, used)
            used_parts = tuple(part for part in parts if part in planned)
            if unit.name in used or used_parts:
                planned.add(unit.name)
                plan.append((unit, is_counted, used_parts))
        return plan

    def _count_input(self, counts: Mapping[str, Number]) -> Number:
        """Return the count of all input tokens, which selects the tier of a price."""
        count = counts.get(_ALL_INPUT)
        if count is None:
            used = [name for name in counts if counts[name]]
            self._check_unused(self.units[_ALL_INPUT], used)
        return count or 0

    def _check_unused(self, unit: Unit, used: Iterable[str]) -> None:
        """Check that no other count implies that a unit without a count was used.

        A used unit implies every unit that contains it. Two used units imply the unit of their
        intersection: cached tokens and audio tokens, for example, imply cached audio tokens.

        Raises:
            UncountedError: the unit was used.
        """
        wider = []
        for traits in (self.units[name].traits for name in used if name in self.units):
            if unit.traits < traits:
                raise UncountedError(unit.name)
            if traits < unit.traits:
                wider.append(traits)
        if len(wider) > 1 and any(a | b == unit.traits for a in wider for b in wider):
            raise UncountedError(unit.name)

    def _order_units(self, prices: tuple[str, ...]) -> list[tuple[Unit, tuple[str, ...]]]:
        """Return the priced units, the most specific first, each with the units it contains."""
        units = [self.by_price[name] for name in prices if self.by_price[name].name != _REQUESTS]
        units.sort(key=lambda unit: (-len(unit.traits), unit.name))
        return [
            (unit, tuple(other.name for other in units if unit.traits < other.traits))
            for unit in units
        ]


def _find_category(traits: Mapping[str, str]) -> str:
    if traits.get("token_type", "").startswith("cache_"):
        return CACHE
    return traits.get("direction", OTHER)


def _can_overlap(first: Unit, second: Unit) -> bool:
    """Return whether no trait of one unit contradicts a trait of the other."""
    return len(dict(first.traits | second.traits)) == len(first.traits | second.traits)


def _select_rate(rate: Rate, size: Number) -> Decimal:
    """Return the rate for a call with `size` input tokens.

    The highest tier whose threshold `size` exceeds is the rate of all tokens of the call.
    """
    if isinstance(rate, str):
        return read_amount(rate)
    for threshold, amount in reversed(rate[1:]):
        if size > threshold:
            return read_amount(amount)
    return read_amount(rate[0])


read_amount = lru_cache(maxsize=4096)(Decimal)
"""Read an amount in USD. The cache pays because price lists repeat a few amounts."""


def _to_decimal(number: Number) -> Decimal:
    """Return the decimal digits that Python prints for `number`, and not its binary value."""
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def _subtract_parts(whole: Number, parts: list[Number]) -> Number:
    """Return `whole` minus all `parts`, without rounding.

    The result is an int if all numbers are; a Decimal if one of them is; otherwise a float.
    """
    if not parts:
        return whole
    if isinstance(whole, int) and all(isinstance(part, int) for part in parts):
        return whole - sum(parts)
    with localcontext(_EXACT):
        remainder = _to_decimal(whole) - sum(map(_to_decimal, parts))
    has_decimal = any(isinstance(number, Decimal) for number in (whole, *parts))
    return remainder if has_decimal else float(remainder)
