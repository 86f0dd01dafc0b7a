"""Sends the items that wait in the store: oldest first, and from one process at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, NamedTuple, Sequence

from lupis_instrument._export.otlp.responses import ExportResponse, ExportResult
from lupis_instrument._export.store.schema import DELIVERED, KEPT, REFUSED

if TYPE_CHECKING:
    from lupis_instrument._export.otlp.destinations import Destination
    from lupis_instrument._export.otlp.sending import Sender
    from lupis_instrument._export.store.store import Store, StoredItem

MAX_READ_ITEMS = 512
_MAX_READ_BYTES = 4 << 20


class DrainResult(NamedTuple):
    """The progress of sending the outbox of one endpoint.

    Attributes:
        accepted: the number of items that the endpoint accepted.
        refused: the number of items that it will never accept; they stay in the store.
        kept: the number of events that stay in the store because it takes no events.
        rejected: the number of items that it left out of accepted requests.
        last: the last response; None if nothing was sent.
        leased: whether this process could send; if not, another one is sending.
    """

    accepted: int = 0
    refused: int = 0
    kept: int = 0
    rejected: int = 0
    last: ExportResponse | None = None
    leased: bool = True

    @property
    def stuck(self) -> bool:
        """Whether nothing more can be sent now."""
        return not self.leased or (self.last is not None and self.last.result is ExportResult.RETRY)


def drain_outbox(
    store: Store,
    destination: Destination,
    sender: Sender,
    holder: str,
    *,
    on_response: Callable[[ExportResponse, Sequence[StoredItem]], None] = lambda *_: None,
    may_continue: Callable[[], bool] = lambda: True,
    max_seconds: Callable[[], float | None] = lambda: None,
    refused_too: bool = False,
) -> DrainResult:
    """Send all items that wait for an endpoint.

    The lease keeps other processes from sending the same items. It is renewed after each request,
    and sending stops if another process has it by then: this one was too slow, or slept.

    Args:
        store: the store with the items.
        destination: the endpoint, and the headers of its requests.
        sender: sends the requests.
        holder: the name under which this caller holds the lease.
        on_response: called with each final response, once the store knows the state of its items.
        may_continue: returns whether to go on after a request.
        max_seconds: returns how long the next request may take; None sets no limit.
        refused_too: whether to send refused items as well: the reason may no longer hold.

    Raises:
        StoreUnavailable: the store cannot be used any more.
    """
    if not store.acquire_lease(destination.target, holder):
        return DrainResult(leased=False)
    result = DrainResult()
    if refused_too:
        store.reopen_refused(destination.target)
    try:
        while not result.stuck and may_continue():
            items = store.read_waiting(
                destination.target, max_items=MAX_READ_ITEMS, max_bytes=_MAX_READ_BYTES
            )
            if not items:
                break
            for response, group in destination.send_items(sender, items, max_seconds):
                if destination.takes_no_events(response):
                    store.set_state([item.id for item in group], KEPT)
                    result = result._replace(last=response, kept=result.kept + len(group))
                else:
                    result = _record_response(store, response, group, result)
                if response.result is not ExportResult.RETRY:
                    on_response(response, group)
                # Renewed here because the next request may last longer than the lease.
                if not store.acquire_lease(destination.target, holder):
                    return result
    finally:
        store.release_lease(destination.target, holder)
    return result


def _record_response(
    store: Store, response: ExportResponse, group: Sequence[StoredItem], result: DrainResult
) -> DrainResult:
    """Set the state of sent items in the store; returns `result` with their numbers added."""
    result = result._replace(last=response)
    if response.result is ExportResult.RETRY:
        return result
    accepted = response.result is ExportResult.ACCEPTED
    store.set_state([item.id for item in group], DELIVERED if accepted else REFUSED)
    if not accepted:
        return result._replace(refused=result.refused + len(group))
    return result._replace(
        accepted=result.accepted + len(group) - response.rejected,
        rejected=result.rejected + response.rejected,
    )
