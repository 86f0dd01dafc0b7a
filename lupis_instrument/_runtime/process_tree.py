"""The tree of processes that this one belongs to, and the one summary of all of them.

The first process that is instrumented leads: it leaves its mark in the environment, and at its
end tells what all have done. The others leave their totals in the store for it.
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


def leader() -> str:
    """Return the name of the process that leads, this one's own if none is known."""
    return os.environ.get(_semconv.ENV_LEADER) or f"{os.getpid()}"


def leads() -> bool:
    """Tell whether this process is the one."""
    return leader().partition(":")[0] == str(os.getpid())


def report(summary: Summary, account: Account, store: Store, config: LupisConfig) -> None:
    """Say, or leave for the leader, what this process has done; when delivery has finished."""
    wanted = _is_wanted(config)
    for reason, count in account.dropped.items():
        warn(f"{count} spans and events were lost: {reason}")
    if account.stored or account.lost or (wanted and not leads()):
        _leave(summary, account, store)
    if leads() and wanted:
        _tell(summary, account, store, config)


def leave(summary: Summary, account: Account, store: Store, config: LupisConfig) -> None:
    """Leave for the leader what this process has done before it becomes another program."""
    if account.stored or account.lost or (account.created and _is_wanted(config)):
        _leave(summary, account, store, former=True)


def report_children() -> None:
    """Say what other processes have done, in a leader that has done nothing itself."""
    from lupis_instrument._config.config import resolve_settings

    config = resolve_settings(os.environ, None, launched=True).config
    process = Process(config.project_id, None, os.getpid(), leader())
    store = Store(config.data_dir, int(config.store_max_mb * (1 << 20)), process)
    if leads() and config.enabled and store.database.exists():
        _tell(Summary(), Account(), store, config)


def _is_wanted(config: LupisConfig) -> bool:
    if config.summary is not None:
        return config.summary
    return sys.stderr is not None and sys.stderr.isatty()


def _leave(summary: Summary, account: Account, store: Store, *, former: bool = False) -> None:
    try:
        store.write_account(account, summary.to_json(), former=former)
    except StoreUnavailable:
        pass  # said already, when what is more than numbers could not be stored


def _tell(summary: Summary, account: Account, store: Store, config: LupisConfig) -> None:
    """Write the summary of all processes to stderr, in one piece, behind what the program wrote."""
    everything, all_accounts = Summary(), Account()
    everything.merge_json(summary.to_json())
    all_accounts.merge_counts(account.created, account.delivered, account.stored, account.dropped)
    if store.database.exists():
        try:
            for theirs, totals in store.read_other_accounts():
                all_accounts.merge_counts(*theirs)
                everything.merge_json(totals)
        except StoreUnavailable as error:
            warn(f"the summary is of this process alone: {error}")
    place = f"{store.database.path()} (see `lupis report`)"
    lines = everything.format_lines(all_accounts, _endpoint(config), place)
    if lines:
        _flush_stdout()
        sys.stderr.write(diagnostics.redact("\n".join(lines)) + "\n")
        sys.stderr.flush()


def _flush_stdout() -> None:
    """Have the program's last words come before ours, where both go to a terminal."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError, RuntimeError):
        # Python flushes once more at the very end, and says then what is wrong. Or a signal's
        # handler has come in while the program was writing, and may not do so as well.
        pass


def _endpoint(config: LupisConfig) -> str:
    words = {"console": "this terminal", "none": "nowhere (LUPIS_EXPORTER=none)"}
    return words.get(config.exporter, config.otlp_endpoint)
