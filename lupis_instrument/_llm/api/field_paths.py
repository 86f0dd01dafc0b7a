"""Reads members of nested JSON objects by their paths, which the tables write with dots."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Tuple

FieldPath = Tuple[str, ...]
"""The member names that lead from a JSON object to one of the values in it."""

MAX_COUNT = 2**63 - 1
"""OpenTelemetry attributes are signed 64-bit integers; no call uses that many tokens."""
_FRACTIONAL_FIELDS = frozenset(("audio_seconds",))


def split_paths(*dotted_paths: str) -> tuple[FieldPath, ...]:
    """Return the paths that are written with dots, such as ``usage.input_tokens``."""
    return tuple(tuple(path.split(".")) for path in dotted_paths)


def read_path(value: Any, path: FieldPath) -> Any:
    """Return the value at `path` in nested objects; None if a member of the path is missing."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def find_value(value: Any, paths: Iterable[FieldPath]) -> Any:
    """Return the first value at one of `paths` that is not empty; None if there is none."""
    for path in paths:
        member = value
        for name in path:
            member = member.get(name) if isinstance(member, dict) else None
        if member:
            return member
    return None


def read_count(value: Any, path: FieldPath) -> int | None:
    """Return the count at `path`, or the sum over all elements if the path leads through a list.

    A step such as ``ttl=1h`` selects the elements of a list whose `ttl` is ``1h``.
    """
    for depth, name in enumerate(path):
        if "=" in name and isinstance(value, list):
            key, _, wanted = name.partition("=")
            value = [row for row in value if isinstance(row, dict) and row.get(key) == wanted]
            continue
        if isinstance(value, list):
            element_counts = [read_count(element, path[depth:]) for element in value]
            counts = [count for count in element_counts if count is not None]
            return sum(counts) if counts else None
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return parse_count(value)


def parse_count(value: Any) -> int | None:
    """Return a count as an integer; None for bool, negative, fractional and infinite numbers."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MAX_COUNT else None


def add_counts(
    report: Mapping[str, Any], fields: Mapping[str, tuple[FieldPath, ...]], counts: dict[str, Any]
) -> None:
    """Add to each field the first count that one of its paths leads to."""
    for field, paths in fields.items():
        for path in paths:
            member = report.get(path[0])
            if member is None:
                continue
            # Most paths have one step, and most counts are plain.
            is_plain = type(member) is int and len(path) == 1 and 0 <= member <= MAX_COUNT
            value: float | None = member if is_plain else read_count(member, path[1:])
            if value is None and field in _FRACTIONAL_FIELDS:
                value = parse_seconds(report.get(path[0]))
            if value is not None:
                counts[field] = counts.get(field, 0) + value
                break


def parse_seconds(value: Any) -> float | None:
    """Return a duration in seconds, which some APIs write as text; None for anything else."""
    try:
        seconds = float(value) if type(value) in (int, float, str) else -1.0
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds <= MAX_COUNT else None
