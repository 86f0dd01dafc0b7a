"""A background thread that sends batches of encoded items, so that nobody waits for the network."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Sequence

from lupis_instrument._diagnostics import report_fault, warn
from lupis_instrument._export.otlp.sending import loaded_modules
from lupis_instrument._process.background_thread import (
    BackgroundWorker,
    Condition,
    find_current_thread,
)

if TYPE_CHECKING:
    from typing import Any, Callable, ContextManager

    from lupis_instrument._export.otlp.destinations import Destination, Router
    from lupis_instrument._export.otlp.encoded_items import EncodedItem
    from lupis_instrument._export.retry_manager import RetryManager

MAX_QUEUED_BYTES = 16 << 20
"""The size of all items that wait for the thread or are being sent, unless a batch alone is larger.

A caller with more items stores them itself.
"""
_SENDING_PAUSE_SECONDS = 0.02
"""The longest wait, before a fork, for a thread that is sending; a near endpoint answers sooner."""
STORING_SECONDS = 0.25
"""The part of the time limit of `stop` that is kept for storing items that could not be sent."""


class ExportBatch(NamedTuple):
    """Items of one kind, which all go to the same destination.

    Attributes:
        kind: `SPAN` or `EVENT`.
        items: the encoded items.
        size: the bytes of all their bodies.
    """

    kind: int
    items: Sequence[EncodedItem]
    size: int


class ExportWorker(BackgroundWorker):
    """Passes batches, in order, to the retry manager on one background thread."""

    def __init__(
        self,
        retry_manager: RetryManager,
        router: Router,
        thread_context: Callable[[], ContextManager[Any]],
    ) -> None:
        """Make a worker; its thread starts with the first batch.

        Args:
            retry_manager: sends or stores the items.
            router: chooses the destination of a batch when its turn comes; it may look at the
                network.
            thread_context: returns the context manager that the work runs in; it keeps the
                requests of this package from being recorded.
        """
        self._retry_manager = retry_manager
        self._schedule = retry_manager.schedule
        self._router = router
        super().__init__("lupis-export", thread_context)

    def reset(self) -> None:
        """Begin without thread and batches; in a forked child both belong to the parent."""
        super().reset()
        self._retry_manager.reset()
        # Reentrant: a signal handler may call this worker on a thread that holds the lock.
        self._changed = Condition()
        self._batches: deque[ExportBatch] = deque()
        self._size = 0
        self._current: ExportBatch | None = None
        """The items of the current batch that have no outcome yet."""
        self._epoch = object()
        """Replaced when `stop` takes all items back: outcomes of the old epoch count no more."""
        self._busy = False
        self._ending = False

    def put_batch(self, batch: ExportBatch) -> None:
        """Queue a batch; waits for no network, and for the store only under overload."""
        with self._changed:
            # The batch that is being sent takes memory as well.
            waiting = self._size + (self._current.size if self._current is not None else 0)
            fits = not waiting or waiting + batch.size <= MAX_QUEUED_BYTES
            if fits:
                self._batches.append(batch)
                self._size += batch.size
                self._changed.notify_all()
        if fits:
            self.start()
        else:
            self._store_items(self._router.choose_destination(batch.kind), batch.items)

    def _store_items(self, destination: Destination | None, items: Sequence[EncodedItem]) -> None:
        """Store items, and schedule a send for them in case the process goes on."""
        self._retry_manager.store_items(destination, items)
        if destination is not None:
            self._schedule.expect_items(destination, required=False)

    def send_stored(self, destination: Destination) -> None:
        """Send, soon, items that the caller has stored to wait for `destination`."""
        self._schedule.expect_items(destination)
        with self._changed:
            self._changed.notify_all()
        self.start()

    def flush(self, seconds: float) -> bool:
        """Send all items, also the ones in the store.

        Returns:
            Whether all of them arrived within `seconds`.
        """
        self._schedule.make_due(all_retries=True)
        done = self._wait_for_work(self._retry_manager.clock() + seconds)
        return done and not self._retry_manager.is_blocked()

    # The life of the thread

    def start(self) -> bool:
        """Start the thread, unless it runs already or the worker is paused.

        From Python 3.12 on, the interpreter starts no thread once its exit handlers run. A thread
        of this package that calls then does the work when its own is done.

        Returns:
            False if no thread can do the work.
        """
        with self._changed:
            self._ending = False
            if self._thread is not None or self._retry_manager.paused:
                return True
            thread = self._make_thread()
            try:
                thread.start()
            except RuntimeError:
                caller = find_current_thread()
                if caller is None:
                    return False
                caller.run_afterwards(self._run)
                thread = caller
            self._thread = thread
            return True

    def pause(self, seconds: float) -> None:
        """End the thread until `resume`.

        Args:
            seconds: the longest wait for its end; a thread that is sending gets less time.
        """
        with self._changed:
            self._retry_manager.paused = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.wait(_SENDING_PAUSE_SECONDS if self._retry_manager.is_sending else seconds)

    def resume(self) -> None:
        """Undo `pause`, and start the thread if there is work or a retry is scheduled."""
        self._retry_manager.paused = False
        if self._batches or self._schedule.seconds_until_next() is not None:
            self.start()

    def stop(self, seconds: float) -> bool:
        """Send all items, or store the ones that cannot be sent in time; the thread ends.

        Args:
            seconds: the time limit; one last write to the store may exceed it.

        Returns:
            Whether no item is lost.
        """
        manager = self._retry_manager
        # From now on, no request may take longer than until `due`.
        due = manager.clock() + seconds - STORING_SECONDS
        manager.begin_end(due)
        self._wait_for_work(due)
        for destination, items in self._take_back():
            if destination is not None:
                address = destination.target.display_url
                warn(f"{address} is too slow; the remaining items wait in the store")
            self._store_items(destination, items)
        # The thread may be storing the items of a request that was given up at `due`.
        manager.wait_for_commit()
        manager.due = None
        manager.warn_waiting()
        manager.release_lease()
        self._request_end()
        return manager.drop_held()

    def _request_end(self) -> None:
        """Let the thread end when it has nothing to do; the next batch starts another."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def _forget_thread(self) -> None:
        with self._changed:
            self._thread = None
            self._busy = False
            self._changed.notify_all()

    # Waiting for the thread

    def _wait_for_work(self, due: float) -> bool:
        """Wait until all work is done, or until `due`; returns whether it is done."""
        if self._has_work() and not self.start():
            self._work_here(due)
        with self._changed:
            self._changed.notify_all()
            while self._thread is not None and self._has_work():
                seconds = due - self._retry_manager.clock()
                if seconds <= 0:
                    break
                self._changed.wait(seconds)
            return not self._has_work()

    def _has_work(self) -> bool:
        return bool(self._batches) or self._busy or self._schedule.has_required()

    def _work_here(self, due: float) -> None:
        """Do the work of the thread on the calling one, until it is done or `due`."""
        if self._busy:
            return  # in a signal handler that interrupted this very loop
        try:
            loaded_modules.get()
            with self._thread_context():
                while self._has_work() and self._retry_manager.clock() < due and self._work_once():
                    self._busy = False
        except Exception as fault:
            report_fault("delivering", fault)

    def _take_back(self) -> list[tuple[Destination | None, list[EncodedItem]]]:
        """Take all items from the thread that have no outcome yet, and group them by destination.

        The outcome of a request that is still under way will not count.
        """
        with self._changed:
            self._epoch = object()
            batches = [*([self._current] if self._current is not None else ()), *self._batches]
            self._batches.clear()
            self._size = 0
            self._current = None
            self._busy = False
        groups: list[tuple[Destination | None, list[EncodedItem]]] = []
        for batch in batches:
            destination = self._router.choose_destination(batch.kind)
            group = next((items for known, items in groups if known == destination), None)
            if group is None:
                groups.append((destination, list(batch.items)))
            else:
                group += batch.items
        return groups

    # The thread

    def _prepare_thread(self) -> None:
        if not loaded_modules.made:
            loaded_modules.make()

    def _work_once(self) -> bool:
        """Deliver the next batch or run the next retry; returns False to end the thread."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            retry_is_due = self._wait_for_retry()
            if self._retry_manager.paused or not (self._batches or retry_is_due):
                self._thread = None
                return False
            # A retry goes first: under a steady stream of batches it would never get its turn.
            batch = None if retry_is_due else self._batches.popleft()
            self._current = batch
            self._size -= batch.size if batch is not None else 0
            self._busy = True
            epoch = self._epoch
        try:
            if batch is None:
                self._retry_manager.run_due_retry()
            else:
                self._deliver_batch(batch, epoch)
        except Exception as fault:
            self._rescue_items(epoch)
            report_fault("delivering", fault)
        return True

    def _wait_for_retry(self) -> bool:
        """Wait until a batch comes, a retry is due or the thread should end.

        Returns:
            Whether a retry is due.
        """
        schedule = self._schedule
        until_next = schedule.seconds_until_next() if schedule.retries else None
        while not self._batches and until_next and not self._should_end():
            self._changed.wait(until_next)
            until_next = schedule.seconds_until_next()
        return until_next == 0

    def _should_end(self) -> bool:
        return self._retry_manager.paused or self._ending

    def _deliver_batch(self, batch: ExportBatch, epoch: object) -> None:
        destination = self._router.choose_destination(batch.kind)
        # `stop` may have taken the batch back while the router looked at the network.
        if self._epoch is epoch:
            take = partial(self._take_items, epoch)
            self._retry_manager.deliver_items(destination, batch.items, take)

    def _take_items(self, epoch: object, group: Sequence[EncodedItem]) -> bool:
        """Remove `group` from the current batch; returns False if `stop` has taken it back."""
        with self._changed:
            if self._epoch is not epoch or self._current is None:
                return False
            remaining = self._current.items[len(group) :]
            self._current = self._current._replace(items=remaining) if remaining else None
            return True

    def _rescue_items(self, epoch: object) -> None:
        """Store the items of the current batch that an internal error kept from delivery."""
        batch = self._current
        if batch is None:
            return
        try:
            destination = self._router.choose_destination(batch.kind)
            self._retry_manager.commit_items(
                partial(self._take_items, epoch),
                batch.items,
                partial(self._store_items, destination),
            )
        except Exception as fault:
            report_fault("storing", fault)
