"""`LupisConfig`, which configures the in-code API, and who wins where several say something."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import Any, Mapping, NamedTuple, Sequence

from lupis_instrument._config import settings as _settings
from lupis_instrument._config.checks import ITEM_CHECKS
from lupis_instrument._config.setting import DEFAULT, Problem, hide_password
from lupis_instrument._config.value_types import WrongValue
from lupis_instrument.exceptions import LupisConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lupis_instrument._config.setting import Reading

IN_CODE = "LupisConfig"
"""The source of a value that the program's own configuration set."""


def _default_of(name: str) -> Any:
    return _settings.BY_NAME[name].default


def _mapping(name: str) -> Any:
    return field(default_factory=lambda: dict(_default_of(name)), hash=False)


@dataclass(frozen=True, repr=False)
class LupisConfig:
    """The settings of one process. Every field but `project_id` may be left out.

    A field given as None counts as left out. A field given as text is read as the variable of
    the same name would be.

    Attributes:
        project_id: the project the telemetry belongs to.
        api_key: sent as header x-api-key.
        enabled: if false, nothing is patched and nothing is sent.
        service_name: resource attribute service.name.
        service_version: resource attribute service.version.
        exporter: `auto`, `otlp`, `local` (the store), `console` (stderr) or `none`.
        otlp_endpoint: full URL for spans.
        events_endpoint: full URL for events; see `events_url`.
        otlp_headers: headers added to every request.
        filter_sensitive_data: redact secrets in everything that leaves the process.
        sensitive_data_patterns: names and regular expressions added to the built-in rules.
        redaction_mode: `mask`, `remove` or `hash`.
        hash_key: makes `hash` a keyed HMAC-SHA-256, and derived chat ids the same everywhere.
        capture_headers: globs of the HTTP headers that spans carry; `all` or `none`.
        propagate_to: globs of the hosts that receive traceparent and the chat id as baggage;
            `private`, `none` or `all`.
        auto_chat_id: derive a chat id for LLM calls when none is in force.
        instrument: the HTTP clients to instrument; empty for all.
        disabled_instrumentations: the HTTP clients not to instrument.
        excluded_urls: regular expressions; a call whose URL one of them finds gets no span.
        join_provider: feed the TracerProvider that the program sets up, too.
        provider_hosts: by host or host:port, the provider whose API it speaks.
        prices_file: path of a JSON file of your own prices, which come before the catalogue's.
        data_dir: path of the folder that undelivered and local data lies in, and a key.
        summary: totals on stderr at the end; None for when stderr is a terminal.
        store_max_mb: what the local store may take up, in MiB.
        durable: store each span as it ends, so that not even SIGKILL loses one.
        shutdown_timeout: the most that the end of the program may wait for delivery, in seconds.

    Raises:
        LupisConfigError: a value is not valid.
    """

    project_id: str
    api_key: str | None = _default_of("api_key")
    enabled: bool = _default_of("enabled")
    service_name: str = _default_of("service_name")
    service_version: str = _default_of("service_version")
    exporter: str = _default_of("exporter")
    otlp_endpoint: str = _default_of("otlp_endpoint")
    events_endpoint: str | None = _default_of("events_endpoint")
    otlp_headers: Mapping[str, str] = _mapping("otlp_headers")
    filter_sensitive_data: bool = _default_of("filter_sensitive_data")
    sensitive_data_patterns: Sequence[str] = _default_of("sensitive_data_patterns")
    redaction_mode: str = _default_of("redaction_mode")
    hash_key: str | None = _default_of("hash_key")
    capture_headers: Sequence[str] = _default_of("capture_headers")
    propagate_to: Sequence[str] = _default_of("propagate_to")
    auto_chat_id: bool = _default_of("auto_chat_id")
    instrument: Sequence[str] = _default_of("instrument")
    disabled_instrumentations: Sequence[str] = _default_of("disabled_instrumentations")
    excluded_urls: Sequence[str] = _default_of("excluded_urls")
    join_provider: bool = _default_of("join_provider")
    provider_hosts: Mapping[str, str] = _mapping("provider_hosts")
    prices_file: str | None = _default_of("prices_file")
    summary: bool | None = _default_of("summary")
    data_dir: str | None = _default_of("data_dir")
    store_max_mb: float = _default_of("store_max_mb")
    durable: bool = _default_of("durable")
    shutdown_timeout: float = _default_of("shutdown_timeout")

    def __new__(cls, *args: object, **kwargs: object) -> LupisConfig:  # noqa: PYI034 - no Self in 3.8
        """Remember which fields are given, which afterwards looks the same as their defaults."""
        config = super().__new__(cls)
        given = {**dict(zip((each.name for each in fields(cls)), args)), **kwargs}
        names = frozenset(name for name, value in given.items() if value is not None)
        object.__setattr__(config, "_given", names)
        return config

    def __post_init__(self) -> None:
        """Check each field by its row of the table."""
        for each in fields(self):
            value = getattr(self, each.name)
            object.__setattr__(self, each.name, _check_field(each.name, value))

    @property
    def given(self) -> frozenset[str]:
        """The names of the fields that were not left out.

        In a copy made with `dataclasses.replace` that is every field.
        """
        names: frozenset[str] = self._given  # type: ignore[attr-defined]
        return names

    @property
    def events_url(self) -> str | None:
        """Where events go: `events_endpoint`, or what `otlp_endpoint` implies; None for nowhere."""
        return self.events_endpoint or _settings.derive_events_endpoint(self.otlp_endpoint)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> LupisConfig:
        """What the variables say, by default those of this process.

        Raises:
            LupisConfigError: a variable's value is not valid.
        """
        reading = _settings.read(
            os.environ if environ is None else environ, lenient=False, item_checks=ITEM_CHECKS
        )
        if reading.errors:
            raise LupisConfigError("\n".join(map(str, reading.errors)))
        return _build(cls, reading.values, reading.sources)

    def to_env(self) -> dict[str, str]:
        """The variables that say the same, secrets included, without defaults that nobody gave."""
        texts = {}
        for each in fields(self):
            row = _settings.BY_NAME[each.name]
            value = getattr(self, each.name)
            if value != row.default or (each.name in self.given and value is not None):
                texts[row.variable] = row.kind.spell(value)
        return texts

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={_show(name, getattr(self, name))}"
            for name in (each.name for each in fields(self))
            if name in self.given
        )
        return f"{type(self).__name__}({shown})"


class Resolved(NamedTuple):
    """The settings in force.

    Attributes:
        config: those that `LupisConfig` has.
        values: by setting name all of them, those that `LupisConfig` lacks too.
        sources: by setting name: a variable, `LupisConfig` or `default`.
        problems: what was wrong with variables; the safe values went into `config`.
        ignored: one sentence for each field of the program's configuration that lost.
    """

    config: LupisConfig
    values: dict[str, Any]
    sources: dict[str, str]
    problems: list[Problem]
    ignored: list[str]


def resolve(environ: Mapping[str, str], config: LupisConfig | None, *, launched: bool) -> Resolved:
    """Decide each setting; never raises for a variable's sake.

    Args:
        environ: the variables.
        config: what the program configures itself, if it does.
        launched: whether the operator decides (`lupis-run` or its variables): LUPIS_* before
            `config`; otherwise `config` comes first. OTEL_* come after both.
    """
    reading = _settings.read(environ, lenient=True, item_checks=ITEM_CHECKS)
    values = dict(reading.values)
    sources = dict(reading.sources)
    ignored = []
    for name in sorted(config.given) if config else ():
        value = getattr(config, name)
        if not launched or name not in reading.given:
            values[name], sources[name] = value, IN_CODE
        elif value != values[name]:
            ignored.append(_describe_ignored(name, value, reading))
    return Resolved(
        _build(LupisConfig, values, sources), values, sources, reading.problems, ignored
    )


def _check_field(name: str, value: Any) -> Any:
    row = _settings.BY_NAME[name]
    if value is None:
        if name == "project_id":
            raise LupisConfigError("LupisConfig(project_id=None): expected the project's id")
        return row.default
    try:
        return row.interpret(value, ITEM_CHECKS.get(name))
    except WrongValue as wrong:
        raise LupisConfigError(f"LupisConfig: {row.complain(name, value, wrong)}") from None


def _build(
    cls: type[LupisConfig], values: Mapping[str, Any], sources: Mapping[str, str]
) -> LupisConfig:
    names = [each.name for each in fields(cls) if sources[each.name] != DEFAULT]
    return cls(**{"project_id": values["project_id"], **{name: values[name] for name in names}})


def _show(name: str, value: Any) -> str:
    if _settings.BY_NAME[name].secret:
        return "***"
    return repr(hide_password(value) if isinstance(value, str) else value)


def _describe_ignored(name: str, value: Any, reading: Reading) -> str:
    row = _settings.BY_NAME[name]
    return (
        f"LupisConfig({name}={_show(name, value)}) is ignored:"
        f" {reading.sources[name]}={row.show(reading.values[name])} comes first under lupis-run"
    )
