"""Reads settings from the table `[tool.lupis]` of the nearest `pyproject.toml`.

Only `lupis-run` reads it, and `lupis doctor`, which shows the settings of `lupis-run`. A file in a
folder that somebody else has prepared must neither hold secrets nor send telemetry elsewhere in
silence: secrets are refused, and settings about delivery and privacy are announced.

Imported with every start of `lupis-run`: modules that the interpreter has not loaded already are
imported inside functions.
"""

# ruff: noqa: PTH100, PTH109, PTH113, PTH116, PTH118, PTH120, PTH123 - pathlib is slow to import

from __future__ import annotations

import os

from lupis_instrument import _semconv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from lupis_instrument._config.settings import Setting

_NAME = "pyproject.toml"
_MARK = b"tool.lupis"
_MAX_BYTES = 1 << 20
_OTHERS_WRITE = 0o002
_ANNOUNCED_GROUPS = ("Delivery", "Privacy")
_ANNOUNCED_NAMES = ("data_dir", "enabled", "join_provider", "prices_file")
"""The settings that decide where data goes, and how it is filtered."""
_ROOT = 0


class ProjectSettings:
    """The settings of a file that no variable and no option sets.

    Attributes:
        variables: by variable, the text of the setting.
        labels: by variable, the words that name the source.
        announcements: sentences about settings that decide where data goes, and how it is filtered.
        problems: sentences about parts of the file that are ignored.
    """

    __slots__ = ("announcements", "labels", "problems", "variables")

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.announcements: list[str] = []
        self.problems: list[str] = []


def read_project(environ: Mapping[str, str], folder: str | None = None) -> ProjectSettings:
    """Return the settings of the nearest file above a folder, by default the current folder.

    Args:
        environ: the environment variables, with the variables that options set. They take
            precedence, OTEL_* variables included. Inside another launch, nothing is read: its
            `lupis-run` has set the variables.
        folder: the folder to start from.
    """
    settings = ProjectSettings()
    path = None if environ.get(_semconv.ENV_RUN_ID) else _find_file(folder)
    data = _read_file(path) if path is not None else b""
    if path is None or _MARK not in data:
        return settings
    if _is_foreign(path):
        settings.problems.append(f"{path}: ignored, because other users could have written it")
        return settings
    table = _parse_table(path, data, settings)
    for key, value in table.items():
        _add_setting(settings, environ, path, key, value)
    return settings


def _find_file(folder: str | None) -> str | None:
    try:
        folder = os.path.abspath(folder or os.getcwd())
    except OSError:
        return None  # the current folder has been deleted
    while True:
        path = os.path.join(folder, _NAME)
        if os.path.isfile(path):
            return path
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_BYTES)
    except OSError:
        return b""  # other tools report a file that cannot be read


def _is_foreign(path: str) -> bool:
    """Return whether a user other than this one and root could have written a file."""
    if not hasattr(os, "geteuid"):
        return False
    status = os.stat(path)
    return status.st_uid not in {os.geteuid(), _ROOT} or bool(status.st_mode & _OTHERS_WRITE)


def _parse_table(path: str, data: bytes, settings: ProjectSettings) -> dict[str, Any]:
    """Return the table; Python reads TOML from 3.11 on, an older Python with the package tomli."""
    parser = _import_parser()
    if parser is None:
        text = "[tool.lupis] is ignored: it needs Python 3.11 or the package tomli"
        settings.problems.append(f"{path}: {text}")
        return {}
    try:
        table = parser.loads(data.decode()).get("tool", {}).get("lupis", {})
    except (ValueError, AttributeError, RecursionError) as error:
        settings.problems.append(f"{path}: ignored, because it is no valid TOML: {error}")
        return {}
    return table if isinstance(table, dict) else {}


def _import_parser() -> Any:
    from importlib import import_module

    for name in ("tomllib", "tomli"):
        try:
            return import_module(name)
        except ImportError:
            pass  # the next one may be there
    return None


def _add_setting(
    settings: ProjectSettings, environ: Mapping[str, str], path: str, key: str, value: Any
) -> None:
    from lupis_instrument._config.settings import BY_NAME, hide_password
    from lupis_instrument._config.value_types import find_nearest

    row = BY_NAME.get(key.replace("-", "_").lower())
    label = f"{path} [tool.lupis] {key}"
    if row is None:
        near = find_nearest(key, BY_NAME)
        hint = f"; did you mean {near}?" if near else ""
        settings.problems.append(f"{label}: no such setting{hint}")
    elif row.secret:
        settings.problems.append(f"{label}: ignored, because a secret belongs in {row.variable}")
    elif not _is_set(row, environ):
        text = _format_value(row, value)
        if text is None:
            settings.problems.append(f"{label}: expected a text, a number, true, false or a list")
            return
        settings.variables[row.variable] = text
        settings.labels[row.variable] = label
        if row.group in _ANNOUNCED_GROUPS or row.name in _ANNOUNCED_NAMES:
            settings.announcements.append(f"{label} = {hide_password(text)}")


def _is_set(row: Setting, environ: Mapping[str, str]) -> bool:
    names = (row.variable, *row.aliases)
    return any(environ.get(name, "").strip() for name in names) or any(
        translate(environ.get(name, "").strip()) for name, translate in row.otel_sources
    )


def _format_value(row: Setting, value: Any) -> str | None:
    """Return a value as the text of a variable; None if it has another type."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"{value}"
    if isinstance(value, str):
        return value
    items = value.values() if isinstance(value, dict) else value
    if isinstance(items, (list, type({}.values()))) and all(isinstance(i, str) for i in items):
        try:
            return row.value_type.format_value(value)
        except (AttributeError, TypeError):
            return None
    return None
