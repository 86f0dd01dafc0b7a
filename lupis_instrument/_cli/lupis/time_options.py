"""Option types for times: an age such as `12h`, and the start of a period, `--since`."""

from __future__ import annotations

from typing import Any

import click

from lupis_instrument._query.times import SECOND, parse_duration, parse_start

_VALID_AGE = "expected 30m, 1h, 2d or 1w"
_VALID_START = f"{_VALID_AGE}, or a day or time like 2026-11-25 or 2026-11-25T14:30"


class Age(click.ParamType):  # type: ignore[type-arg]  # older versions of click: no generic class
    """A time span before now, in nanoseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the nanoseconds of `30m`, `1h`, `2d` or `1w`."""
        if isinstance(value, int):
            return value
        seconds = parse_duration(value)
        if seconds is None:
            self.fail(f"{value!r}: {_VALID_AGE}", param, ctx)
        return int(seconds * SECOND)


class StartTime(click.ParamType):  # type: ignore[type-arg]  # older versions of click, as above
    """The start of a period, in nanoseconds since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the nanoseconds of an age, or of an ISO 8601 day or time, local by default."""
        if isinstance(value, int):
            return value
        try:
            return parse_start(value)
        except ValueError:
            self.fail(f"{value!r}: {_VALID_START}", param, ctx)


since_option = click.option(
    "--since",
    type=StartTime(),
    metavar="TIME",
    help="The start of the period: an age like 1h or 2d, or a date like 2026-11-25.",
)
"""The option `--since`: passes nanoseconds since the epoch, None for all times."""
