"""The catalogue of prices: who sells which model at which prices, read as far as is needed.

`catalog.jsonl` is made from genai-prices (`make catalog`). Who sells a model, and which of the
models listed a name means, is decided by the rules of that library.
"""

from __future__ import annotations

import json
import re
from datetime import date, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, NamedTuple, Union

from lupis_instrument._llm.pricing.tariff import Tariff

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Iterator, Match, Sequence

    from lupis_instrument._llm.pricing.tariff import Charge, Number, Prices

FREE = "free"
"""Stands for the prices of what costs nothing."""

Rule = Union[str, List[Any], Mapping[str, Any]]
"""Which names are meant: one to equal, a list of rules of which one fits, or kind -> operand."""

_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
# console.groq.com/docs/speech-to-text: "Minimum Billed Length: 10 seconds"
_LEAST_SECONDS = {("groq", "whisper-large-v3"): 10, ("groq", "whisper-large-v3-turbo"): 10}
_SECONDS = ("audio_seconds", "input_audio_seconds")


class Listing(NamedTuple):
    """One model of one seller's price list."""

    id: str
    rule: Rule
    prices: Any
    """Prices, FREE, or pairs of a constraint and prices of which the last that holds counts."""
    variants: Sequence[Any] = ()
    """Changes for some calls: what the context has to say, constraint, prices that differ."""

    def resolve(self, at: datetime, context: Mapping[str, str]) -> Prices | str:
        """The prices at a time (UTC, where it doesn't say) in a context; FREE for none."""
        standard = self.prices
        if not isinstance(standard, list) and not (context and self.variants):
            return standard  # type: ignore[no-any-return]
        when = _spell(at)
        if isinstance(standard, list):
            held = (prices for limit, prices in reversed(standard) if _holds(limit, when))
            standard = next(held, standard[0][1])
        changes: Prices = {}
        for prices in self._fitting(when, context):
            for name, rate in prices.items():
                changes.setdefault(name, rate)
        return {**(standard if standard != FREE else {}), **changes} if changes else standard

    def knows(self, at: datetime, context: Mapping[str, str]) -> bool:
        """Whether the seller says what calls of that context cost."""
        return any(True for _ in self._fitting(_spell(at), context))

    def _fitting(self, when: tuple[str, str], context: Mapping[str, str]) -> Iterator[Prices]:
        for asked, limit, prices in self.variants if context else ():
            if _holds(limit, when) and asked.items() <= context.items():
                yield prices


class Seller(NamedTuple):
    """A price list: a provider's, or that of one of its ways in."""

    id: str
    name: str
    url: str
    """A pattern that matches its API's URLs."""
    ids: Rule
    """Other names that people have for it."""
    models: Rule
    """Names of models by which it is known where nothing else tells."""
    fallbacks: tuple[str, ...]
    """Sellers whose models it has too, at their prices."""
    place: slice
    """Where its listings stand in the catalogue."""


class Found(NamedTuple):
    """What a name was found to mean."""

    seller: Seller
    listing: Listing
    own: bool
    """Whether the listing is the seller's own, not one of its fallbacks'."""

    def resolve(self, at: datetime, context: Mapping[str, str]) -> Prices | str:
        """The prices at a time in a context; variants are for the seller's own calls only."""
        return self.listing.resolve(at, context if self.own else {})

    def bill(self, counts: Mapping[str, Number]) -> Mapping[str, Number]:
        """What is billed where `counts` was used."""
        least = _LEAST_SECONDS.get((self.seller.id, self.listing.id))
        return counts if least is None else _raise_seconds(counts, least)


class Catalog:
    """The catalogue, of which each seller's listings are parsed when they are first asked for."""

    def __init__(self, text: bytes) -> None:
        """Take the content of the file."""
        head, _, self._text = text.partition(b"\n")
        header = json.loads(head)
        self.source: str = header["source"]
        self.version: str = header["version"]
        self.day = date(*map(int, header["date"].split("-")))
        self.tariff = Tariff(header["units"])
        self.sellers: dict[str, Seller] = {}
        start = 0
        for row in header["providers"]:
            place = slice(start, start + row["bytes"])
            self.sellers[row["id"]] = _read_seller(row, place)
            start = place.stop
        self._listings: dict[str, list[Listing]] = {}

    def listings(self, seller: Seller) -> list[Listing]:
        """All models of a seller."""
        if seller.id not in self._listings:
            lines = self._text[seller.place].strip().replace(b"\n", b",")
            self._listings[seller.id] = [Listing(*row) for row in json.loads(b"[%s]" % lines)]
        return self._listings[seller.id]

    def find(
        self, model: str, seller_id: str | None = None, url: str | None = None
    ) -> Found | None:
        """Find who sells a model, and as what; None where the catalogue doesn't say.

        Args:
            model: its name, in any case, as in a request or response.
            seller_id: whose prices are asked for, under any name; `litellm` for whoever the
                model's name begins with.
            url: the URL called, which tells the seller where `seller_id` is left out. Without
                either the model's name has to.
        """
        model = model.lower()
        if seller_id and seller_id.lower() == _LITELLM and "/" in model:
            first, _, rest = model.partition("/")
            if first and self.find_seller(first):
                seller_id, model = first, rest
        seller = self._locate(model, seller_id, url)
        return self.find_listing(seller, model) if seller else None

    def _locate(self, model: str, seller_id: str | None, url: str | None) -> Seller | None:
        if seller_id is not None:
            seller = self.find_seller(seller_id)
            if seller or seller_id.lower() != _LITELLM:
                return seller
        return self.find_seller_at(url) if url is not None else self.find_seller_of(model)

    def find_seller(self, name: str) -> Seller | None:
        """Find a seller by its id or another name that people have for it."""
        name = name.lower().strip()
        named = (seller for seller in self.sellers.values() if _fits(seller.ids, name))
        return self.sellers.get(name) or next(named, None)

    def find_seller_at(self, url: str) -> Seller | None:
        """Find the seller whose API has that URL."""
        return next((seller for seller in self.sellers.values() if re.match(seller.url, url)), None)

    def find_seller_of(self, model: str) -> Seller | None:
        """Find the seller that a model's name, in lower case, is known by."""
        known = (seller for seller in self.sellers.values() if _fits(seller.models, model))
        return next(known, None) if model else None

    def find_listing(self, seller: Seller, model: str) -> Found | None:
        """Find what a model's name means to a seller; dates in it may lack their hyphens."""
        model = model.lower()
        found = self._match(seller, model)
        if found is None:
            dashed = _COMPACT_DATE.sub(_dash, model)
            found = self._match(seller, dashed) if dashed != model else None
        return found

    def _match(self, seller: Seller, model: str) -> Found | None:
        lenders = (self.sellers[name] for name in seller.fallbacks if name in self.sellers)
        for lender in (seller, *lenders):
            for listing in self.listings(lender):
                if _fits(listing.rule, model):
                    return Found(seller, listing, own=lender is seller)
        return None

    def charge(
        self, found: Found, counts: Mapping[str, Number], at: datetime, context: Mapping[str, str]
    ) -> Charge:
        """Charge what a call used, counted by unit.

        Args:
            found: whose call it was, to which model.
            counts: what it used.
            at: when it was made; UTC, where it doesn't say.
            context: what tells calls of different prices apart, such as ``service_tier``.

        Raises:
            UncountedError: a count is missing that the others imply.
            InconsistentError: a part is larger than its whole.
        """
        prices = found.resolve(at, context)
        return self.tariff.charge(prices if isinstance(prices, dict) else {}, found.bill(counts))

    def __str__(self) -> str:
        return f"{self.source} {self.version}"


@lru_cache(maxsize=1)
def load() -> Catalog:
    """The catalogue that is shipped with this package."""
    # The loader, and not a file, for the package may lie in an archive; importlib.resources and
    # pkgutil would take longer to import than all the rest takes.
    loader: Any = __spec__.loader
    return Catalog(loader.get_data(__file__.rpartition("catalog.")[0] + "catalog.jsonl"))


_LITELLM = "litellm"
_NOTHING: Rule = []


def _read_seller(row: Mapping[str, Any], place: slice) -> Seller:
    return Seller(
        row["id"],
        row["name"],
        row["url"],
        row.get("ids", _NOTHING),
        row.get("models", _NOTHING),
        tuple(row.get("fallbacks", ())),
        place,
    )


def _fits(rule: Rule, name: str) -> bool:
    if isinstance(rule, str):
        return rule == name
    if isinstance(rule, list):
        return any(_fits(each, name) for each in rule)
    ((kind, operand),) = rule.items()
    fits: bool = _KINDS[kind](operand, name)
    return fits


_KINDS: dict[str, Callable[[Any, str], bool]] = {
    "starts_with": lambda operand, name: name.startswith(operand),
    "ends_with": lambda operand, name: name.endswith(operand),
    "contains": lambda operand, name: operand in name,
    "regex": lambda operand, name: re.search(operand, name) is not None,
    "and": lambda operand, name: all(_fits(rule, name) for rule in operand),
}


def _dash(found: Match[str]) -> str:
    year, month, day = found.groups()
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return found.group()
    return f"-{year}-{month}-{day}"


def _spell(at: datetime) -> tuple[str, str]:
    """Day and time of day, UTC, as texts of which the later is the greater."""
    if at.tzinfo is not None:
        at = at.astimezone(timezone.utc)
    return at.date().isoformat(), at.time().isoformat()


def _holds(limit: Any, when: tuple[str, str]) -> bool:
    """Whether prices hold: from a day on, or daily from one time of day until another."""
    if limit is None:
        return True
    day, time = when
    if isinstance(limit, str):
        return day >= limit
    start: str
    end: str
    start, end = limit
    return time >= start or time < end if end < start else start <= time < end


def _raise_seconds(counts: Mapping[str, Number], least: int) -> Mapping[str, Number]:
    reported = next((counts[name] for name in _SECONDS if counts.get(name)), None)
    if reported is None:
        reported = counts.get(_SECONDS[1])
    if reported is None:
        return counts
    billed = max(reported, least) if reported > 0 else 0
    return {**counts, **dict.fromkeys(_SECONDS, billed)}
