"""One setting, and how its value is found in an environment.

The settings themselves are the rows of the table in `_settings`. Imported at every interpreter
start: nothing that is not already loaded there may be imported at the top.
"""

from __future__ import annotations

from lupis_instrument._config.value_lists import check_each
from lupis_instrument._config.value_types import Kind, WrongValue, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Mapping, Tuple

    ItemChecks = Mapping[str, Callable[[str], object]]
    """By setting name: raises ValueError, saying what is wrong, for an item that is not valid."""

    Standard = Tuple[str, Callable[[str], str]]
    """A standard OTEL_* variable, and what its text means as ours; empty: nothing."""

PREFIX = "LUPIS_"
DEFAULT = "default"
"""The source of a value that nobody set."""

_TEST_PREFIX = "LUPIS_TEST_"
_ERROR = "error"
_WARNING = "warning"
_LONGEST_SHOWN = 120
_UNSET = "not set"


class Setting:
    """A row of the table.

    Attributes:
        variable: the environment variable.
        option: the option of `lupis-run`.
        name: the `LupisConfig` field, or the key in `Reading.values` if it has none.
        kind: how its text is read, checked and spelt.
        default: the value when nobody sets one.
        meaning: one or two sentences, with the unit.
        group: the heading it stands under in `--help`.
        aliases: other variables that mean the same, after `variable`.
        standards: OTEL_* variables that say the same, in the order they are asked.
        secret: never shown, in a message or elsewhere, but for `--print-env`.
        in_config: whether `LupisConfig` has it.
        safe: what the bootstrap goes on with when the value is wrong and no part of it is valid.
        default_shown: how the default is described.
        caution: a value that deserves a warning, with the warning.
    """

    __slots__ = (
        "aliases",
        "caution",
        "default",
        "default_shown",
        "group",
        "in_config",
        "kind",
        "meaning",
        "name",
        "option",
        "safe",
        "secret",
        "standards",
        "variable",
    )

    def __init__(
        self,
        variable: str,
        kind: Kind,
        default: Any,
        meaning: str,
        group: str,
        *,
        aliases: tuple[str, ...] = (),
        standards: tuple[Standard, ...] = (),
        secret: bool = False,
        in_config: bool = True,
        safe: Any = None,
        default_shown: str = "",
        caution: tuple[Any, str] | None = None,
    ) -> None:
        self.variable = variable
        self.name = variable[len(PREFIX) :].lower()
        self.option = "--" + self.name.replace("_", "-")
        self.kind = kind
        self.default = default
        self.meaning = meaning
        self.group = group
        self.aliases = aliases
        self.standards = standards
        self.secret = secret
        self.in_config = in_config
        self.safe = default if safe is None else safe
        self.default_shown = default_shown or (kind.spell(default) if default else _UNSET)
        self.caution = caution

    def interpret(self, value: Any, item_check: Callable[[str], object] | None = None) -> Any:
        """`value`, text or not, in its stored form.

        Raises:
            WrongValue: it is not valid; the message never shows a secret.
        """
        checked = self.kind.check(self.kind.parse(value) if isinstance(value, str) else value)
        if item_check is None:
            return checked
        items = checked if isinstance(checked, tuple) else (checked,)
        kept = check_each(items, item_check)
        return kept if isinstance(checked, tuple) else checked

    def complain(self, label: str, value: Any, wrong: WrongValue) -> str:
        """One line that says what is wrong with `value`, which `label` was set to."""
        if self.secret:
            return f"{label}='***': {wrong}"
        text = hide_password(value) if isinstance(value, str) else repr(value)
        if len(text) > _LONGEST_SHOWN:
            text = text[:_LONGEST_SHOWN] + "…"
        shown = repr(text) if isinstance(value, str) else text
        return f"{label}={shown}: {wrong}"

    def show(self, value: Any) -> str:
        """`value` for anyone's eyes: nothing of a secret, nor of a password in a URL."""
        if value == self.default:
            return self.default_shown
        return "***" if self.secret else hide_password(self.kind.spell(value))


def hide_password(text: str) -> str:
    """`text` with the user and password of a URL (RFC 3986, section 3.2.1) hidden."""
    before, found, after = text.partition("://")
    authority, slash, rest = after.partition("/")
    hidden, at, host = authority.rpartition("@")
    return before + found + ("***" if hidden else "") + at + host + slash + rest


class Problem:
    """Something about one variable that the user should know.

    Attributes:
        variable: the variable, or the option as the user wrote it.
        message: one line for stderr; it never shows a secret.
        severity: `error` for a value that is not valid, else `warning`.
    """

    __slots__ = ("message", "severity", "variable")

    def __init__(self, variable: str, message: str, severity: str) -> None:
        self.variable = variable
        self.message = message
        self.severity = severity

    def __str__(self) -> str:
        return self.message


class Reading:
    """What an environment says.

    Attributes:
        values: by setting name, every setting's value; the safe one where the text was not valid.
        sources: by setting name: the variable, what it was labelled as, or `default`.
        given: the names that a LUPIS_* variable set; OTEL_* ones don't count.
        problems: in the order of the table.
    """

    __slots__ = ("given", "problems", "sources", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.given: set[str] = set()
        self.problems: list[Problem] = []

    @property
    def errors(self) -> list[Problem]:
        """The wrong values."""
        return [problem for problem in self.problems if problem.severity == _ERROR]

    @property
    def warnings(self) -> list[Problem]:
        """The other problems."""
        return [problem for problem in self.problems if problem.severity == _WARNING]


class Reader:
    """Fills a `Reading`, a row at a time."""

    __slots__ = ("_environ", "_item_checks", "_labels", "_lenient", "reading")

    def __init__(
        self,
        environ: Mapping[str, str],
        lenient: bool,
        item_checks: ItemChecks,
        labels: Mapping[str, str],
    ) -> None:
        self._environ = environ
        self._lenient = lenient
        self._item_checks = item_checks
        self._labels = labels
        self.reading = Reading()

    def read(self, row: Setting) -> None:
        """Take the value from the row's own variables, else a standard one, else the default."""
        value, source = self._read_own(row) or self._read_standard(row) or (row.default, DEFAULT)
        self.reading.values[row.name] = value
        self.reading.sources[row.name] = source
        if row.caution and value == row.caution[0]:
            self._warn(source, f"{source}={row.kind.spell(value)}: {row.caution[1]}")

    def warn_if_unknown(self, variable: str, rows: Iterable[Setting]) -> None:
        """Say that `variable` is none of ours, with the one it was probably meant to be."""
        known = {name for row in rows for name in (row.variable, *row.aliases)}
        if variable in known or variable.startswith(_TEST_PREFIX):
            return
        near = nearest(variable, sorted(known))
        hint = f"; did you mean {near}?" if near else ""
        self._warn(variable, f"{variable}: no such setting{hint}")

    def _read_own(self, row: Setting) -> tuple[Any, str] | None:
        for variable in (row.variable, *row.aliases):
            text = self._environ.get(variable, "").strip()
            if text:
                self.reading.given.add(row.name)
                label = self._labels.get(variable, variable)
                return self._interpret(row, text, label), label
        return None

    def _interpret(self, row: Setting, text: str, label: str) -> Any:
        try:
            return row.interpret(text, self._item_checks.get(row.name))
        except WrongValue as wrong:
            value = wrong.kept or row.safe
            message = row.complain(label, text, wrong)
            if self._lenient:
                message += f"; going on with {row.show(value)}"
            self.reading.problems.append(Problem(label, message, _ERROR))
            return value

    def _read_standard(self, row: Setting) -> tuple[Any, str] | None:
        for variable, translate in row.standards:
            text = translate(self._environ.get(variable, "").strip())
            if text:
                try:
                    return row.interpret(text), variable
                except WrongValue as wrong:
                    self._warn(variable, row.complain(variable, text, wrong) + "; ignored")
        return None

    def _warn(self, variable: str, message: str) -> None:
        self.reading.problems.append(Problem(variable, message, _WARNING))
