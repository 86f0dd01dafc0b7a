"""Recorded exchanges of LLM APIs: reading them, telling whether a reading is right, a table.

The recordings are no part of the project: the variable LUPIS_TEST_CORPUS says where they are.
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
    # What a recording calls it -> the span attribute that has to hold it.
    "input_tokens_total": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "total_tokens": "lupis.usage.total_tokens",
}
MODEL = "gen_ai.response.model"
_HEADER_COUNTS = {
    "input_tokens_total": "x-amzn-bedrock-input-token-count",
    "output_tokens": "x-amzn-bedrock-output-token-count",
}


class Exchange(NamedTuple):
    """One recorded call: what was sent, what came back, and what is to be read out of it."""

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
    """Names in lower case."""
    request_body: bytes
    request_model: str | None
    body: bytes
    tags: frozenset[str]
    ambiguous: bool
    """One reading is as good as another; only an error is wrong."""
    readings: tuple[Mapping[str, Any], ...]
    """Each as right as the others: `model` and the names of `TOKENS`, None for not reported."""


def find() -> Path | None:
    """Where the recordings are; None if they are not given."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else None


def load(path: Path) -> list[Exchange]:
    """Read recordings, JSON Lines, compressed or not."""
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    return [_read(json.loads(line)) for line in text.splitlines()]


def _read(row: Mapping[str, Any]) -> Exchange:
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
    """Recordings were read by their bodies; Bedrock counts in headers where a body doesn't."""
    if any(reading[name] is not None for name in TOKENS):
        return reading
    counts = {name: headers.get(header, "") for name, header in _HEADER_COUNTS.items()}
    return {**reading, **{name: int(count) for name, count in counts.items() if count}}


def find_differences(exchange: Exchange, seen: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What of `seen` is wrong: name -> (what is right, what was seen). Empty: all is right.

    Args:
        exchange: the recording.
        seen: `model` and the names of `TOKENS`; a name that is missing counts as None.
    """
    if exchange.ambiguous:
        return {}
    found = [
        {
            name: (reading[name], seen.get(name))
            for name in ("model", *TOKENS)
            if reading[name] != seen.get(name)
        }
        for reading in exchange.readings
    ]
    return min(found, key=len)


def read_span(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What a span says, under the names that recordings use."""
    seen = {name: attributes.get(attribute) for name, attribute in TOKENS.items()}
    return {"model": attributes.get(MODEL), **seen}


def format_table(results: Iterable[tuple[Exchange, bool]]) -> str:
    """The share of exact readings by provider and kind of body, the worst last."""
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
