"""Reads all settings from environment variables.

Imported when `lupis-run` checks settings, before it becomes the program: modules that the
interpreter has not loaded already are imported inside functions.
"""

from __future__ import annotations

from lupis_instrument import _semconv
from lupis_instrument._config.settings import HTTP_HINT, PREFIX, SETTINGS
from lupis_instrument._config.value_types import InvalidValueError, find_nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from lupis_instrument._config.settings import Setting

DEFAULT_SOURCE = "default"
"""The source of a value that nobody set."""
_ERROR = "error"
_WARNING = "warning"
_NO_SETTINGS = ("LUPIS_TEST_", _semconv.ENV_LAUNCH_PREFIX)
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_NOT_SETTINGS = frozenset(
    {
        _semconv.ENV_RUN_ID,
        _semconv.ENV_RUN_PID,
        _semconv.ENV_LAUNCHER_SITE,
        _semconv.ENV_LEADER,
    }
)
"""Variables that processes of one launch hand to each other."""


class Problem:
    """A message about one variable that the user should read.

    Attributes:
        variable: the variable, or the option that set it.
        message: one line for stderr; it never shows a secret.
        severity: `error` if the value is not valid, else `warning`.
    """

    __slots__ = ("message", "severity", "variable")

    def __init__(self, variable: str, message: str, severity: str) -> None:
        self.variable = variable
        self.message = message
        self.severity = severity

    def __str__(self) -> str:
        return self.message


class Reading:
    """The settings that an environment gives.

    Attributes:
        values: by setting name, the value of every setting; a safe one if the text was not valid.
        sources: by setting name, the variable or option that set the value, or `default`.
        given: the names of the settings that a LUPIS_* variable set; OTEL_* ones do not count.
        problems: errors and warnings, in the order of the table.
    """

    __slots__ = ("given", "problems", "sources", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.given: set[str] = set()
        self.problems: list[Problem] = []

    @property
    def errors(self) -> list[Problem]:
        """The problems of values that are not valid."""
        return [problem for problem in self.problems if problem.severity == _ERROR]

    @property
    def warnings(self) -> list[Problem]:
        """The problems that do not keep a setting from working."""
        return [problem for problem in self.problems if problem.severity == _WARNING]


def read_environment(
    environ: Mapping[str, str], *, lenient: bool, labels: Mapping[str, str] | None = None
) -> Reading:
    """Read every setting; a variable that is empty counts as not set.

    Args:
        environ: the environment variables.
        lenient: whether the program runs on after a wrong value; messages then name the value
            that is used instead.
        labels: by variable, the option that set it, for messages and sources.
    """
    reader = _Reader(environ, lenient, labels or {})
    for row in SETTINGS:
        reader.read_setting(row)
    reader.warn_about_protocol()
    reader.warn_about_unknown()
    return reader.reading


class _Reader:
    """Fills a `Reading`, one row of the table after the other."""

    __slots__ = ("_environ", "_labels", "_lenient", "reading")

    def __init__(
        self, environ: Mapping[str, str], lenient: bool, labels: Mapping[str, str]
    ) -> None:
        self._environ = environ
        self._lenient = lenient
        self._labels = labels
        self.reading = Reading()

    def read_setting(self, row: Setting) -> None:
        """Read a setting from its LUPIS_* variables, else from OTEL_* ones, else its default."""
        value, source = (
            self._read_lupis_variable(row)
            or self._read_otel_variable(row)
            or (row.default, DEFAULT_SOURCE)
        )
        self.reading.values[row.name] = value
        self.reading.sources[row.name] = source
        if row.caution and value == row.caution[0]:
            shown = row.value_type.format_value(value)
            self._add_warning(source, f"{source}={shown}: {row.caution[1]}")

    def warn_about_protocol(self) -> None:
        """Add a warning if OTEL_* variables name an endpoint for another protocol than HTTP."""
        sends = self.reading.values["exporter"] in {"auto", "otlp"}
        if sends and self.reading.sources["otlp_endpoint"].startswith("OTEL_"):
            for variable in filter(self._environ.get, _PROTOCOLS):
                if self._environ[variable].strip().lower() == "grpc":
                    self._add_warning(variable, f"{variable}=grpc: {HTTP_HINT}")
                return

    def warn_about_unknown(self) -> None:
        """Add a warning for each LUPIS_* variable that is no setting, with the nearest that is."""
        known = {name for row in SETTINGS for name in (row.variable, *row.aliases)}
        for variable in self._environ:
            if not variable.startswith(PREFIX) or variable.startswith(_NO_SETTINGS):
                continue
            if variable not in known and variable not in _NOT_SETTINGS:
                near = find_nearest(variable, sorted(known))
                hint = f"; did you mean {near}?" if near else ""
                self._add_warning(variable, f"{variable}: no such setting{hint}")

    def _read_lupis_variable(self, row: Setting) -> tuple[Any, str] | None:
        for variable in (row.variable, *row.aliases):
            text = self._environ.get(variable, "").strip()
            if text:
                self.reading.given.add(row.name)
                label = self._labels.get(variable, variable)
                return self._read_value(row, text, label), label
        return None

    def _read_value(self, row: Setting, text: str, label: str) -> Any:
        try:
            return row.read_value(text)
        except InvalidValueError as error:
            # An empty valid part, of a list without a valid item, is replaced too.
            value = error.valid_part or row.fallback
            message = row.describe_error(label, text, error)
            if self._lenient:
                message += f"; going on with {row.show_value(value)}"
            self.reading.problems.append(Problem(label, message, _ERROR))
            return value

    def _read_otel_variable(self, row: Setting) -> tuple[Any, str] | None:
        for variable, translate in row.otel_sources:
            text = translate(self._environ.get(variable, "").strip())
            if text:
                try:
                    return row.read_value(text), variable
                except InvalidValueError as error:
                    # Another tool may understand the value, so it is a warning only.
                    message = row.describe_error(variable, text, error)
                    self._add_warning(variable, f"{message}; ignored")
        return None

    def _add_warning(self, variable: str, message: str) -> None:
        self.reading.problems.append(Problem(variable, message, _WARNING))
