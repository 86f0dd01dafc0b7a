"""Removes the content of exceptions from nested data, such as the properties of an event.

A name counts at any depth and in each notation of nested data: `{"exception.message": …}`,
`{"exception": {"message": …}}`, `{"name": "exception.message", "value": …}` and
`["exception.message", …]`.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from lupis_instrument._redaction.exception_text import NAMES, ExceptionFilter
from lupis_instrument._redaction.named_values import find_named_field, list_pair_names


def filter_data(data: Any, exceptions: ExceptionFilter, parent: str = "") -> Any:
    """Return nested data whose texts of exceptions have no content.

    Args:
        data: lists, mappings and single values, without cycles.
        exceptions: the filter for the attributes of one exception.
        parent: the key of the mapping or list in the mapping above; "" at the top.
    """
    if isinstance(data, Mapping):
        return _filter_mapping(data, exceptions, parent)
    if isinstance(data, (list, tuple)):
        return _filter_items(data, exceptions, parent)
    return data


def _filter_mapping(
    data: Mapping[str, Any], exceptions: ExceptionFilter, parent: str
) -> dict[str, Any]:
    names = {key: f"{parent}.{key}" for key in data if f"{parent}.{key}" in NAMES}
    names.update((key, key) for key in data if key in NAMES)
    named = find_named_field(data)
    if named and named[0] in NAMES:
        names[named[1]] = named[0]
    texts = exceptions.filter_attributes({name: data[key] for key, name in names.items()})
    return {
        key: texts[names[key]] if key in names else filter_data(value, exceptions, str(key))
        for key, value in data.items()
    }


def _filter_items(items: Sequence[Any], exceptions: ExceptionFilter, parent: str) -> list[Any]:
    pairs = list_pair_names(items)
    if pairs and not NAMES.isdisjoint(pairs):
        values = [
            _filter_mapping({name: pair[1]}, exceptions, parent)[name]
            for name, pair in zip(pairs, items)
        ]
        return [[pair[0], value] for pair, value in zip(items, values)]
    return [filter_data(item, exceptions, parent) for item in items]
