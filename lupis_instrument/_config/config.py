"""`LupisConfig`, the settings given in code, and their precedence over variables."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass, field, fields
from functools import wraps
from typing import Any, Mapping, NamedTuple, Sequence, TypeVar

from lupis_instrument._config.environment import DEFAULT_SOURCE, read_environment
from lupis_instrument._config.settings import BY_NAME, SETTINGS, hide_password
from lupis_instrument._config.value_types import NO_URL, InvalidValueError
from lupis_instrument.exceptions import LupisConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lupis_instrument._config.environment import Problem, Reading

Config = TypeVar("Config", bound="LupisConfig")

IN_CODE = "LupisConfig"
"""The source of a value that the program's own configuration set."""

_FROM_TABLE: Any = object()
"""Stands for the default of a field, which `_complete_from_table` takes from the field's row."""

# An endpoint for spans, and the endpoint for events that belongs to it: the Lupis collector's two,
# and the default paths of OTLP/HTTP, which takes events as log records.
_EVENTS_PATHS = (("/api/traces", "/api/events"), ("/v1/traces", "/v1/logs"))


def _complete_from_table(cls: type[Config]) -> type[Config]:
    """Give `LupisConfig` its defaults and the documentation of its fields from the table.

    Runs before `dataclass` looks at the class. A field itself has to be written in the class too,
    for type checkers read nothing else.
    """
    for name in [name for name, value in vars(cls).items() if value is _FROM_TABLE]:
        setattr(cls, name, _make_default(BY_NAME[name].default))
    if cls.__doc__:  # `python -OO` removes docstrings
        lines = [_describe_field(row.name) for row in SETTINGS if row.in_config]
        cls.__doc__ = "\n".join([inspect.cleandoc(cls.__doc__), "", "Attributes:", *lines])
    return cls


def _remember_given(cls: type[Config]) -> type[Config]:
    """Wrap the constructor so that it notes the given fields before it sets all of them.

    Afterwards a given value can look the same as a default. The wrapper keeps the signature that
    `dataclass` made, for `help` and editors.
    """
    set_fields = cls.__init__
    names = [item.name for item in fields(cls)]

    @wraps(set_fields)
    def __init__(self: Config, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it becomes one
        arguments = {**dict(zip(names, args)), **kwargs}
        given = frozenset(name for name, value in arguments.items() if value is not None)
        object.__setattr__(self, "_given", given)  # the class is frozen
        set_fields(self, *args, **kwargs)

    cls.__init__ = __init__  # type: ignore[method-assign, assignment]
    return cls


def _make_default(default: Any) -> Any:
    """Return `default` in the form that dataclasses want; each instance has a dict of its own."""
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), hash=False)
    return default


def _describe_field(name: str) -> str:
    row = BY_NAME[name]
    default = "" if name == "project_id" else f" Default: {row.default_text}."
    return f"    {name}: {row.description}{default}"


@_remember_given
@dataclass(frozen=True, repr=False)
@_complete_from_table
class LupisConfig:
    """The settings of one process, given in code.

    Every field but `project_id` may be left out; a field given as None counts as left out. A field
    given as text is read like the variable of the same name, `LUPIS_SUMMARY` for `summary`.

    Raises:
        LupisConfigError: a value is not valid.
    """

    project_id: str
    api_key: str | None = _FROM_TABLE
    enabled: bool = _FROM_TABLE
    service_name: str = _FROM_TABLE
    service_version: str = _FROM_TABLE
    tags: Mapping[str, str] = _FROM_TABLE
    exporter: str = _FROM_TABLE
    otlp_endpoint: str = _FROM_TABLE
    events_endpoint: str | None = _FROM_TABLE
    otlp_headers: Mapping[str, str] = _FROM_TABLE
    filter_sensitive_data: bool = _FROM_TABLE
    sensitive_data_patterns: Sequence[str] = _FROM_TABLE
    redaction_mode: str = _FROM_TABLE
    hash_key: str | None = _FROM_TABLE
    capture_headers: Sequence[str] = _FROM_TABLE
    stacktrace_source: bool = _FROM_TABLE
    propagate_to: Sequence[str] = _FROM_TABLE
    auto_chat_id: bool | str = _FROM_TABLE
    instrument: Sequence[str] = _FROM_TABLE
    disabled_instrumentations: Sequence[str] = _FROM_TABLE
    excluded_urls: Sequence[str] = _FROM_TABLE
    native_spans: bool = _FROM_TABLE
    excluded_scopes: Sequence[str] = _FROM_TABLE
    join_provider: bool = _FROM_TABLE
    provider_hosts: Mapping[str, str] = _FROM_TABLE
    max_cost: float | None = _FROM_TABLE
    on_limit: str = _FROM_TABLE
    prices_file: str | None = _FROM_TABLE
    summary: bool | None = _FROM_TABLE
    data_dir: str | None = _FROM_TABLE
    store_max_mb: float = _FROM_TABLE
    durable: bool = _FROM_TABLE
    shutdown_timeout: float = _FROM_TABLE

    def __post_init__(self) -> None:
        """Check each value by the field's row of the table."""
        for item in fields(self):
            value = getattr(self, item.name)
            object.__setattr__(self, item.name, _check_field(item.name, value))

    @property
    def given(self) -> frozenset[str]:
        """The names of the fields that were not left out.

        In a copy made with `dataclasses.replace` that is every field.
        """
        names: frozenset[str] = self._given  # type: ignore[attr-defined]
        return names

    @property
    def events_url(self) -> str | None:
        """The URL that receives events: `events_endpoint`, or the one beside `otlp_endpoint`.

        None if there is neither.
        """
        if self.events_endpoint == NO_URL:
            return None
        return self.events_endpoint or derive_events_endpoint(self.otlp_endpoint)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> LupisConfig:
        """Read the settings from LUPIS_* and OTEL_* variables.

        Args:
            environ: the environment variables, by default the environment of this process.

        Raises:
            LupisConfigError: a variable's value is not valid; the message names every one.
        """
        reading = read_environment(os.environ if environ is None else environ, lenient=False)
        if reading.errors:
            raise LupisConfigError("\n".join(map(str, reading.errors)))
        return _build_config(cls, reading.values, reading.sources)

    def to_env(self) -> dict[str, str]:
        """Return the variables that give the same settings, secrets included.

        Defaults that were not given in code are left out.
        """
        texts = {}
        for item in fields(self):
            row = BY_NAME[item.name]
            value = getattr(self, item.name)
            if value != row.default or (item.name in self.given and value is not None):
                texts[row.variable] = row.value_type.format_value(value)
        return texts

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{item.name}={_show_value(item.name, getattr(self, item.name))}"
            for item in fields(self)
            if item.name in self.given
        )
        return f"{type(self).__name__}({shown})"


class ResolvedSettings(NamedTuple):
    """All settings of this process, after precedence.

    Attributes:
        config: the settings that `LupisConfig` has.
        values: by setting name, the value of every setting, in `LupisConfig` or not.
        sources: by setting name, a variable, `LupisConfig` or `default`.
        problems: errors and warnings about variables; `config` has safe values instead.
        ignored: one sentence for each field of the program's configuration that a variable
            overrides.
    """

    config: LupisConfig
    values: dict[str, Any]
    sources: dict[str, str]
    problems: list[Problem]
    ignored: list[str]


def resolve_settings(
    environ: Mapping[str, str],
    config: LupisConfig | None,
    *,
    launched: bool,
    labels: Mapping[str, str] | None = None,
) -> ResolvedSettings:
    """Decide the value of each setting; a variable that is not valid raises nothing.

    Args:
        environ: the environment variables.
        config: the program's own configuration, if it has one.
        launched: whether the operator decides (`lupis-run`, or its variables): LUPIS_* variables
            then take precedence over `config`. Otherwise `config` takes precedence. OTEL_*
            variables come after both.
        labels: by variable, the words that name its source.
    """
    reading = read_environment(environ, lenient=True, labels=labels)
    # Variables first; then each field given in code replaces its variable, unless the operator
    # decides and has set a LUPIS_* one. `reading.given` has none of the OTEL_* variables.
    values = dict(reading.values)
    sources = dict(reading.sources)
    ignored = []
    for name in sorted(config.given) if config else ():
        value = getattr(config, name)
        if not launched or name not in reading.given:
            values[name], sources[name] = value, IN_CODE
        elif value != values[name]:  # equal values are no reason for a message
            ignored.append(_describe_ignored(name, value, reading))
    return ResolvedSettings(
        _build_config(LupisConfig, values, sources), values, sources, reading.problems, ignored
    )


def derive_events_endpoint(otlp_endpoint: str) -> str | None:
    """Return the URL for events that belongs to a URL for spans; None if its path is unknown.

    Args:
        otlp_endpoint: the URL for spans; a query in it is kept.
    """
    path, question_mark, query = otlp_endpoint.partition("?")
    path = path.rstrip("/")
    for spans_path, events_path in _EVENTS_PATHS:
        if path.endswith(spans_path):
            return path[: -len(spans_path)] + events_path + question_mark + query
    return None


def _check_field(name: str, value: Any) -> Any:
    row = BY_NAME[name]
    if value is None:
        if name == "project_id":
            raise LupisConfigError("LupisConfig(project_id=None): expected the project's id")
        return row.default
    try:
        return row.read_value(value)
    except InvalidValueError as error:
        raise LupisConfigError(f"LupisConfig: {row.describe_error(name, value, error)}") from None


def _build_config(
    cls: type[LupisConfig], values: Mapping[str, Any], sources: Mapping[str, str]
) -> LupisConfig:
    """Build a configuration in which only values that somebody set count as given."""
    names = [item.name for item in fields(cls) if sources[item.name] != DEFAULT_SOURCE]
    return cls(**{"project_id": values["project_id"], **{name: values[name] for name in names}})


def _show_value(name: str, value: Any) -> str:
    if BY_NAME[name].secret:
        return "***"
    return repr(hide_password(value) if isinstance(value, str) else value)


def _describe_ignored(name: str, value: Any, reading: Reading) -> str:
    shown = BY_NAME[name].show_value(reading.values[name])
    return (
        f"LupisConfig({name}={_show_value(name, value)}) is ignored:"
        f" {reading.sources[name]}={shown} comes first under lupis-run"
    )
