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
from lupis_instrument._export.summary_text import Destinations, SummaryText
from lupis_instrument._export.terminal import describe_stderr, is_ci, is_pipe, is_terminal

if TYPE_CHECKING:
    from lupis_instrument._config.config import LupisConfig


FULL, BRIEF = "full", "brief"
"""The forms of the summary: several lines for a person, or one line for a log."""


def report(
    summary: Summary,
    account: Account,
    store: Store,
    config: LupisConfig,
    *,
    leads: bool,
    launched: bool,
) -> None:
    """Print the totals of all processes, or leave the totals of this process to the leader.

    Called when delivery has finished.

    Args:
        summary: the totals of this process.
        account: the counts of its items.
        store: the store, which has the totals of the others.
        config: the settings.
        leads: whether this process is the leader.
        launched: whether instrumentation was started from outside the program.
    """
    form = _choose_form(config, launched=launched)
    for reason, count in account.dropped.items():
        warn(f"{count} spans and events were lost: {reason}")
    if account.stored or account.lost or (form and not leads):
        _store_totals(summary, account, store)
    if leads and form:
        _print_summary(summary, account, store, config, form)


def hand_off(
    summary: Summary, account: Account, store: Store, config: LupisConfig, *, launched: bool
) -> None:
    """Leave the totals to the leader before this process becomes another program."""
    wanted = account.created and _choose_form(config, launched=launched)
    if account.stored or account.lost or wanted:
        _store_totals(summary, account, store, former=True)


def report_children(leader: str, *, launched: bool) -> None:
    """Print the totals of other processes, in a leader that made no call itself.

    Args:
        leader: the name of the leader, which is this process.
        launched: whether instrumentation was started from outside the program.
    """
    from lupis_instrument._config.config import resolve_settings

    config = resolve_settings(os.environ, None, launched=True).config
    process = Process(config.project_id, None, os.getpid(), leader)
    store = Store(config.data_dir, int(config.store_max_mb * (1 << 20)), process)
    form = _choose_form(config, launched=launched)
    if form and config.enabled:
        if config.filter_sensitive_data:
            diagnostics.redact = _remove_secrets
        _print_summary(Summary(), Account(), store, config, form)


def _remove_secrets(line: str) -> str:
    # Imported when a line is printed: without a runtime, few processes print one.
    from lupis_instrument._redaction import Redactor

    return Redactor("remove").redact_text(line)


def _choose_form(config: LupisConfig, *, launched: bool) -> str:
    """Return the form of the summary; "" for none.

    `auto` gives a person at a terminal all lines. A pipe or a CI service gets one line, if
    `lupis-run` has started the program: nobody has asked a program with `LupisSDK` for it.
    """
    if config.summary is not None:
        return FULL if config.summary else ""
    logged = is_ci()
    if is_terminal(sys.stderr) and not logged:
        return FULL
    return BRIEF if launched and (logged or is_pipe(sys.stderr)) else ""


def _store_totals(
    summary: Summary, account: Account, store: Store, *, former: bool = False
) -> None:
    try:
        store.write_account(account, summary.to_json(), former=former)
    except StoreUnavailable:
        pass  # reported already: the items of this process could not be stored either


def _print_summary(
    summary: Summary, account: Account, store: Store, config: LupisConfig, form: str
) -> None:
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
    is_empty = not (totals.spans or totals.events or total_account.created)
    if is_empty and not config.summary:
        return
    destinations = Destinations(
        total_account,
        _describe_endpoint(config),
        str(store.database.path()),
        os.environ.get(_semconv.ENV_RUN_ID, ""),
    )
    text = SummaryText(totals, destinations, describe_stderr(), diagnostics.clean_line)
    lines = text.format_lines() if form == FULL else [text.format_line()]
    _flush_stdout()
    sys.stderr.write("".join(f"{line}\n" for line in lines))
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
