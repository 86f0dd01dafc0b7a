"""`lupis prices`: shows prices of models, from the catalog and from the user's prices file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from lupis_instrument._cli.lupis.rows import make_format_option

if TYPE_CHECKING:
    from lupis_instrument._cli.lupis.price_rows import PriceRow

_PRICE_COLUMNS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache read",
    "cache_write_mtok": "cache write",
}
"""The prices with a column of their own, and its heading; the column `other` has the rest."""


@click.command()
@click.argument("model", required=False)
@click.option("--provider", help="Only this provider, by its name in spans or in the catalog.")
@make_format_option("table", "json")
@click.option("--update", is_flag=True, help="Fetch newer prices from genai-prices first.")
@click.option(
    "--from",
    "source",
    metavar="URL",
    help="With --update: another URL, or the path of a file, with the data of genai-prices.",
)
def prices(
    model: str | None, provider: str | None, form: str, source: str | None, *, update: bool
) -> None:
    """Show the prices of models in USD.

    Without MODEL, lists the models of the provider; without a provider too, lists all providers.
    With --update alone, only fetches and stores newer prices; nothing else ever fetches them.
    Exits with 1 if the model or the provider is not known, or if the update fails.
    """
    from lupis_instrument._cli.lupis import price_rows

    if source and not update:
        raise click.UsageError("--from needs --update")
    if update:
        _update_prices(source)
        if not model and not provider:
            return
    try:
        if model:
            rows = price_rows.find_prices(model, provider)
        elif provider:
            rows = price_rows.list_models(provider)
        else:
            rows = price_rows.list_providers()
    except price_rows.UnknownPriceError as error:
        raise click.ClickException(str(error)) from None
    click.echo(_format_json(rows) if form == "json" else _format_table(rows))


def _update_prices(source: str | None) -> None:
    from lupis_instrument._cli.lupis.price_update import SOURCE_URL, UpdateError, update_prices

    try:
        path, catalog, models = update_prices(source or SOURCE_URL)
    except UpdateError as error:
        raise click.ClickException(f"the prices remain as they are: {error}") from None
    click.echo(f"{catalog}: {models} models, stored in {path}")


def _format_table(rows: list[PriceRow]) -> str:
    """Return the rows as text, below a line with the version and day of the catalog."""
    from lupis_instrument._cli.lupis.price_rows import read_catalog

    catalog = read_catalog()
    lines = [f"{catalog} of {catalog.day}; USD per million tokens", ""]
    has_prices = any(row.prices or row.when for row in rows)
    if has_prices:
        headings = ("provider", "model", "when", *_PRICE_COLUMNS.values(), "other")
        cells = [headings, *map(_make_cells, rows)]
    else:
        cells = [(row.provider, row.model) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines += ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
    return "\n".join(lines)


def _format_json(rows: list[PriceRow]) -> str:
    from lupis_instrument._cli.lupis.price_rows import read_catalog

    catalog = read_catalog()
    head = {"source": catalog.source, "version": catalog.version, "date": str(catalog.day)}
    return json.dumps({"catalog": head, "prices": [row._asdict() for row in rows]}, indent=2)


def _make_cells(row: PriceRow) -> tuple[str, ...]:
    texts = {name: _format_price(price) for name, price in row.prices.items()}
    own_columns = [texts.get(name, "") for name in _PRICE_COLUMNS]
    other = ", ".join(
        f"{name} {text}" for name, text in texts.items() if name not in _PRICE_COLUMNS
    )
    return (row.provider, row.model, row.when, *own_columns, other if texts else "no price known")


def _format_price(price: Any) -> str:
    """Return a price, and each tier with the input tokens above which it applies to all."""
    if not isinstance(price, dict):
        return f"{price:.10g}"
    tiers = (f"{usd:.10g} over {start // 1000}k" for start, usd in price["tiers"])
    return ", ".join((f"{price['base']:.10g}", *tiers))
