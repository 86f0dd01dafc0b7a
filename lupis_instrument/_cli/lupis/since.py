"""The option `--since`: how far back, or from which day or time on."""

from __future__ import annotations

import re
from datetime import datetime
from time import time_ns
from typing import Any

import click

from lupis_instrument._query.amounts import SECOND

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_BACK = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhdw])", re.ASCII | re.IGNORECASE)
_VALID = "expected 30m, 1h, 2d or 1w, or a day or time like 2026-11-25 or 2026-11-25T14:30"


class Back(click.ParamType):  # type: ignore[type-arg]  # of no type in older clicks
    """How long ago; becomes a number of nanoseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read `30m` and the like."""
        if isinstance(value, int):
            return value
        found = _BACK.fullmatch(value.strip())
        if found is None:
            self.fail(f"{value!r}: expected 30m, 1h, 2d or 1w", param, ctx)
        return int(float(found[1]) * _UNITS[found[2].lower()] * SECOND)


class Since(click.ParamType):  # type: ignore[type-arg]  # of no type in older clicks
    """A moment; becomes nanoseconds since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read how long ago, or a day or time in ISO 8601, local unless it says otherwise."""
        if isinstance(value, int):
            return value
        text = value.strip()
        if _BACK.fullmatch(text):
            return time_ns() - Back().convert(text, param, ctx)
        try:
            moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
            return int(moment.timestamp() * SECOND)
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r}: {_VALID}", param, ctx)


since = click.option(
    "--since",
    type=Since(),
    metavar="TIME",
    help="How far back, 1h or 2d, or from when, 2026-11-25.",
)
"""Passes nanoseconds since the epoch, None for all."""
