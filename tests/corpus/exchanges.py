"""Reads recorded exchanges of LLM APIs, and checks results against them.

The recordings are not part of the project: the variable LUPIS_TEST_CORPUS has their path.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, Iterable, Mapping, NamedTuple

VARIABLE = "LUPIS_TEST_CORPUS"
TOKENS = {
    # Name in a recording -> span attribute with the same value.
    "input_tokens_total": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "total_tokens": "lupis.usage.total_tokens",
}
MODEL = "gen_ai.response.model"
_HEADER_COUNTS = {
    "input_tokens_total": "x-amzn-bedrock-input-token-count",
    "output_tokens": "x-amzn-bedrock-output-token-count",
}


class Exchange(NamedTuple):
    """One recorded call: the request, the response, and the values to read.

    Attributes:
        headers: the response's headers; the names are in lower case.
        ambiguous: whether any result without an error is right.
        readings: equally right results, with `model` and the names of `TOKENS`; None means that
            the provider did not report it.
    """

    id: str
    provider: str
    body_kind: str
    api_flavor: str
    method: str
    host: str
    port: int
    path: str
    status: int
    headers: Mapping[str, str]
    request_body: bytes
    request_model: str | None
    body: bytes
    tags: frozenset[str]
    ambiguous: bool
    readings: tuple[Mapping[str, Any], ...]


def find_recordings() -> Path | None:
    """Return the path of the recordings, or None if the variable is not set."""
    path = os.environ.get(VARIABLE)
    return Path(path) if path else None


def load_recordings(path: Path) -> list[Exchange]:
    """Read the recordings from a file in JSON Lines, compressed or not."""
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    return [_read_exchange(json.loads(line)) for line in text.splitlines()]


def _read_exchange(row: Mapping[str, Any]) -> Exchange:
    headers = {name.lower(): ", ".join(values) for name, values in row["response_headers"].items()}
    readings = (row["expected"], *({**row["expected"], **other} for other in row["alternatives"]))
    return Exchange(
        **{name: row[name] for name in ("id", "provider", "body_kind", "api_flavor", "method")},
        **{name: row[name] for name in ("host", "port", "path", "status", "request_model")},
        headers=headers,
        request_body=(row["request_body"] or "").encode(),
        body=base64.b64decode(row["response_body_b64"]),
        tags=frozenset(row["tags"]),
        ambiguous=row["confidence"] == "ambiguous",
        readings=tuple(_add_header_counts(reading, headers) for reading in readings),
    )


def _add_header_counts(reading: Mapping[str, Any], headers: Mapping[str, str]) -> Mapping[str, Any]:
    """Add the counts in Bedrock's headers if the body has none; recordings only have the body's."""
    if any(reading[name] is not None for name in TOKENS):
        return reading
    counts = {name: headers.get(header, "") for name, header in _HEADER_COUNTS.items()}
    return {**reading, **{name: int(count) for name, count in counts.items() if count}}


def find_differences(exchange: Exchange, result: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the wrong values in `result`, as name -> (right value, wrong value).

    Args:
        exchange: the recording.
        result: the values of `model` and the names of `TOKENS`; a name that is missing counts as None.
    """
    if exchange.ambiguous:
        return {}
    differences = [
        {
            name: (reading[name], result.get(name))
            for name in ("model", *TOKENS)
            if reading[name] != result.get(name)
        }
        for reading in exchange.readings
    ]
    return min(differences, key=len)


def read_span(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values in a span's attributes, under the names of recordings."""
    counts = {name: attributes.get(attribute) for name, attribute in TOKENS.items()}
    return {"model": attributes.get(MODEL), **counts}


def format_table(results: Iterable[tuple[Exchange, bool]]) -> str:
    """Return a table of the share of exact results by provider and kind of body, worst last."""
    right: Counter[tuple[str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    for exchange, exact in results:
        key = (exchange.provider, exchange.body_kind)
        total[key] += 1
        right[key] += exact
    rows = sorted(total, key=lambda key: (-right[key] / total[key], key))
    lines = [
        f"{provider:<28} {kind:<16} {right[provider, kind]:>5} / {total[provider, kind]:<5}"
        f" {right[provider, kind] / total[provider, kind]:>7.1%}"
        for provider, kind in rows
    ]
    whole = f"{'all':<45} {sum(right.values()):>5} / {sum(total.values()):<5}"
    share = sum(right.values()) / max(1, sum(total.values()))
    return "\n".join((*lines, f"{whole} {share:>7.1%}"))
