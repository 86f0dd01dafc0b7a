"""Delivers items to their endpoint, or else to the store, and retries the items in the store.

While an endpoint does not answer, its items go straight to the store. Stored items are retried
after delays that grow. Items that the store does not accept either are held in memory, within
bounds.
"""

from __future__ import annotations

import os
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Callable, Sequence
from uuid import uuid4

from lupis_instrument._diagnostics import warn
from lupis_instrument._export.held_items import HeldItems
from lupis_instrument._export.otlp.responses import ExportResponse, ExportResult
from lupis_instrument._export.retry_schedule import (
    FIRST_DELAY,
    FIRST_HURRIED_DELAY,
    RetrySchedule,
    ScheduledRetry,
    choose_delay,
)
from lupis_instrument._export.store import outbox
from lupis_instrument._export.store.database import StoreUnavailable
from lupis_instrument._export.store.size_limit import split_items
from lupis_instrument._process.native_threads import allocate_lock

if TYPE_CHECKING:
    from lupis_instrument._export.accounting import Account
    from lupis_instrument._export.otlp.destinations import Destination
    from lupis_instrument._export.otlp.encoded_items import EncodedItem
    from lupis_instrument._export.otlp.sending import Sender
    from lupis_instrument._export.otlp.target import Target
    from lupis_instrument._export.store.store import Store, StoredItem

_LEASED_ELSEWHERE_SECONDS = 5.0
"""How long to wait while another process sends items to the same endpoint."""
_COMMIT_SECONDS = 3.0
_MIN_REQUEST_SECONDS = 0.05
_REJECTED = "rejected by the endpoint"


class RetryManager:
    """Decides the outcome of items; one thread calls it, except where a method says otherwise.

    Attributes:
        schedule: the next send from the store to each endpoint.
        clock: returns the time in seconds.
        due: the time by which sending has to end; None while the process goes on.
        paused: whether to stop at the next possible point.
    """

    def __init__(
        self,
        store: Store,
        account: Account,
        sender: Sender,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Make a manager without items.

        Args:
            store: takes the items that no endpoint accepts.
            account: counts the items by outcome.
            sender: sends requests.
            clock: returns the time in seconds; tests have a clock of their own.
        """
        self._store = store
        self._account = account
        self._sender = sender
        self.clock = clock
        self.schedule = RetrySchedule(clock)
        self._held = HeldItems(store, account)
        self.reset()

    def reset(self) -> None:
        """Begin without items; in a forked child, everything from before belongs to the parent."""
        self.schedule.reset()
        self._held.reset()
        self._committing = allocate_lock()
        self._searched: set[Target] = set()
        self._refused_events: dict[Target, bool] = {}
        self._reported_refusals: set[tuple[Target, int | None]] = set()
        self._draining: Target | None = None
        self._holder = f"{os.getpid()}-{uuid4().hex}"
        self.due: float | None = None
        self.paused = False

    # New items

    def deliver_items(
        self,
        destination: Destination | None,
        items: Sequence[EncodedItem],
        take: Callable[[Sequence[EncodedItem]], bool],
    ) -> None:
        """Send items, and store the ones that cannot be sent.

        Args:
            destination: the endpoint; None stands for the store.
            items: the items to deliver.
            take: called before the outcome of some items is recorded; returns False if the worker
                has taken all of them back meanwhile, because it stops.
        """
        schedule = self.schedule
        if destination is not None and self._has_refused_events(destination.target):
            destination = None
        if destination is None or (schedule.retries and schedule.is_down(destination.target)):
            self.commit_items(take, items, partial(self.store_items, destination))
            return
        last = None
        for response, group in destination.send_items(self._sender, items, self._request_seconds):
            record = partial(self._record_response, destination, response)
            if not self.commit_items(take, group, record):
                return
            last = response
        if last is None or last.result is not ExportResult.RETRY:
            self._search_store_once(destination)

    def commit_items(
        self,
        take: Callable[[Sequence[EncodedItem]], bool],
        items: Sequence[EncodedItem],
        record: Callable[[Sequence[EncodedItem]], None],
    ) -> bool:
        """Record the outcome of items, exactly once; returns False if `take` refuses them.

        An item is counted twice if the worker stores it at the end while a late response counts it
        as delivered. `take` decides between the two, and one lock keeps them apart.

        Args:
            take: removes the items from the current batch, or returns False.
            items: the items with a known outcome.
            record: counts the items, or stores them.
        """
        with self._committing:
            if not take(items):
                return False
            try:
                record(items)
            except Exception:
                self._account.add_dropped(len(items), "fault")
                raise
        return True

    def wait_for_commit(self) -> None:
        """Wait for items that were taken and are being stored; any thread may call it.

        A request gives up at the time `due`, and so does `ExportWorker.stop`: both come at once.
        """
        if self._committing.acquire(timeout=_COMMIT_SECONDS):
            self._committing.release()

    def _record_response(
        self, destination: Destination, response: ExportResponse, group: Sequence[EncodedItem]
    ) -> None:
        """Record the outcome of items that were sent from memory."""
        if response.result is ExportResult.ACCEPTED:
            self._account.add_delivered(len(group) - response.rejected)
            self._account.add_dropped(response.rejected, _REJECTED)
            _warn_rejected(destination, response)
        elif response.result is ExportResult.RETRY:
            self.store_items(destination, group)
            # Together, for the end of the process names the endpoints that items wait for.
            self._schedule_retry(destination, response)
        elif destination.takes_no_events(response):
            self._note_refused_events(destination, response)
            self.store_items(None, group)
        else:
            self._warn_refused(destination, response, len(group))
            self.store_items(destination, group, refused=True)

    def store_items(
        self,
        destination: Destination | None,
        items: Sequence[EncodedItem],
        *,
        refused: bool = False,
    ) -> None:
        """Store items, or hold them in memory if that fails; any thread may call it.

        Args:
            destination: the endpoint that the items wait for; None if they are to stay.
            items: the items to store.
            refused: whether the endpoint will never accept them.
        """
        target = destination.target if destination is not None else None
        stored = 0
        try:
            for part in split_items(items):
                self._store.add_items(part, target, refused=refused)
                self._account.add_stored(len(part))
                stored += len(part)
        except StoreUnavailable as error:
            warn(f"cannot store spans and events: {error}")
            self._held.add_group(destination, list(items[stored:]))
            if destination is not None and self.due is not None and self.clock() < self.due:
                self.schedule.make_due(required=[destination])
        else:
            self._held.store_all()

    def drop_held(self) -> bool:
        """Store the held items or drop them; returns whether none was dropped."""
        return self._held.drop_all()

    # Retries

    def run_due_retry(self) -> None:
        """Send the items of the endpoint whose time has come, if there is one."""
        retry = self.schedule.begin_due()
        if retry is None:
            return
        # Items in memory go first: they are lost if the process is killed.
        response = self._send_held(retry.destination)
        if response is None or response.result is not ExportResult.RETRY:
            drained = self._drain_store(retry)
            response = drained.last if drained is not None else response
            if drained is not None and not drained.leased:
                at = self.clock() + _LEASED_ELSEWHERE_SECONDS
                self.schedule.add_retry(ScheduledRetry(retry.destination, at))
                return
        if response is not None and response.result is ExportResult.RETRY:
            self._schedule_retry(retry.destination, response, retry.attempts)
        elif self.paused:
            self.schedule.add_retry(retry)
        else:
            self.schedule.finish_current()

    def release_lease(self) -> None:
        """Give back the lease if the end of the process interrupts a retry; from any thread.

        Nobody knows which items of its last request have arrived, so another process may send
        them again.
        """
        target = self._draining
        if target is not None:
            try:
                self._store.release_lease(target, self._holder)
            except StoreUnavailable as error:
                warn(f"cannot give back the store's lease, which ends by itself: {error}")

    def _drain_store(self, retry: ScheduledRetry) -> outbox.DrainResult | None:
        """Send the items that wait for an endpoint; returns None if the store cannot be read."""
        self._draining = retry.destination.target
        try:
            return outbox.drain_outbox(
                self._store,
                retry.destination,
                self._sender,
                self._holder,
                on_response=partial(self._record_stored, retry.destination),
                may_continue=self._may_continue,
                max_seconds=self._request_seconds,
            )
        except StoreUnavailable as error:
            warn(f"cannot read the store: {error}")
            return None
        finally:
            self._draining = None

    def _send_held(self, destination: Destination) -> ExportResponse | None:
        """Send the held items of an endpoint; returns its last response."""
        last = None
        for items in self._held.find_groups(destination):
            take = partial(self._held.remove_items, items)
            responses = destination.send_items(self._sender, tuple(items), self._request_seconds)
            for response, group in responses:
                last = response
                if response.result is ExportResult.RETRY:
                    with self._committing:
                        self._held.store_all()
                    return last
                record = partial(self._record_response, destination, response)
                if not self.commit_items(take, group, record):
                    break
        return last

    def _record_stored(
        self, destination: Destination, response: ExportResponse, group: Sequence[StoredItem]
    ) -> None:
        """Record the outcome of items that were sent from the store.

        Items that another process stored are on the account of that process.
        """
        own = sum(item.own for item in group)
        if destination.takes_no_events(response):
            self._note_refused_events(destination, response)
            return
        if response.result is not ExportResult.ACCEPTED:
            self._warn_refused(destination, response, len(group))
            return
        _warn_rejected(destination, response)
        rejected = min(response.rejected, own)
        self._account.add_delivered(own - rejected, from_store=True)
        self._account.add_dropped(rejected, _REJECTED, from_store=True)

    def _schedule_retry(
        self, destination: Destination, response: ExportResponse, attempts: int = 0
    ) -> None:
        """Send nothing to an endpoint for the time that it asks for, or for a growing delay."""
        # At the end, items in memory are lost unless the endpoint accepts them while there is time.
        hurry = self.due is not None and self._held.has_items(destination)
        seconds = response.retry_after
        if seconds is None:
            seconds = choose_delay(attempts, FIRST_HURRIED_DELAY if hurry else FIRST_DELAY)
        at = self.clock() + seconds
        # An endpoint that is only busy gets another chance too.
        again = hurry or response.status is not None
        required = again and self.due is not None and at < self.due
        retry = ScheduledRetry(destination, at, attempts + 1, required, response.reason)
        self.schedule.add_retry(retry)
        if response.status is None or (attempts and not required):
            self._warn_waiting(retry)

    def _search_store_once(self, destination: Destination) -> None:
        """Schedule one look for items that other processes have stored for this endpoint."""
        if destination.target in self._searched or self.due is not None:
            return
        self._searched.add(destination.target)
        if self._store.database.exists():
            try:
                self._store.adopt_refused(destination.target)
            except StoreUnavailable as error:
                warn(f"cannot read the store: {error}")
            self.schedule.add_retry(ScheduledRetry(destination, self.clock()))

    # Endpoints that refuse

    def _has_refused_events(self, target: Target) -> bool:
        """Return whether an endpoint for events takes none; asks the store once."""
        if target.wire_format == "traces":
            return False
        known = self._refused_events.get(target)
        if known is None:
            try:
                known = self._store.database.exists() and self._store.has_refused_events(target)
            except StoreUnavailable:
                known = False  # storing the items reports it
            self._refused_events[target] = known
        return known

    def _note_refused_events(self, destination: Destination, response: ExportResponse) -> None:
        """Keep later events from an endpoint that takes none; the first time, one line says so."""
        target = destination.target
        self._refused_events[target] = True
        try:
            is_new = self._store.note_refused_events(target)
        except StoreUnavailable:
            is_new = True
        if is_new:
            warn(
                f"{target.display_url} takes no events (status {response.status}); they stay in the"
                " local store, as with LUPIS_EVENTS_ENDPOINT=none"
            )

    def _warn_refused(self, destination: Destination, response: ExportResponse, count: int) -> None:
        """Report a refusal, once for each endpoint and status."""
        refusal = destination.target, response.status
        if refusal in self._reported_refusals:
            return
        self._reported_refusals.add(refusal)
        warn(
            f"{destination.target.display_url} refused {count} spans or events ({response.reason});"
            " they are kept in the store: `lupis flush` sends them again, `lupis flush --to URL` to"
            " another address"
        )

    # For other threads

    def begin_end(self, due: float) -> None:
        """Send the items that should not outlive the process.

        Args:
            due: the time by which sending has to end.
        """
        self.due = due
        self.schedule.make_due(required=self._held.list_destinations())

    def warn_waiting(self) -> None:
        """Name the endpoints that items wait for, if no line has named them yet."""
        for retry in self.schedule.find_failed():
            self._warn_waiting(retry)

    def _warn_waiting(self, retry: ScheduledRetry) -> None:
        outcome = "spans and events wait in the store until it answers"
        if self._held.has_items(retry.destination):
            outcome = "spans and events wait in memory until it answers"
        url = retry.destination.target.display_url
        warn(f"cannot deliver to {url}: {retry.reason}; {outcome}")

    @property
    def is_sending(self) -> bool:
        """Whether a request is under way."""
        return self._sender.waiting

    def is_blocked(self) -> bool:
        """Return whether items wait for an endpoint that does not answer."""
        return bool(self._held) or bool(self.schedule.find_failed())

    # Time

    def _request_seconds(self) -> float | None:
        """Return how long a request may take: at the end, only until the time `due`."""
        return None if self.due is None else max(_MIN_REQUEST_SECONDS, self.due - self.clock())

    def _may_continue(self) -> bool:
        return not self.paused and (self.due is None or self.clock() < self.due)


def _warn_rejected(destination: Destination, response: ExportResponse) -> None:
    if response.rejected:
        reason = f": {response.reason}" if response.reason else ""
        warn(
            f"{destination.target.display_url} rejected {response.rejected} spans or events{reason}"
        )
