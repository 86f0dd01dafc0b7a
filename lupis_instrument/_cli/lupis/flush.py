"""`lupis flush`: sends the items that wait in the store, now."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Iterator
from urllib.parse import urlsplit

import click

from lupis_instrument import _semconv
from lupis_instrument._cli.lupis.stores import explain_nothing, open_store
from lupis_instrument._cli.lupis.tables import write_line
from lupis_instrument._config.config import resolve_settings
from lupis_instrument._config.environment import DEFAULT_SOURCE
from lupis_instrument._config.settings import BY_NAME
from lupis_instrument._config.value_types import InvalidValueError
from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._export.otlp.destinations import (
    WIRE_FORMATS,
    Destination,
    event_destination,
    span_destination,
)
from lupis_instrument._export.otlp.probe import EndpointProbe
from lupis_instrument._export.otlp.responses import ExportResult
from lupis_instrument._export.otlp.sending import Sender
from lupis_instrument._export.store.database import StoreUnavailable
from lupis_instrument._export.store.outbox import DrainResult, drain_outbox
from lupis_instrument._export.store.store import Process, Store
from lupis_instrument._runtime.assembly import make_redactor
from lupis_instrument._tracing.stages.redact import SpanRedactor

if TYPE_CHECKING:
    from lupis_instrument._config.config import LupisConfig, ResolvedSettings
    from lupis_instrument._export.otlp.target import Target

_MEBIBYTE = 1 << 20
_WANTS_KEY = frozenset((401, 403))


def _read_url(_context: object, _option: object, text: str | None) -> str | None:
    """Return the URL of the option `--to`, with a path."""
    try:
        return None if text is None else BY_NAME["otlp_endpoint"].read_value(text)
    except InvalidValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.option(
    "--to", metavar="URL", callback=_read_url, help="Send everything to this URL for spans."
)
def flush(to: str | None) -> None:
    """Send the spans and events that wait in the store.

    Sends items again that an endpoint refused. Exits with 1 if items still wait.

    Items for the endpoint and project of your settings go with your key and headers. Other items
    go without a key, to endpoints that accept this.

    `--to` stands for the endpoint of your settings, and takes the items of all other endpoints
    too. Events go to the URL for events beside it.
    """
    with open_store() as opened:
        if not opened.exists:
            click.echo(explain_nothing(opened, "spans or events to send"), err=True)
            return
    given = {} if to is None else {BY_NAME["otlp_endpoint"].variable: to}
    resolved = resolve_settings({**os.environ, **given}, None, launched=True)
    config = resolved.config
    process = Process(config.project_id, None, os.getpid())
    store = Store(config.data_dir, int(config.store_max_mb * _MEBIBYTE), process)
    try:
        if to is not None:
            _move_all(store, config)
        remaining = _flush_all(store, resolved)
    except StoreUnavailable as error:
        raise click.ClickException(str(error)) from None
    finally:
        store.database.close()
    sys.exit(1 if remaining else 0)


def _flush_all(store: Store, resolved: ResolvedSettings) -> int:
    """Send the items of each target; returns the number of items that remain."""
    has_endpoint = resolved.sources["otlp_endpoint"] != DEFAULT_SOURCE
    configured_destinations = list(_list_destinations(resolved.config))
    for destination in configured_destinations if has_endpoint else ():
        store.adopt_refused(destination.target)
    targets = [target for target, waiting, refused in store.list_targets() if waiting + refused]
    if not targets:
        write_line("Nothing waits.")
    sender = Sender()
    destinations = {
        _make_key(destination.target): destination for destination in configured_destinations
    }
    for target in targets:
        configured = destinations.get(_make_key(target))
        if not (configured and has_endpoint) and _is_taken(target):
            outcome = "not sent: no Lupis desktop app answers there"
        else:
            outcome = _flush_target(store, sender, target, configured)
        write_line(f"{escape_controls(target.display_url)}  {outcome}")
    return sum(waiting + refused for _, waiting, refused in store.list_targets())


def _move_all(store: Store, config: LupisConfig) -> None:
    """Let all items wait for the endpoints of the settings, each in its own project.

    Another process may be sending the items of a target: these stay.
    """
    by_kind = {
        destination.target.wire_format == "traces": destination.target
        for destination in _list_destinations(config)
    }
    for target, waiting, refused in store.list_targets():
        new_target = by_kind.get(target.wire_format == "traces")
        if new_target is not None and waiting + refused:
            store.move_items(target, new_target._replace(project=target.project))


def _is_taken(target: Target) -> bool:
    """Return whether a target is the default endpoint, and the desktop app does not answer."""
    url = target.url or ""
    default = BY_NAME["otlp_endpoint"].default
    is_default = urlsplit(url).netloc == urlsplit(default).netloc
    return is_default and not EndpointProbe(url).is_receiver()


def _flush_target(
    store: Store, sender: Sender, target: Target, configured: Destination | None
) -> str:
    """Send the items that wait for a target; returns the outcome in words.

    Args:
        store: the store.
        sender: the HTTP client.
        target: the endpoint and project.
        configured: the destination with the key and headers; None if the settings are for other
            targets.
    """
    destination = configured
    if destination is None:
        refusal = _try_without_key(sender, target)
        if refusal is not None:
            return f"not sent: {refusal}"
        destination = Destination(target, {_semconv.HEADER_PROJECT_ID: target.project})
    holder = f"flush {os.getpid()} {os.urandom(8).hex()}"
    drained = drain_outbox(store, destination, sender, holder, refused_too=True)
    return _describe_outcome(drained, store, target)


def _try_without_key(sender: Sender, target: Target) -> str | None:
    """Return why a target outside the settings cannot be sent to; None if it can.

    The endpoint may need a key, and only its own key may go there. An empty request finds out
    first: the endpoint would refuse items without a key for good, and the next program with the
    right key would not send refused items again.
    """
    settings = f"LUPIS_OTLP_ENDPOINT and LUPIS_PROJECT_ID={escape_controls(target.project)}"
    if target.url is None:
        return f"its address has a secret; set {settings} as they were"
    wire_format = WIRE_FORMATS[target.wire_format]
    headers = {
        _semconv.HEADER_PROJECT_ID: target.project,
        "content-type": wire_format.content_type,
    }
    response = sender.send_request(
        target.url, wire_format.encode_body([]), headers, compress=wire_format.compressible
    )
    if response.result is ExportResult.RETRY:
        return response.reason
    if response.status in _WANTS_KEY:
        return f"{response.reason} without a key; set {settings}, and its key or headers"
    if response.result is ExportResult.REFUSED and not Destination(target, {}).takes_no_events(
        response
    ):
        return f"{response.reason}; `lupis flush --to URL` sends to another address"
    return None


def _describe_outcome(drained: DrainResult, store: Store, target: Target) -> str:
    if not drained.leased:
        return "another process is sending"
    parts = [f"{drained.accepted:,} sent"]
    if drained.kept:
        parts.append(f"{drained.kept:,} kept in the local store, as it takes no events")
    if drained.rejected:
        parts.append(f"{drained.rejected:,} rejected")
    if drained.refused:
        parts.append(f"{drained.refused:,} refused")
    waiting = store.count_waiting(target)
    if waiting:
        parts.append(f"{waiting:,} still wait")
    reason = drained.last.reason if drained.last is not None else ""
    return ", ".join(parts) + (f": {escape_controls(reason)}" if reason else "")


def _list_destinations(config: LupisConfig) -> Iterator[Destination]:
    """Yield the destinations of spans and of events that the settings describe."""
    # As programs do it: the store knows a target by its redacted project.
    redact_text = SpanRedactor(make_redactor(config)).redact_text
    yield span_destination(config, redact_text)
    events = event_destination(config, redact_text)
    if events is not None:
        yield events


def _make_key(target: Target) -> tuple[str, str, str]:
    return target.hash, target.wire_format, target.project
