"""Option types for times: an age such as `12h`, and the start of a period, `--since`."""

from __future__ import annotations

import re
from datetime import datetime
from time import time_ns
from typing import Any

import click

from lupis_instrument._query.times import SECOND

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhdw])", re.ASCII | re.IGNORECASE)
_VALID_AGE = "expected 30m, 1h, 2d or 1w"
_VALID_START = f"{_VALID_AGE}, or a day or time like 2026-11-25 or 2026-11-25T14:30"


class Age(click.ParamType):  # type: ignore[type-arg]  # older versions of click: no generic class
    """A time span before now, in nanoseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the nanoseconds of `30m`, `1h`, `2d` or `1w`."""
        if isinstance(value, int):
            return value
        match = _AGE.fullmatch(value.strip())
        if match is None:
            self.fail(f"{value!r}: {_VALID_AGE}", param, ctx)
        return int(float(match[1]) * _UNIT_SECONDS[match[2].lower()] * SECOND)


class StartTime(click.ParamType):  # type: ignore[type-arg]  # older versions of click, as above
    """The start of a period, in nanoseconds since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the nanoseconds of an age, or of an ISO 8601 day or time, local by default."""
        if isinstance(value, int):
            return value
        text = value.strip()
        if _AGE.fullmatch(text):
            return time_ns() - Age().convert(text, param, ctx)
        try:
            # fromisoformat() reads the suffix Z since Python 3.11.
            moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
            return int(moment.timestamp() * SECOND)
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r}: {_VALID_START}", param, ctx)


since_option = click.option(
    "--since",
    type=StartTime(),
    metavar="TIME",
    help="The start of the period: an age like 1h or 2d, or a date like 2026-11-25.",
)
"""The option `--since`: passes nanoseconds since the epoch, None for all times."""
