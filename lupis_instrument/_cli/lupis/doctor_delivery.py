"""The checks of `lupis doctor` that follow a span: endpoint, data folder, outbox."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Iterator
from urllib.parse import urlsplit

from lupis_instrument._cli.lupis.doctor_results import CheckResult
from lupis_instrument._config.environment import DEFAULT_SOURCE
from lupis_instrument._config.settings import hide_password
from lupis_instrument._export.otlp.probe import EndpointProbe
from lupis_instrument._export.store.database import StoreUnavailable
from lupis_instrument._export.store.store import Process, Store
from lupis_instrument._process import data_folder

if TYPE_CHECKING:
    from lupis_instrument._cli.lupis.doctor_runner import ProbeResult
    from lupis_instrument._config.config import LupisConfig, ResolvedSettings

_CONNECT_SECONDS = 1.0
_MEBIBYTE = 1 << 20


def check_endpoint(resolved: ResolvedSettings) -> tuple[CheckResult, bool]:
    """Return the result for the endpoint, and whether a test span can go there."""
    config = resolved.config
    topic, name = "Delivery", "spans"
    if not config.enabled or config.exporter not in {"auto", "otlp"}:
        return CheckResult(topic, name, f"LUPIS_EXPORTER={config.exporter}"), False
    shown_url = hide_password(config.otlp_endpoint)
    problem = _find_connection_problem(config.otlp_endpoint)
    by_default = config.exporter == "auto" and resolved.sources["otlp_endpoint"] == DEFAULT_SOURCE
    if by_default and problem is None and not EndpointProbe(config.otlp_endpoint).is_receiver():
        problem = "another program listens there"
    if problem is None:
        return CheckResult(topic, name, f"{shown_url} answers"), True
    if by_default:
        text = f"to the local store, because no Lupis desktop app is at {shown_url}: {problem}"
        return CheckResult(topic, name, text), False
    text = f"{shown_url} does not answer: {problem}; start it, or set LUPIS_OTLP_ENDPOINT"
    return CheckResult(topic, name, text, wrong=True), False


def _find_connection_problem(url: str) -> str | None:
    """Return the reason why no TCP connection to a URL is possible; None if it is."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_SECONDS):
            return None
    except OSError as error:
        return error.strerror or type(error).__name__


def check_test_span(probe: ProbeResult) -> Iterator[CheckResult]:
    """Yield whether the test span of the probe arrived; nothing if the probe sent none."""
    span = probe.facts.get("span")
    if span is None:
        return
    if span["arrived"]:
        yield CheckResult("Delivery", "test span", f"arrived in {span['seconds'] * 1000:.0f} ms")
    else:
        reason = "; ".join(probe.errors) or "no answer in time"
        yield CheckResult("Delivery", "test span", f"did not arrive: {reason}", wrong=True)


def check_data_folder(config: LupisConfig) -> Iterator[CheckResult]:
    """Yield whether the data folder can be written to, and the content of its outbox."""
    folder = data_folder.find_folder(config.data_dir)
    topic, name = "Delivery", "data folder"
    if folder is None:
        text = "your user has no data folder; set LUPIS_DATA_DIR"
        yield CheckResult(topic, name, text, wrong=True)
        return
    problem = data_folder.find_problem(folder)
    if problem is not None:
        yield CheckResult(topic, name, f"not used: {problem}", wrong=True)
        return
    # A program creates the folder when it first stores something: its parent decides until then.
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
