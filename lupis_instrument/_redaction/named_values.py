"""Finds the name that a structure gives to a value: pairs of a list, or the fields name and value.

HAR files, OTLP and many SDKs write headers and parameters as ``{"name": …, "value": …}``. Raw
headers are lists of pairs, of texts or of bytes.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

# Fields that hold a name, and fields that hold its value.
_NAME_FIELDS = ("name", "key", "header", "field", "parameter", "param", "Name", "Key")
_VALUE_FIELDS = ("value", "values", "val", "Value", "Values")
_PAIR_LENGTH = 2


def find_named_field(mapping: Mapping[Any, Any]) -> tuple[str, str] | None:
    """Return the name that a mapping holds, and the field with its value; None if it holds none."""
    for name_field in _NAME_FIELDS:
        name = _read_name(mapping.get(name_field))
        if name:
            for value_field in _VALUE_FIELDS:
                if value_field in mapping:
                    return name, value_field
    return None


def list_pair_names(items: Sequence[Any]) -> list[str] | None:
    """Return the names of a list of pairs; None if the list is none."""
    names = [_read_name(item[0]) if _is_pair(item) else "" for item in items]
    return names if names and all(names) else None


def _is_pair(item: Any) -> bool:
    return isinstance(item, (list, tuple)) and len(item) == _PAIR_LENGTH


def _read_name(name: Any) -> str:
    """Return a name as text; empty if it is none."""
    if isinstance(name, bytes):
        return name.decode("latin-1")
    return name if isinstance(name, str) else ""
