"""Reads members of nested JSON objects by their paths, which the tables write with dots."""

from __future__ import annotations

from typing import Any, Iterable, Tuple

FieldPath = Tuple[str, ...]
"""The member names that lead from a JSON object to one of the values in it."""


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
