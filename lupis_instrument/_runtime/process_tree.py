"""The tree of processes below one launch, and the one summary of all of them.

The first instrumented process is the leader: it writes its name into the environment, and at its
end prints the totals of all processes. The others write their totals into the store for it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import diagnostics, warn
from lupis_instrument._export.accounting import Account
from lupis_instrument._export.store.database import StoreUnavailable
from lupis_instrument._export.store.store import Process, Store
from lupis_instrument._export.summary import Summary

if TYPE_CHECKING:
    from lupis_instrument._config.config import LupisConfig


def leader_name() -> str:
    """Return the name of the leader; the name of this process if none is known."""
    return os.environ.get(_semconv.ENV_LEADER) or f"{os.getpid()}"


def is_leader() -> bool:
    """Return whether this process is the leader."""
    return leader_name().partition(":")[0] == str(os.getpid())


def report(summary: Summary, account: Account, store: Store, config: LupisConfig) -> None:
    """Print the totals of all processes, or leave the totals of this process to the leader.

    Called when delivery has finished.
    """
    wanted = _wants_summary(config)
    for reason, count in account.dropped.items():
        warn(f"{count} spans and events were lost: {reason}")
    if account.stored or account.lost or (wanted and not is_leader()):
        _store_totals(summary, account, store)
    if is_leader() and wanted:
        _print_summary(summary, account, store, config)


def hand_off(summary: Summary, account: Account, store: Store, config: LupisConfig) -> None:
    """Leave the totals to the leader before this process becomes another program."""
    if account.stored or account.lost or (account.created and _wants_summary(config)):
        _store_totals(summary, account, store, former=True)


def report_children() -> None:
    """Print the totals of other processes, in a leader that made no call itself."""
    from lupis_instrument._config.config import resolve_settings

    config = resolve_settings(os.environ, None, launched=True).config
    process = Process(config.project_id, None, os.getpid(), leader_name())
    store = Store(config.data_dir, int(config.store_max_mb * (1 << 20)), process)
    if is_leader() and config.enabled and store.database.exists():
        if config.filter_sensitive_data:
            diagnostics.redact = _remove_secrets
        _print_summary(Summary(), Account(), store, config)


def _remove_secrets(line: str) -> str:
    # Imported when a line is printed: without a runtime, few processes print one.
    from lupis_instrument._redaction import Redactor

    return Redactor("remove").redact_text(line)


def _wants_summary(config: LupisConfig) -> bool:
    if config.summary is not None:
        return config.summary
    return sys.stderr is not None and sys.stderr.isatty()


def _store_totals(
    summary: Summary, account: Account, store: Store, *, former: bool = False
) -> None:
    try:
        store.write_account(account, summary.to_json(), former=former)
    except StoreUnavailable:
        pass  # reported already: the items of this process could not be stored either


def _print_summary(summary: Summary, account: Account, store: Store, config: LupisConfig) -> None:
    """Write the totals of all processes to stderr, in one piece, after the program's output."""
    totals, total_account = Summary(), Account()
    totals.merge_json(summary.to_json())
    total_account.merge_counts(account.created, account.delivered, account.stored, account.dropped)
    if store.database.exists():
        try:
            for other_account, other_totals in store.read_other_accounts():
                total_account.merge_counts(*other_account)
                totals.merge_json(other_totals)
        except StoreUnavailable as error:
            warn(f"the summary is of this process alone: {error}")
    store_hint = f"{store.database.path()} (see `lupis report`)"
    lines = totals.format_lines(total_account, _describe_endpoint(config), store_hint)
    if lines:
        _flush_stdout()
        sys.stderr.write("".join(f"{diagnostics.clean_line(line)}\n" for line in lines))
        sys.stderr.flush()


def _flush_stdout() -> None:
    """Print the end of the program's output first, where both go to a terminal."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError, RuntimeError):
        # Python flushes again at the very end, and reports an error then. Or a signal handler runs
        # this while the program is writing: a second write is refused then (RuntimeError).
        pass


def _describe_endpoint(config: LupisConfig) -> str:
    words = {"console": "this terminal", "none": "nowhere (LUPIS_EXPORTER=none)"}
    return words.get(config.exporter, config.otlp_endpoint)
