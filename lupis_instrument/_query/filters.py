"""Selects calls: the conditions of a question, and the SQL for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from lupis_instrument._query.fields import TAG_PREFIX, Field, FieldType, find_field
from lupis_instrument._query.origins import read_origins, read_tags, select_origins

if TYPE_CHECKING:
    import sqlite3

IS_CALL = "provider IS NOT NULL"
"""The SQL condition for LLM calls."""
_SEARCHED_COLUMNS = ("name", "provider", "model", "chat", "user", "session", "error", "host")
_TRACE_ID_DIGITS = 32
_LIKE = ("like", "unlike")


class Condition(NamedTuple):
    """A condition for a call.

    Attributes:
        field: the name of the field; empty for a word that any text of the call may contain.
        operator: `=`, `!=`, `<`, `<=`, `>`, `>=`, `set`, `unset`; for texts also `like` and
            `unlike`, for which `*` stands for any characters.
        value: the value to compare with; a duration in seconds, a time in nanoseconds since the
            epoch.
    """

    field: str
    operator: str
    value: Any = None


class CallFilter(NamedTuple):
    """The calls that a question is about: calls that meet all conditions.

    Attributes:
        conditions: the conditions; without any, the filter selects all calls.
    """

    conditions: tuple[Condition, ...] = ()

    def also(self, *conditions: Condition) -> CallFilter:
        """Return a filter with more conditions."""
        return CallFilter((*self.conditions, *conditions))

    def find_values(self, field: str) -> list[Any]:
        """Return the values that the conditions `=` demand of a field."""
        return [
            condition.value
            for condition in self.conditions
            if (condition.field, condition.operator) == (field, "=")
        ]


ALL_CALLS = CallFilter()
"""The filter without conditions."""


class SqlCondition(NamedTuple):
    """A condition in SQL.

    Attributes:
        sql: the condition, with a question mark for each value.
        values: the values for the question marks.
    """

    sql: str
    values: tuple[Any, ...] = ()


def make_filter(**values: Any) -> CallFilter:
    """Return a filter from values by the name of their field.

    `since`, `until`, `run`, `trace`, `chat`, `user`, `session`, `organization`, `project`,
    `model`, `provider`, `operation`, `service`, `host`, `status`, `error` and all other fields
    compare with `=`. `min_` and `max_` before a field's name stand for `>=` and `<=`. True and
    False ask whether a field is set. None stands for no condition.

    Raises:
        ValueError: there is no such field.
    """
    return CallFilter(
        tuple(_make_condition(name, value) for name, value in values.items() if value is not None)
    )


def _make_condition(name: str, value: Any) -> Condition:
    bound, _, rest = name.partition("_")
    field = rest if bound in _BOUNDS else name
    _require_field(field)
    if isinstance(value, bool):
        return Condition(field, "set" if value else "unset")
    return Condition(field, _BOUNDS.get(bound, "="), value)


_BOUNDS = {"min": ">=", "max": "<="}


def _require_field(name: str) -> Field:
    field = find_field(name)
    if field is None:
        raise ValueError(f"there is no field {name!r}")
    return field


def compile_filter(
    db: sqlite3.Connection, call_filter: CallFilter, *, of_calls: bool = True
) -> SqlCondition:
    """Return the SQL condition for the calls that a filter selects.

    Args:
        db: the store, whose origins have the runs, projects, services and tags.
        call_filter: the filter.
        of_calls: whether the rows may be others than calls.

    Raises:
        ValueError: a condition names an unknown field.
    """
    parts = [SqlCondition(IS_CALL if of_calls else "1")]
    parts += [_compile_condition(db, condition) for condition in call_filter.conditions]
    values = [value for part in parts for value in part.values]
    return SqlCondition(" AND ".join(part.sql for part in parts), tuple(values))


def _compile_condition(db: sqlite3.Connection, condition: Condition) -> SqlCondition:
    if not condition.field:
        return _compile_word(condition)
    field = _require_field(condition.field)
    if field.type is FieldType.ORIGIN:
        return SqlCondition(_select_by_origin(db, condition))
    if condition.operator in ("set", "unset"):
        return _compile_presence(field, is_set=condition.operator == "set")
    return _COMPILERS[field.type](field, condition)


def _compile_presence(field: Field, *, is_set: bool) -> SqlCondition:
    if field.name == "retries":
        return SqlCondition(f"ifnull({field.sql}, 0) {'>' if is_set else '='} 0")
    return SqlCondition(f"{field.sql} IS {'NOT ' if is_set else ''}NULL")


def _compile_word(condition: Condition) -> SqlCondition:
    """Compile a word without a field: a text of the call contains it."""
    matches = " OR ".join(f"instr(lower({column}), ?)" for column in _SEARCHED_COLUMNS)
    sql = f"ifnull({matches}, 0)" if condition.operator == "=" else f"NOT ifnull({matches}, 0)"
    return SqlCondition(sql, (str(condition.value).lower(),) * len(_SEARCHED_COLUMNS))


def _compile_text(field: Field, condition: Condition) -> SqlCondition:
    value = str(condition.value)
    if condition.operator not in _LIKE:
        operator = "IS NOT" if condition.operator == "!=" else condition.operator
        return SqlCondition(f"{field.sql} {operator} ?", (value,))
    pattern = "".join(f"[{letter}]" if letter in "[?" else letter for letter in value)
    match = f"ifnull({field.sql} GLOB ?, 0)"
    return SqlCondition(match if condition.operator == "like" else f"NOT {match}", (pattern,))


def _compile_number(field: Field, condition: Condition) -> SqlCondition:
    number = float(condition.value) * field.unit
    value = int(number) if number.is_integer() else number
    # A program may have set a figure to a text, which SQLite orders after all numbers.
    operator = "IS NOT" if condition.operator == "!=" else condition.operator
    is_number = "" if operator in ("=", "IS NOT") else f" AND typeof({field.sql}) != 'text'"
    return SqlCondition(f"({field.sql} {operator} ?{is_number})", (value,))


def _compile_time(field: Field, condition: Condition) -> SqlCondition:
    # The end of a period is not part of it, so that periods can follow each other.
    return SqlCondition(f"at {'>=' if field.name == 'since' else '<'} ?", (condition.value,))


def _compile_trace(_: Field, condition: Condition) -> SqlCondition:
    """Compile the first digits of a trace id."""
    digits = str(condition.value).lower()
    low, high = (bytes.fromhex(digits.ljust(_TRACE_ID_DIGITS, digit)) for digit in "0f")
    negation = "NOT " if condition.operator == "!=" else ""
    return SqlCondition(f"trace {negation}BETWEEN ? AND ?", (low, high))


_COMPILERS: dict[FieldType, Callable[[Field, Condition], SqlCondition]] = {
    FieldType.TEXT: _compile_text,
    FieldType.NUMBER: _compile_number,
    FieldType.SECONDS: _compile_number,
    FieldType.TIME: _compile_time,
    FieldType.TRACE: _compile_trace,
}


def _select_by_origin(db: sqlite3.Connection, condition: Condition) -> str:
    """Return the SQL condition for calls of the origins that meet a condition."""
    origins, name = read_origins(db), condition.field.lower()
    tags = read_tags(db, condition.field[len(TAG_PREFIX) :]) if name.startswith(TAG_PREFIX) else {}
    wanted = "" if condition.value is None else str(condition.value)

    def matches(origin: Any) -> bool:
        value = tags.get(origin.id) if name.startswith(TAG_PREFIX) else getattr(origin, name)
        if condition.operator in ("set", "unset"):
            return (value is not None) == (condition.operator == "set")
        text = "" if value is None else str(value)
        is_equal = text.startswith(wanted) if name == "run" else text == wanted
        return value is not None and is_equal

    selected = select_origins(origins, matches)
    return f"NOT {selected}" if condition.operator == "!=" else selected
