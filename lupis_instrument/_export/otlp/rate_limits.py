"""Reads the rate limits that a response reports in its headers.

OpenAI and compatible APIs: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
Anthropic: https://docs.anthropic.com/en/api/rate-limits#response-headers
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Mapping

from lupis_instrument._semconv import HTTP_RESPONSE_HEADER

_PREFIXES = tuple(HTTP_RESPONSE_HEADER + name for name in ("x-ratelimit-", "anthropic-ratelimit-"))
_MARK = "ratelimit-"
_PARTS = ("limit", "remaining", "reset")
_NUMBER = re.compile(r"\d{1,15}", re.ASCII)
_KIND = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_MAX_KINDS = 8


def read_limits(attributes: Mapping[str, Any]) -> str | None:
    """Return the rate limits in a call's attributes, None without any.

    The text has a word for each kind of limit, such as `requests=59/60 tokens=900/1000`: the
    remaining number, and the limit.

    Args:
        attributes: the attributes of a call's span, captured headers among them.
    """
    numbers: dict[str, dict[str, str]] = {}
    for name in [name for name in attributes if _MARK in name]:  # few of many
        kind, part = _split_name(name)
        values = attributes[name]
        text = values[0] if isinstance(values, (tuple, list)) and values else values
        if part and isinstance(text, str) and _NUMBER.fullmatch(text) and len(numbers) < _MAX_KINDS:
            numbers.setdefault(kind, {})[part] = text
    if not numbers:
        return None
    words = [
        f"{kind}={parts['remaining']}/{parts['limit']}"
        for kind, parts in sorted(numbers.items())
        if "remaining" in parts and "limit" in parts
    ]
    return " ".join(words) or None


@lru_cache(maxsize=1024)
def _split_name(name: str) -> tuple[str, str]:
    """Return the kind and the part of a limit that an attribute's name has; empty for others.

    OpenAI writes `remaining-tokens`, Anthropic `tokens-remaining`.
    """
    if not name.startswith(_PREFIXES):
        return "", ""
    words = name.partition(_MARK)[2]
    for part in _PARTS:
        for kind in (words[len(part) + 1 :], words[: -len(part) - 1]):
            if words in (f"{part}-{kind}", f"{kind}-{part}") and _KIND.fullmatch(kind):
                return kind, part
    return "", ""
