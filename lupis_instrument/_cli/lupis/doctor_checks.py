"""The checks of `lupis doctor`, and their order in its report."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Iterator, NamedTuple, Sequence
from urllib.parse import urlsplit

from lupis_instrument._cli.lupis.command_resolver import ResolvedCommand, resolve_command
from lupis_instrument._cli.lupis.doctor_runner import ProbeResult, run_probe
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

_CONNECT_SECONDS = 1.0
_MEBIBYTE = 1 << 20


class FlagEffect(NamedTuple):
    """The effect of an interpreter's flag on the bootstrap.

    Attributes:
        text: the effect, for the user.
        wrong: whether the flag keeps the bootstrap from running.
    """

    text: str
    wrong: bool


FLAG_EFFECTS = {
    "isolated": FlagEffect("-I: PYTHONPATH is ignored", wrong=True),
    "ignore_environment": FlagEffect("-E: PYTHONPATH is ignored", wrong=True),
    "no_site": FlagEffect("-S: no sitecustomize is run", wrong=True),
    "no_user_site": FlagEffect("no user site-packages; this does no harm", wrong=False),
    "safe_path": FlagEffect(
        "PYTHONSAFEPATH: your program's folder is not on sys.path; this does no harm", wrong=False
    ),
}
"""The flags in `sys.flags` that limit what an interpreter imports at its start."""


class CheckResult(NamedTuple):
    """One line of the report.

    Attributes:
        topic: the heading above the line.
        name: the name of the checked thing.
        text: the result; never a secret.
        wrong: whether the result keeps something from working.
    """

    topic: str
    name: str
    text: str
    wrong: bool = False


def examine_environment(command: Sequence[str] = ()) -> list[CheckResult]:
    """Run all checks and return their results, grouped by topic.

    Args:
        command: the command to check, without running it; by default any program of this
            interpreter.
    """
    resolved = resolve_settings(os.environ, None, launched=True)
    results, target = _check_command(command) if command else ([], _THIS_INTERPRETER)
    endpoint, is_reachable = _check_endpoint(resolved)
    probe = None
    if target.python is not None:
        probe = run_probe(target.python, target.folder, send=is_reachable)
        results += [*_check_interpreter(probe), *_check_versions(probe), *_check_clients(probe)]
    results += [*_check_settings(resolved), endpoint]
    if probe is not None and is_reachable:
        results += _check_test_span(probe)
    results += _check_data_folder(resolved.config)
    redact_text = Redactor("remove").redact_text
    return [
        result._replace(name=redact_text(result.name), text=redact_text(result.text))
        for result in results
    ]


_THIS_INTERPRETER = ResolvedCommand("", sys.executable, None)
_NO_INTERPRETER = ResolvedCommand("", None, None)


def _check_command(command: Sequence[str]) -> tuple[list[CheckResult], ResolvedCommand]:
    """Return the results for a command, and the interpreter to probe."""
    topic = "Command"
    try:
        target = resolve_command(command, os.environ)
    except LupisLaunchError as error:
        return [CheckResult(topic, command[0], str(error), wrong=True)], _NO_INTERPRETER
    results = [CheckResult(topic, command[0], target.path)]
    if target.obstacle:
        text = f"{target.obstacle}: your program will not be instrumented"
        return [*results, CheckResult(topic, "obstacle", text, wrong=True)], _NO_INTERPRETER
    if target.python is None:
        text = "the command itself is not Python; the Python programs it starts are instrumented"
        results.append(CheckResult(topic, "Python", text))
    return results, target


def _check_interpreter(probe: ProbeResult) -> Iterator[CheckResult]:
    topic, facts = "Interpreter", probe.facts
    errors = "; ".join(probe.errors)
    if not facts:
        yield CheckResult(topic, "Python", errors or "does not run", wrong=True)
        return
    yield CheckResult(topic, facts["implementation"], f"{facts['version']} {facts['executable']}")
    yield CheckResult(topic, "virtual environment", facts["environment"] or "none")
    for flag in facts["flags"]:
        yield CheckResult(topic, flag, *FLAG_EFFECTS[flag])
    if not facts["bootstrapped"]:
        text = "did not run: check the flags, or for another sitecustomize that comes first"
        yield CheckResult(topic, "bootstrap", errors or text, wrong=True)
    elif probe.installed:
        yield CheckResult(topic, "lupis_instrument", f"found in {facts['location']}")
    else:
        text = f"not installed: borrowed from {facts['location']}"
        yield CheckResult(topic, "lupis_instrument", text)
    for reason in facts.get("conflicts", ()):
        text = f"{reason}: your program will not be instrumented"
        yield CheckResult(topic, "conflict", text, wrong=True)


def _check_versions(probe: ProbeResult) -> Iterator[CheckResult]:
    yield CheckResult("Versions", "lupis-instrument", __version__)
    for name, text, wrong in probe.facts.get("requirements", ()):
        yield CheckResult("Versions", name, text, wrong)


def _check_clients(probe: ProbeResult) -> Iterator[CheckResult]:
    for name, text, wrong in probe.facts.get("clients", ()):
        yield CheckResult("HTTP clients", name, text, wrong)


def _check_settings(resolved: ResolvedSettings) -> Iterator[CheckResult]:
    """Yield each setting with its value and source, then the problems of unknown variables."""
    topic = "Settings"
    problems = {problem.variable: problem for problem in resolved.problems}
    for row in SETTINGS:
        problem = problems.pop(row.variable, None)
        value = row.show_value(resolved.values[row.name])
        text = f"{value} ({resolved.sources[row.name]})"
        if problem is None:
            yield CheckResult(topic, row.variable, text)
        else:
            wrong = problem.severity == "error"
            yield CheckResult(topic, row.variable, f"{text} - {problem}", wrong)
    for problem in problems.values():
        yield CheckResult(topic, problem.variable, str(problem), problem.severity == "error")


def _check_endpoint(resolved: ResolvedSettings) -> tuple[CheckResult, bool]:
    """Return the result for the endpoint, and whether a test span can go there."""
    config = resolved.config
    topic, name = "Delivery", "spans"
    if not config.enabled or config.exporter not in {"auto", "otlp"}:
        return CheckResult(topic, name, f"LUPIS_EXPORTER={config.exporter}"), False
    shown_url = hide_password(config.otlp_endpoint)
    problem = _find_connection_problem(config.otlp_endpoint)
    if problem is None:
        return CheckResult(topic, name, f"{shown_url} answers"), True
    if config.exporter == "auto" and resolved.sources["otlp_endpoint"] == DEFAULT_SOURCE:
        text = f"to the local store, because no Lupis desktop app is at {shown_url}: {problem}"
        return CheckResult(topic, name, text), False
    return CheckResult(topic, name, f"{shown_url}: {problem}", wrong=True), False


def _find_connection_problem(url: str) -> str | None:
    """Return the reason why no TCP connection to a URL is possible; None if it is."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_SECONDS):
            return None
    except OSError as error:
        return error.strerror or type(error).__name__


def _check_test_span(probe: ProbeResult) -> Iterator[CheckResult]:
    span = probe.facts.get("span")
    if span is None:
        return
    if span["arrived"]:
        yield CheckResult("Delivery", "test span", f"arrived in {span['seconds'] * 1000:.0f} ms")
    else:
        reason = "; ".join(probe.errors) or "no answer in time"
        yield CheckResult("Delivery", "test span", f"did not arrive: {reason}", wrong=True)


def _check_data_folder(config: LupisConfig) -> Iterator[CheckResult]:
    """Yield whether the data folder can be written to, and the content of its outbox."""
    folder = data_folder.find_folder(config.data_dir)
    topic, name = "Delivery", "data folder"
    if folder is None:
        text = "your user has no data folder; set LUPIS_DATA_DIR"
        yield CheckResult(topic, name, text, wrong=True)
        return
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK) or not existing.is_dir():
        text = f"{folder} cannot be written to; set LUPIS_DATA_DIR to another folder"
        yield CheckResult(topic, name, text, wrong=True)
    else:
        note = "" if folder.exists() else ", created when it is needed"
        yield CheckResult(topic, name, f"{folder}{note}")
        yield from _check_outbox(config)


def _check_outbox(config: LupisConfig) -> Iterator[CheckResult]:
    """Yield the items that wait for endpoints or were refused, and the account of all items."""
    process = Process(config.project_id, None, os.getpid(), "")
    store = Store(config.data_dir, int(config.store_max_mb * _MEBIBYTE), process)
    if not store.database.exists():
        yield CheckResult("Delivery", "outbox", "empty")
        return
    try:
        counts = [
            f"{waiting} waiting for {target.display_url}"
            + (f", {refused} refused" if refused else "")
            for target, waiting, refused in store.list_targets()
            if waiting or refused
        ]
        accounts = store.read_accounts()
    except StoreUnavailable as error:
        yield CheckResult("Delivery", "outbox", str(error), wrong=True)
    else:
        yield CheckResult("Delivery", "outbox", "; ".join(counts) or "empty")
        yield CheckResult("Delivery", "account", _add_up_accounts(accounts))
    finally:
        store.database.close()


def _add_up_accounts(accounts: list[tuple[int, int, int, dict[str, int]]]) -> str:
    """Return the sums over processes: created items are delivered, stored or dropped ones.

    Args:
        accounts: created, delivered and stored items of each process, and its dropped items by
            reason.
    """
    created, delivered, stored = (
        sum(account[column] for account in accounts)  # type: ignore[misc]
        for column in range(3)
    )
    dropped: dict[str, int] = {}
    for *_, reasons in accounts:
        for reason, count in reasons.items():
            dropped[reason] = dropped.get(reason, 0) + count
    lost = "".join(f", {count} dropped ({reason})" for reason, count in dropped.items())
    return f"{created} created = {delivered} delivered, {stored} stored{lost}"
