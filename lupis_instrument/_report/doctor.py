"""Checks what would be recorded in this environment, and why not."""

from __future__ import annotations

import os
import platform
import socket
import sys
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Iterator, NamedTuple
from urllib.parse import urlsplit

from lupis_instrument._config import resolve
from lupis_instrument._instrumentation.registry import CLIENTS
from lupis_instrument._redaction import Redactor
from lupis_instrument._settings import SETTINGS
from lupis_instrument._version import __version__

if TYPE_CHECKING:
    from lupis_instrument._config import LupisConfig, Resolved
    from lupis_instrument._instrumentation.registry import Client

_PROBE_SECONDS = 1.0


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        topic: what it belongs to.
        name: what was looked at.
        text: what was found; never a secret.
        wrong: whether that keeps something from working.
    """

    topic: str
    name: str
    text: str
    wrong: bool = False


def examine() -> list[Finding]:
    """Return all findings, grouped by topic."""
    resolved = resolve(os.environ, None, launched=True)
    findings = [
        *_versions(),
        *(_client(client, resolved.config) for client in CLIENTS),
        *_settings(resolved),
        *_delivery(resolved.config),
    ]
    redactor = Redactor("remove")
    return [
        each._replace(name=redactor.text(each.name), text=redactor.text(each.text))
        for each in findings
    ]


def _versions() -> Iterator[Finding]:
    topic = "Versions"
    yield Finding(topic, "lupis-instrument", __version__)
    yield Finding(
        topic, platform.python_implementation(), f"{platform.python_version()} {sys.executable}"
    )
    for name in ("opentelemetry-sdk", "opentelemetry-instrumentation"):
        try:
            yield Finding(topic, name, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(topic, name, "not installed", wrong=True)


def _client(client: Client, config: LupisConfig) -> Finding:
    topic, name = "HTTP clients", client.distribution or client.name
    asked = client.name in config.instrument
    if find_spec(client.module.split(".")[0]) is None:
        return Finding(topic, name, "not installed", wrong=asked)
    if client.name in config.disabled_instrumentations:
        return Finding(topic, name, "switched off by LUPIS_DISABLED_INSTRUMENTATIONS")
    if config.instrument and not asked:
        return Finding(topic, name, "not named by LUPIS_INSTRUMENT")
    version = metadata.version(client.distribution) if client.distribution else "standard library"
    return Finding(topic, name, f"{version}, instrumented at its first request")


def _settings(resolved: Resolved) -> Iterator[Finding]:
    problems = {problem.variable: problem for problem in resolved.problems}
    for row in SETTINGS:
        problem = problems.pop(row.variable, None)
        source = resolved.sources[row.name]
        value = row.show(resolved.values[row.name])
        said = f" - {problem}" if problem is not None else ""
        wrong = problem is not None and problem.severity == "error"
        yield Finding("Settings", row.variable, f"{value} ({source}){said}", wrong=wrong)
    for problem in problems.values():
        yield Finding("Settings", problem.variable, str(problem), wrong=problem.severity == "error")


def _delivery(config: LupisConfig) -> Iterator[Finding]:
    if config.exporter not in {"auto", "otlp"}:
        yield Finding("Delivery", "spans", f"LUPIS_EXPORTER={config.exporter}")
        return
    parts = urlsplit(config.otlp_endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=_PROBE_SECONDS):
            yield Finding("Delivery", "spans", f"{config.otlp_endpoint} answers")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        yield Finding("Delivery", "spans", f"{config.otlp_endpoint}: {reason}", wrong=True)
