"""Reads the file that LUPIS_PRICES_FILE names."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from lupis_instrument._llm.pricing.own_prices import OwnPrices


def read(path: str) -> OwnPrices:
    """Read the user's own prices, whose form `OwnPrices` describes.

    Raises:
        ValueError: the file can't be read, or isn't of that form; the message says in one line
            what is wrong.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        return OwnPrices(json.loads(text, parse_float=Decimal))
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: line {error.lineno}: {error.msg}") from None
    except UnicodeDecodeError:
        raise ValueError("not JSON: expected UTF-8") from None
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from None
