"""The figures of `lupis report`, in the order of its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterator, NamedTuple

from lupis_instrument._cli.lupis.formatting import (
    format_count,
    format_dollars,
    format_duration,
    format_share,
)
from lupis_instrument._query.percentiles import PERCENTILES
from lupis_instrument._query.times import SECOND

if TYPE_CHECKING:
    from lupis_instrument._query.totals import Totals


class Measure(NamedTuple):
    """One figure of a row.

    Attributes:
        name: the key in JSON and CSV; a name that ends with "seconds" marks a time.
        heading: the heading in tables.
        read_value: takes the figure from the totals; times are in nanoseconds.
        format_value: makes the text for tables.
        rank: the rank of the column, see `Column`.
        style: the style of the column.
        only_if_any: whether tables leave the column out if the total is 0.
    """

    name: str
    heading: str
    read_value: Callable[[Totals], Any]
    format_value: Callable[[Any], str] = format_count
    rank: int = 0
    style: str = ""
    only_if_any: bool = False

    def read_plain(self, totals: Totals) -> Any:
        """Return the figure for JSON and CSV, times in seconds."""
        value = self.read_value(totals)
        in_seconds = self.name.endswith("seconds") and value is not None
        return value / SECOND if in_seconds else value

    def read_text(self, totals: Totals) -> str:
        """Return the figure for a table."""
        return self.format_value(self.read_value(totals))


def _make_percentiles(name: str, heading: str, ranks: tuple[int, ...]) -> Iterator[Measure]:
    """Yield a measure for each of the percentiles in the property `name` of the totals."""
    for index, (percent, rank) in enumerate(zip(PERCENTILES, ranks)):
        # The default argument keeps the index of this round; a closure would see the last one.
        def read_value(totals: Totals, index: int = index) -> Any:
            return getattr(totals, name)[index]

        label = f"{heading}p{percent}"
        yield Measure(f"{name}_p{percent}_seconds", label, read_value, format_duration, rank)


MEASURES = (
    Measure("calls", "calls", lambda totals: totals.calls),
    Measure("errors", "errors", lambda totals: totals.errors, style="red", only_if_any=True),
    Measure("input_tokens", "in", lambda totals: totals.input_tokens, rank=1),
    Measure(
        "cached_tokens", "cached", lambda totals: totals.cached_tokens, rank=4, only_if_any=True
    ),
    Measure(
        "cached_share",
        "cached %",
        lambda totals: totals.cached_share if totals.cached_tokens else None,
        format_share,
        rank=8,
        only_if_any=True,
    ),
    Measure("output_tokens", "out", lambda totals: totals.output_tokens, rank=1),
    Measure(
        "unknown_tokens",
        "unknown",
        lambda totals: totals.unknown,
        style="yellow",
        rank=2,
        only_if_any=True,
    ),
    Measure("cost_usd", "cost", lambda totals: totals.cost, format_dollars, style="green"),
    Measure(
        "cost_per_call_usd", "a call", lambda totals: totals.cost_per_call, format_dollars, rank=7
    ),
    Measure(
        "unpriced",
        "unpriced",
        lambda totals: totals.unpriced,
        style="yellow",
        rank=1,
        only_if_any=True,
    ),
    Measure(
        "partly_priced",
        "partly",
        lambda totals: totals.partial,
        style="yellow",
        rank=2,
        only_if_any=True,
    ),
    Measure("seconds", "time", lambda totals: totals.time, format_duration, rank=6),
    *_make_percentiles("latency", "", (3, 5, 9)),
    *_make_percentiles("first_chunk", "first token ", (7, 9, 10)),
)
"""All figures."""

SORT_KEYS = {
    "cost": "cost_usd",
    "calls": "calls",
    "errors": "errors",
    "input": "input_tokens",
    "output": "output_tokens",
    "time": "seconds",
    "p50": "latency_p50_seconds",
    "p95": "latency_p95_seconds",
    "p99": "latency_p99_seconds",
}
"""By word of `--sort`, the name of the measure."""


def read_figures(totals: Totals) -> dict[str, Any]:
    """Return all figures by their names, times in seconds."""
    return {measure.name: measure.read_plain(totals) for measure in MEASURES}
