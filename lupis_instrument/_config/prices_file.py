"""Reads the file with the user's own prices, which LUPIS_PRICES_FILE names."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from lupis_instrument._llm.pricing.own_prices import OwnPrices


def read_prices(path: str) -> OwnPrices:
    """Read the user's own prices; `OwnPrices` describes the file's format.

    Args:
        path: the path of a JSON file.

    Raises:
        ValueError: the file cannot be read or has another format; the message is one line.
    """
    try:
        # Editors on Windows put a byte order mark first, which the encoding "utf-8-sig" skips.
        text = Path(path).read_text(encoding="utf-8-sig")
        return OwnPrices(json.loads(text, parse_float=Decimal))
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: line {error.lineno}: {error.msg}") from None
    except UnicodeDecodeError:
        raise ValueError("not JSON: expected UTF-8") from None
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from None
