"""The price catalog: price lists by provider, with the prices of each model.

`make catalog` writes `catalog.jsonl` from genai-prices. This module follows the rules of that
library to choose a provider's price list and to match a model's name with an entry of the list.
"""

from __future__ import annotations

import json
import re
from datetime import date, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple
from zlib import crc32

from lupis_instrument._llm.pricing.name_rules import hyphenate_dates, matches_rule
from lupis_instrument._llm.pricing.tariff import Tariff

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Iterator, Sequence

    from lupis_instrument._llm.pricing.name_rules import NameRule
    from lupis_instrument._llm.pricing.tariff import Number, Prices

FREE = "free"
"""Stands in the place of prices if a model costs nothing."""

_NO_NAMES: NameRule = []
# console.groq.com/docs/speech-to-text: "Minimum Billed Length: 10 seconds"
_MIN_SECONDS = {("groq", "whisper-large-v3"): 10, ("groq", "whisper-large-v3-turbo"): 10}
# docs.perplexity.ai/guides/pricing: USD for 1,000 requests by the size of their searches. The
# catalog has the price of the largest size.
_SEARCH_FEES = {
    ("perplexity", "sonar"): {"low": "5", "medium": "8", "high": "12"},
    ("perplexity", "sonar-pro"): {"low": "6", "medium": "10", "high": "14"},
    ("perplexity", "sonar-reasoning"): {"low": "5", "medium": "8", "high": "12"},
    ("perplexity", "sonar-reasoning-pro"): {"low": "6", "medium": "10", "high": "14"},
}
_SECONDS = ("audio_seconds", "input_audio_seconds")


class ModelPrices(NamedTuple):
    """One line of the catalog: the prices of one model at one provider.

    Attributes:
        id: the model's id.
        name_rule: the names that mean this model.
        prices: the standard prices, FREE, or a list of (constraint, prices) pairs, in which the
            last pair with a satisfied constraint counts.
        variants: different prices for some calls, as (context, constraint, prices); a variant is
            for calls whose context includes its context, and replaces single prices.
    """

    id: str
    name_rule: NameRule
    prices: Any
    variants: Sequence[Any] = ()

    def prices_at(self, at: datetime, context: Mapping[str, str]) -> Prices | str:
        """Return the prices of a call, or FREE.

        Args:
            at: the time of the call; a naive time is in UTC.
            context: the properties that make a call cheaper or dearer, such as ``service_tier``.
        """
        standard = self.prices
        if not isinstance(standard, list) and not (context and self.variants):
            return standard  # type: ignore[no-any-return]
        moment = _format_moment(at)
        if isinstance(standard, list):
            valid = (prices for limit, prices in reversed(standard) if _is_satisfied(limit, moment))
            standard = next(valid, standard[0][1])
        changes: Prices = {}
        for prices in self._matching_variants(moment, context):
            for name, rate in prices.items():
                changes.setdefault(name, rate)
        return {**(standard if standard != FREE else {}), **changes} if changes else standard

    def has_variant(self, at: datetime, context: Mapping[str, str]) -> bool:
        """Return whether the catalog has prices for calls with this context."""
        return any(True for _ in self._matching_variants(_format_moment(at), context))

    def _matching_variants(
        self, moment: tuple[str, str], context: Mapping[str, str]
    ) -> Iterator[Prices]:
        for required, limit, prices in self.variants if context else ():
            if _is_satisfied(limit, moment) and required.items() <= context.items():
                yield prices


class PriceList(NamedTuple):
    """The head of a provider's price list; some providers have one list for each of their APIs.

    Attributes:
        id: the list's id in genai-prices.
        name: the provider's name.
        url: a regular expression that matches the URLs of the provider's API.
        alias_rule: other names of the provider.
        model_rule: model names that identify the provider if nothing else does.
        fallbacks: ids of price lists whose models the provider also sells, at the same prices.
        lines: the position of the list's models in the catalog, in bytes after the header line.
    """

    id: str
    name: str
    url: str
    alias_rule: NameRule
    model_rule: NameRule
    fallbacks: tuple[str, ...]
    lines: slice


class ModelMatch(NamedTuple):
    """A model's name, resolved to an entry of the catalog.

    Attributes:
        price_list: the price list of the provider that was called.
        model: the model's entry.
        is_own: whether the entry is in `price_list` itself, and not in one of its fallbacks.
    """

    price_list: PriceList
    model: ModelPrices
    is_own: bool

    def prices_at(self, at: datetime, context: Mapping[str, str]) -> Prices | str:
        """Return the prices of a call; variants of a fallback list do not apply."""
        return self.model.prices_at(at, context if self.is_own else {})

    def find_fixed_prices(self, context: Mapping[str, str]) -> Prices | str | None:
        """Return the prices that hold at any time; None if they depend on the time."""
        prices = self.model.prices
        has_variants = self.is_own and context and self.model.variants
        return None if isinstance(prices, list) or has_variants else prices

    def apply_search_size(self, prices: Prices, size: str) -> Prices:
        """Return the prices of a call whose searches had this size, by the provider's word."""
        fees = _SEARCH_FEES.get((self.price_list.id, self.model.id), {})
        fee = fees.get(size)
        return prices if fee is None else {**prices, "requests_kcount": fee}

    @property
    def _minimum_seconds(self) -> int | None:
        return _MIN_SECONDS.get((self.price_list.id, self.model.id))

    @property
    def has_minimum(self) -> bool:
        """Whether the provider bills a minimum."""
        return self._minimum_seconds is not None

    def apply_minimum(self, counts: Mapping[str, Number]) -> Mapping[str, Number]:
        """Return the counts that the provider bills for the reported `counts`."""
        seconds = self._minimum_seconds
        return counts if seconds is None else _raise_seconds(counts, seconds)


class PriceCatalog:
    """The whole catalog. It parses the models of a price list when they are first needed.

    Attributes:
        source: the name of the library that the prices come from.
        version: the version of that library.
        day: the day on which the catalog was made.
        units: the rows of the units, as `Tariff` reads them.
        tariff: the units and the arithmetic of the prices.
        price_lists: the price lists by id.
    """

    def __init__(self, content: bytes) -> None:
        """Read the header line of `content`, which is the content of `catalog.jsonl`.

        Raises:
            ValueError: the header has a checksum, and the lines have another one.
        """
        head, _, self._lines = content.partition(b"\n")
        header = json.loads(head)
        if "crc32" in header and header["crc32"] != crc32(self._lines):
            raise ValueError("the checksum differs")
        self.units: Mapping[str, Any] = header["units"]
        self.source: str = header["source"]
        self.version: str = header["version"]
        self.day = date(*map(int, header["date"].split("-")))
        self.tariff = Tariff(header["units"])
        self.price_lists: dict[str, PriceList] = {}
        start = 0
        for row in header["providers"]:
            lines = slice(start, start + row["bytes"])
            self.price_lists[row["id"]] = _read_price_list(row, lines)
            start = lines.stop
        self._models: dict[str, list[ModelPrices]] = {}

    def list_models(self, price_list: PriceList) -> list[ModelPrices]:
        """Return all models of a price list, in the order of the catalog."""
        if price_list.id not in self._models:
            lines = self._lines[price_list.lines].strip().replace(b"\n", b",")
            self._models[price_list.id] = [ModelPrices(*row) for row in json.loads(b"[%s]" % lines)]
        return self._models[price_list.id]

    def read_lines(self, price_list: PriceList) -> bytes:
        """Return the lines of a price list's models."""
        return self._lines[price_list.lines]

    def find_price_list(self, provider: str) -> PriceList | None:
        """Return the price list with this id, or the first with this alias."""
        name = provider.lower().strip()
        aliased = (row for row in self.price_lists.values() if matches_rule(row.alias_rule, name))
        return self.price_lists.get(name) or next(aliased, None)

    def find_list_by_url(self, url: str) -> PriceList | None:
        """Return the price list of the API with this URL."""
        return next((row for row in self.price_lists.values() if re.match(row.url, url)), None)

    def find_list_by_model(self, model: str) -> PriceList | None:
        """Return the price list that a model's name, in lower case, identifies."""
        known = (row for row in self.price_lists.values() if matches_rule(row.model_rule, model))
        return next(known, None) if model else None

    def match_model(self, price_list: PriceList, model: str) -> ModelMatch | None:
        """Find a model's name in a price list; a date in the name may lack its hyphens."""
        model = model.lower()
        match = self._match_name(price_list, model)
        if match is None:
            hyphenated = hyphenate_dates(model)
            match = self._match_name(price_list, hyphenated) if hyphenated != model else None
        return match

    def _match_name(self, price_list: PriceList, name: str) -> ModelMatch | None:
        lists = self.price_lists
        fallbacks = (lists[list_id] for list_id in price_list.fallbacks if list_id in lists)
        for candidate in (price_list, *fallbacks):
            for model in self.list_models(candidate):
                if matches_rule(model.name_rule, name):
                    return ModelMatch(price_list, model, is_own=candidate is price_list)
        return None

    def __str__(self) -> str:
        return f"{self.source} {self.version}"


@lru_cache(maxsize=1)
def load_catalog() -> PriceCatalog:
    """Return the catalog that this package ships."""
    # The loader also reads from a zip archive, which open() does not. importlib.resources and
    # pkgutil do too, but their import takes longer than everything else here.
    loader: Any = __spec__.loader
    return PriceCatalog(loader.get_data(__file__.rpartition("catalog.")[0] + "catalog.jsonl"))


def _read_price_list(row: Mapping[str, Any], lines: slice) -> PriceList:
    return PriceList(
        row["id"],
        row["name"],
        row["url"],
        row.get("ids", _NO_NAMES),
        row.get("models", _NO_NAMES),
        tuple(row.get("fallbacks", ())),
        lines,
    )


def _format_moment(at: datetime) -> tuple[str, str]:
    """Return the day and the time of day, in UTC, as strings that sort in order of time."""
    if at.tzinfo is not None:
        at = at.astimezone(timezone.utc)
    return at.date().isoformat(), at.time().isoformat()


def _is_satisfied(limit: Any, moment: tuple[str, str]) -> bool:
    """Return whether a constraint admits a moment.

    A constraint is None (always), the first day of the prices, or two times of day between which
    the prices hold every day; the first may be before midnight and the second after it.
    """
    if limit is None:
        return True
    day, time = moment
    if isinstance(limit, str):
        return day >= limit
    start: str
    end: str
    start, end = limit
    return time >= start or time < end if end < start else start <= time < end


def _raise_seconds(counts: Mapping[str, Number], minimum: int) -> Mapping[str, Number]:
    """Return the counts with at least `minimum` seconds of audio, if there is any audio."""
    reported = next((counts[name] for name in _SECONDS if counts.get(name)), None)
    if reported is None:
        reported = counts.get(_SECONDS[1])
    if reported is None:
        return counts
    billed = max(reported, minimum) if reported > 0 else 0
    return {**counts, **dict.fromkeys(_SECONDS, billed)}
