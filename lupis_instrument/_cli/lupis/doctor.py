"""Checks what would be recorded in this environment, and why not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, NamedTuple, Sequence
from urllib.parse import urlsplit

from lupis_instrument._cli.lupis import target
from lupis_instrument._cli.lupis.target import Target
from lupis_instrument._cli.run import start
from lupis_instrument._config.config import resolve_settings
from lupis_instrument._config.environment import DEFAULT_SOURCE
from lupis_instrument._config.settings import SETTINGS, hide_password
from lupis_instrument._export.store.database import StoreUnavailable
from lupis_instrument._export.store.store import Process, Store
from lupis_instrument._process import data_folder
from lupis_instrument._redaction import Redactor
from lupis_instrument._version import __version__
from lupis_instrument.exceptions import LupisLaunchError

if TYPE_CHECKING:
    from lupis_instrument._config.config import LupisConfig, ResolvedSettings

_PROBE_SECONDS = 1.0
_LONGEST_RUN = 60.0
_MB = 1 << 20
_PROBE = Path(__file__).with_name("doctor_probe.py")
_INSTALLED = (
    "import importlib.util; print(importlib.util.find_spec('lupis_instrument') is not None)"
)

FLAGS = {
    "isolated": "-I: PYTHONPATH is ignored",
    "ignore_environment": "-E: PYTHONPATH is ignored",
    "no_site": "-S: no sitecustomize is run",
    "no_user_site": "no user site-packages; no matter",
    "safe_path": "PYTHONSAFEPATH: the program's folder is not imported from; no matter",
}
"""What the flags of an interpreter mean here."""


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


class Trial(NamedTuple):
    """What an interpreter said when it was started below the bootstrap.

    Attributes:
        found: what `probe` found.
        lines: what was written to stderr.
        installed: whether the interpreter has the package itself.
    """

    found: dict[str, Any]
    lines: list[str]
    installed: bool


def examine(command: Sequence[str] = ()) -> list[Finding]:
    """Return all findings, grouped by topic.

    Args:
        command: what is to be run; it is not. By default any program of this interpreter.
    """
    resolved = resolve_settings(os.environ, None, launched=True)
    config = resolved.config
    findings, found = _command(command) if command else ([], _THIS)
    endpoint, sends = _endpoint(resolved)
    trial = _try(found.python, found.folder, send=sends) if found.python is not None else None
    if trial is not None:
        findings += [*_interpreter(trial), *_versions(trial), *_clients(trial)]
    findings += [*_settings(resolved), endpoint]
    if trial is not None and sends:
        findings += _span(trial)
    findings += _data_folder(config)
    redactor = Redactor("remove")
    return [
        each._replace(name=redactor.redact_text(each.name), text=redactor.redact_text(each.text))
        for each in findings
    ]


_THIS = Target("", sys.executable, None)
_NOTHING = Target("", None, None)


def _command(command: Sequence[str]) -> tuple[list[Finding], Target]:
    """Return what a command comes to: what to say of it, and what to look into."""
    topic = "Command"
    try:
        found = target.find(command, os.environ)
    except LupisLaunchError as error:
        return [Finding(topic, command[0], str(error), wrong=True)], _NOTHING
    findings = [Finding(topic, command[0], found.path)]
    if found.obstacle:
        text = f"{found.obstacle}: this program will not be instrumented"
        return [*findings, Finding(topic, "obstacle", text, wrong=True)], _NOTHING
    if found.python is None:
        text = "none by its first line; those that it starts will be instrumented"
        findings.append(Finding(topic, "Python", text))
    return findings, found


def _try(python: str, folder: str | None, *, send: bool) -> Trial:
    """Start an interpreter as `lupis-run` would, but for the program."""
    bare = _run(python, _INSTALLED, environ={**os.environ})
    source = _PROBE.read_text(encoding="utf-8")
    arguments = ["--send"] * send + (["--folder", folder] if folder is not None else [])
    # Of its own, so that a test span that does not arrive won't wait there with the others.
    with tempfile.TemporaryDirectory() as data:
        environ = {**os.environ, "LUPIS_SUMMARY": "false", "LUPIS_DATA_DIR": data}
        done = _run(python, source, *arguments, environ=start.prepare_environment(environ))
    try:
        found = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        found = {}
    return Trial(found, done.stderr.splitlines(), bare.stdout.strip().endswith("True"))


def _run(python: str, code: str, *arguments: str, environ: dict[str, str]) -> Any:
    command = [python, "-c", code, *arguments]
    try:
        return subprocess.run(  # noqa: S603 - what the user would run, with a program of ours
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LONGEST_RUN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", f"{type(error).__name__}: {error}")


def _interpreter(trial: Trial) -> Iterator[Finding]:
    topic, found = "Interpreter", trial.found
    said = "; ".join(trial.lines)
    if not found:
        yield Finding(topic, "Python", said or "does not run", wrong=True)
        return
    yield Finding(topic, found["implementation"], f"{found['version']} {found['executable']}")
    yield Finding(topic, "virtual environment", found["environment"] or "none")
    for flag in found["flags"]:
        yield Finding(topic, flag, FLAGS[flag], wrong="no matter" not in FLAGS[flag])
    if not found["hooked"]:
        text = said or "it was not run: see the flags, or whose sitecustomize comes first"
        yield Finding(topic, "bootstrap", text, wrong=True)
    elif trial.installed:
        yield Finding(topic, "lupis_instrument", f"found in {found['place']}")
    else:
        yield Finding(topic, "lupis_instrument", f"not installed: borrowed from {found['place']}")
    for reason in found.get("conflicts", ()):
        yield Finding(topic, "conflict", f"{reason}: nothing is instrumented", wrong=True)


def _versions(trial: Trial) -> Iterator[Finding]:
    topic = "Versions"
    yield Finding(topic, "lupis-instrument", __version__)
    for name, text, wrong in trial.found.get("requirements", ()):
        yield Finding(topic, name, text, wrong)


def _clients(trial: Trial) -> Iterator[Finding]:
    for name, text, wrong in trial.found.get("clients", ()):
        yield Finding("HTTP clients", name, text, wrong)


def _settings(resolved: ResolvedSettings) -> Iterator[Finding]:
    problems = {problem.variable: problem for problem in resolved.problems}
    for row in SETTINGS:
        problem = problems.pop(row.variable, None)
        source = resolved.sources[row.name]
        value = row.show_value(resolved.values[row.name])
        said = f" - {problem}" if problem is not None else ""
        wrong = problem is not None and problem.severity == "error"
        yield Finding("Settings", row.variable, f"{value} ({source}){said}", wrong=wrong)
    for problem in problems.values():
        yield Finding("Settings", problem.variable, str(problem), wrong=problem.severity == "error")


def _endpoint(resolved: ResolvedSettings) -> tuple[Finding, bool]:
    """Return what is at the endpoint, and whether spans are to go there now."""
    config = resolved.config
    topic, name = "Delivery", "spans"
    if not config.enabled or config.exporter not in {"auto", "otlp"}:
        return Finding(topic, name, f"LUPIS_EXPORTER={config.exporter}"), False
    parts = urlsplit(config.otlp_endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    shown = hide_password(config.otlp_endpoint)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=_PROBE_SECONDS):
            return Finding(topic, name, f"{shown} answers"), True
    except OSError as error:
        reason = error.strerror or type(error).__name__
    if config.exporter == "auto" and resolved.sources["otlp_endpoint"] == DEFAULT_SOURCE:
        text = f"to the local store, for no Lupis desktop app is at {shown}: {reason}"
        return Finding(topic, name, text), False
    return Finding(topic, name, f"{shown}: {reason}", wrong=True), False


def _span(trial: Trial) -> Iterator[Finding]:
    span = trial.found.get("span")
    if span is None:
        return
    if span["arrived"]:
        yield Finding("Delivery", "test span", f"arrived in {span['seconds'] * 1000:.0f} ms")
    else:
        reason = "; ".join(trial.lines) or "no answer in time"
        yield Finding("Delivery", "test span", f"did not arrive: {reason}", wrong=True)


def _data_folder(config: LupisConfig) -> Iterator[Finding]:
    folder = data_folder.find_folder(config.data_dir)
    topic, name = "Delivery", "data folder"
    if folder is None:
        yield Finding(topic, name, "this user has none; set LUPIS_DATA_DIR", wrong=True)
        return
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
        yield Finding(topic, name, f"{folder} cannot be written to", wrong=True)
    else:
        made = "" if folder.exists() else ", made when it is needed"
        yield Finding(topic, name, f"{folder}{made}")
        yield from _outbox(config)


def _describe(accounts: list[tuple[int, int, int, dict[str, int]]]) -> str:
    """Say what became of all that the processes made whose accounts are there."""
    created, delivered, stored = (sum(row[at] for row in accounts) for at in range(3))  # type: ignore[misc]
    reasons: dict[str, int] = {}
    for *_, dropped in accounts:
        for reason, count in dropped.items():
            reasons[reason] = reasons.get(reason, 0) + count
    lost = "".join(f", {count} dropped ({reason})" for reason, count in reasons.items())
    return f"{created} created = {delivered} delivered, {stored} stored{lost}"


def _outbox(config: LupisConfig) -> Iterator[Finding]:
    """Yield what waits to be delivered, and what endpoints refused."""
    process = Process(config.project_id, None, os.getpid(), "")
    store = Store(config.data_dir, int(config.store_max_mb * _MB), process)
    if not store.database.exists():
        yield Finding("Delivery", "outbox", "empty")
        return
    try:
        rows = [
            f"{waiting} waiting for {target.shown}" + (f", {refused} refused" if refused else "")
            for target, waiting, refused in store.targets()
            if waiting or refused
        ]
        accounts = store.accounts()
    except StoreUnavailable as error:
        yield Finding("Delivery", "outbox", str(error), wrong=True)
    else:
        yield Finding("Delivery", "outbox", "; ".join(rows) or "empty")
        yield Finding("Delivery", "account", _describe(accounts))
    finally:
        store.database.close()
