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
_MAX_NAME = 128


def read_limits(attributes: Mapping[str, Any]) -> str | None:
    """Return the rate limits in a call's attributes, None without any.

    The text has a word for each kind of limit, such as `requests=59/60 tokens=900/1000`: the
    remaining number, and the limit.

    Args:
        attributes: the attributes of a call's span, captured headers among them.
    """
    # Few of many. Servers choose their names, which are kept.
    names = tuple([name for name in attributes if _MARK in name and len(name) <= _MAX_NAME])
    words = []
    for kind, remaining_name, limit_name in _pair_names(names) if names else ():
        remaining = _read_number(attributes[remaining_name])
        limit = _read_number(attributes[limit_name])
        if remaining is not None and limit is not None:
            words.append(f"{kind}={remaining}/{limit}")
    return " ".join(words[:_MAX_KINDS]) or None


def _read_number(value: Any) -> str | None:
    text = value[0] if isinstance(value, (tuple, list)) and value else value
    return text if isinstance(text, str) and _NUMBER.fullmatch(text) else None


@lru_cache(maxsize=128)
def _pair_names(names: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Return each kind of limit with the attributes of its remaining number and of its limit.

    Args:
        names: the names of attributes; the calls to one API have the same ones.
    """
    parts_by_kind: dict[str, dict[str, str]] = {}
    for name in names:
        kind, part = _split_name(name)
        if part:
            parts_by_kind.setdefault(kind, {}).setdefault(part, name)
    return [
        (kind, parts["remaining"], parts["limit"])
        for kind, parts in sorted(parts_by_kind.items())
        if "remaining" in parts and "limit" in parts
    ]


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
