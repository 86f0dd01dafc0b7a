"""Compares two sets of calls, such as two runs, model by model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Sequence

from lupis_instrument._query.groupings import name_columns
from lupis_instrument._query.totals import Totals, add_up_calls, add_up_groups

if TYPE_CHECKING:
    import sqlite3

    from lupis_instrument._query.filters import CallFilter
    from lupis_instrument._query.groupings import Key


class Change(NamedTuple):
    """The totals of one group in two sets of calls.

    Attributes:
        key: the names of the group.
        before: its totals in the first set; without calls if the set lacks the group.
        after: its totals in the second set.
    """

    key: Key
    before: Totals
    after: Totals


class Comparison(NamedTuple):
    """Two sets of calls, side by side.

    Attributes:
        columns: the names of the parts of a key.
        changes: a row for each group of either set, the most expensive first.
        total: the totals of both sets; its key is empty.
    """

    columns: tuple[str, ...]
    changes: list[Change]
    total: Change


def compare_calls(
    db: sqlite3.Connection,
    before: CallFilter,
    after: CallFilter,
    by: Sequence[str] = ("model",),
) -> Comparison:
    """Compare two sets of calls.

    Args:
        db: the store.
        before: the calls of the first set.
        after: the calls of the second set.
        by: the dimensions, see `groupings.DIMENSIONS`.

    Raises:
        ValueError: there is no such dimension, or a filter names an unknown field.
    """
    old_groups, _ = add_up_calls(db, by, before)
    new_groups, _ = add_up_calls(db, by, after)
    keys = dict.fromkeys([*new_groups, *old_groups])
    changes = [
        Change(key, old_groups.get(key) or Totals(), new_groups.get(key) or Totals())
        for key in keys
    ]
    changes.sort(key=lambda change: -max(change.before.cost or 0.0, change.after.cost or 0.0))
    total = Change((), add_up_groups(old_groups.values()), add_up_groups(new_groups.values()))
    return Comparison(name_columns(by), changes, total)
