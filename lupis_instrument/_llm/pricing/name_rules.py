"""The rules of genai-prices by which a name of a model or provider matches an entry."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Union

if TYPE_CHECKING:
    from typing import Match

NameRule = Union[str, List[Any], Mapping[str, Any]]
"""Which names match: an equal string, any rule of a list, or a mapping of one kind to its operand.

The kinds are the keys of `_RULE_KINDS`. Names and operands are in lower case.
"""

# A day without hyphens, such as the end of `gpt-4o-20240806`.
_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


def matches_rule(rule: NameRule, name: str) -> bool:
    """Return whether a rule admits a name in lower case."""
    if isinstance(rule, str):
        return rule == name
    if isinstance(rule, list):
        return any(matches_rule(option, name) for option in rule)
    ((kind, operand),) = rule.items()
    result: bool = _RULE_KINDS[kind](operand, name)
    return result


_RULE_KINDS: dict[str, Callable[[Any, str], bool]] = {
    "starts_with": lambda operand, name: name.startswith(operand),
    "ends_with": lambda operand, name: name.endswith(operand),
    "contains": lambda operand, name: operand in name,
    "regex": lambda operand, name: re.search(operand, name) is not None,
    "and": lambda operand, name: all(matches_rule(rule, name) for rule in operand),
}


def hyphenate_dates(name: str) -> str:
    """Return a model's name with hyphens in its dates: `-20240806` becomes `-2024-08-06`."""
    return _COMPACT_DATE.sub(_hyphenate_date, name)


def _hyphenate_date(match: Match[str]) -> str:
    """Return the matched date with hyphens; unchanged if no such day exists (31 February)."""
    year, month, day = match.groups()
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return match.group()
    return f"-{year}-{month}-{day}"
