"""`lupis flush`: sends what waits in the store, now."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Iterator

import click

from lupis_instrument import _semconv
from lupis_instrument._cli.lupis import tables
from lupis_instrument._config.config import resolve_settings
from lupis_instrument._export.otlp.destinations import (
    WIRE_FORMATS,
    Destination,
    of_events,
    of_spans,
)
from lupis_instrument._export.otlp.sending import LATER, REFUSED, Answer, Sender
from lupis_instrument._export.store.database import StoreUnavailable
from lupis_instrument._export.store.outbox import Drained, drain
from lupis_instrument._export.store.store import Process, Store, Target
from lupis_instrument._query import amounts
from lupis_instrument._query.store_reader import explain_nothing, reading
from lupis_instrument._redaction import Redactor

if TYPE_CHECKING:
    from lupis_instrument._config.config import LupisConfig


@click.command()
def flush() -> None:
    """Send what waits in the store.

    What was refused, too. Exits with 1 if something is left. What is for the endpoint and the
    project of the settings in force goes with their key and headers; the rest goes without, where
    that is allowed.
    """
    with reading() as opened:
        if not opened.there:
            click.echo(explain_nothing(opened, "spans and events to send"), err=True)
            return
    config = resolve_settings(os.environ, None, launched=True).config
    process = Process(config.project_id, None, os.getpid())
    store = Store(config.data_dir, int(config.store_max_mb * (1 << 20)), process)
    try:
        left = _flush_all(store, config)
    except StoreUnavailable as error:
        raise click.ClickException(str(error)) from None
    finally:
        store.database.close()
    sys.exit(1 if left else 0)


def _flush_all(store: Store, config: LupisConfig) -> int:
    """Send what waits for each target; returns how much is left."""
    targets = [target for target, waiting, refused in store.targets() if waiting + refused]
    if not targets:
        tables.echo("Nothing waits.")
    sender, destinations = Sender(), list(_routes(config))
    for target in targets:
        found = next(
            (
                destination
                for destination in destinations
                if _key(destination.target) == _key(target)
            ),
            None,
        )
        text = _flush(store, sender, target, found)
        tables.echo(f"{amounts.clean(target.shown)}  {text}")
    return sum(waiting + refused for _, waiting, refused in store.targets())


def _flush(store: Store, sender: Sender, target: Target, known: Destination | None) -> str:
    """Send what waits for a target; returns what became of it, in words."""
    destination = known
    if destination is None:
        refusal = _try_without_key(sender, target)
        if refusal is not None:
            return f"not sent: {refusal}"
        destination = Destination(target, {_semconv.HEADER_PROJECT_ID: target.project})
    holder = f"flush {os.getpid()} {os.urandom(8).hex()}"
    return _describe(drain(store, destination, sender, holder, refused_too=True), store, target)


def _try_without_key(sender: Sender, target: Target) -> str | None:
    """Return why a target that the settings say nothing of is not to be sent to; None if it is.

    It may want a key, which none but its own may be: an empty request finds out, for what it
    refuses is not tried again by the next program.
    """
    settings = f"LUPIS_OTLP_ENDPOINT and LUPIS_PROJECT_ID={amounts.clean(target.project)}"
    if target.url is None:
        return f"its address has a secret; set {settings} as they were"
    form = WIRE_FORMATS[target.form]
    headers = {_semconv.HEADER_PROJECT_ID: target.project, "content-type": form.content_type}
    answer: Answer = sender.send(target.url, form.compose([]), headers, packed=form.packed)
    if answer.outcome == LATER:
        return answer.reason
    if answer.outcome == REFUSED:
        return f"{answer.reason} without a key; set {settings}, and its key or headers"
    return None


def _describe(done: Drained, store: Store, target: Target) -> str:
    if not done.leased:
        return "another process is sending"
    parts = [f"{done.taken:,} sent"]
    if done.rejected:
        parts.append(f"{done.rejected:,} rejected")
    if done.refused:
        parts.append(f"{done.refused:,} refused")
    waiting = store.waiting(target)
    if waiting:
        parts.append(f"{waiting:,} still wait")
    reason = done.last.reason if done.last is not None else ""
    return ", ".join(parts) + (f": {amounts.clean(reason)}" if reason else "")


def _routes(config: LupisConfig) -> Iterator[Destination]:
    """Yield the ways that the settings describe."""
    shown = Redactor("remove").redact_text
    yield of_spans(config, shown)
    events = of_events(config, shown)
    if events is not None:
        yield events


def _key(target: Target) -> tuple[str, str, str]:
    return target.hash, target.form, target.project
