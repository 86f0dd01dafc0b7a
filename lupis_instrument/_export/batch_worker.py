"""A background thread that prepares items one by one and delivers them in batches.

The garbage collector may call `put_item` at any point, so `put_item` takes no lock of Python's:
`queue.SimpleQueue` is the one queue whose `put` is reentrant. The thread does not wake up for each
item, because the program has just come back from a call and goes on: it looks every `POLL_SECONDS`.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from threading import get_ident
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Callable, Generic, Mapping, TypeVar

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._process.background_thread import (
    BackgroundThread,
    BackgroundWorker,
    is_last_thread,
)

if TYPE_CHECKING:
    from typing import ContextManager

POLL_SECONDS = 0.5
"""How long items may lie unprepared, unless `BatchWorker.wake_thread` is called."""

_LIFE_SIGN_SECONDS = 1.0
"""After so long without progress, a caller that waits for a flush does the work of the thread."""

_STOP_POLL_SECONDS = 0.001
"""Time between two looks at whether the thread has delivered its batch."""

TURN_SECONDS = 0.0002
"""How long items are prepared at a stretch while the program waits for the interpreter lock.

One single item may take longer.
"""

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")


def read_batch_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of `BatchWorker` that the standard variables set.

    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#batch-span-processor

    Variables that are no positive whole number are ignored.
    """
    rows = (
        ("max_batch_size", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1),
        ("max_waiting", "OTEL_BSP_MAX_QUEUE_SIZE", 1),
        ("delay_seconds", "OTEL_BSP_SCHEDULE_DELAY", 1000),  # the variable holds milliseconds
    )
    settings: dict[str, Any] = {}
    for name, variable, divisor in rows:
        text = environ.get(variable, "").strip()
        if text.isdigit() and int(text) > 0:
            settings[name] = int(text) if divisor == 1 else int(text) / divisor
    return settings


class _FlushMarker:
    """Stands in the queue behind the items that a flush waits for."""

    def __init__(self, *, end_thread: bool) -> None:
        self.done = threading.Event()
        self.end_thread = end_thread


class BatchWorker(BackgroundWorker, Generic[Item, Prepared]):
    """Prepares items one by one and delivers the results in batches.

    Attributes:
        dropped: the number of items not accepted because too many were waiting.
        failed: the number of items lost to an internal error.
    """

    def __init__(
        self,
        name: str,
        prepare: Callable[[Item], Prepared | None],
        deliver: Callable[[list[Prepared]], None],
        thread_context: Callable[[], ContextManager[Any]],
        *,
        max_batch_size: int = 512,
        delay_seconds: float = 5.0,
        max_waiting: int = 50_000,
    ) -> None:
        """Make a worker; its thread starts with the first item.

        Args:
            name: the name of the thread.
            prepare: turns an item into the value to deliver, or into None for nothing.
            deliver: takes a batch; it may block.
            thread_context: returns the context manager that the work runs in; it keeps the
                requests of this package from being recorded.
            max_batch_size: the largest number of items in a batch.
            delay_seconds: the time from the first item of a batch to its delivery; a full batch
                is delivered at once.
            max_waiting: the number of items that may wait; further items are dropped and counted.
        """
        self._prepare = prepare
        self._deliver = deliver
        self._max_batch_size = max_batch_size
        self._delay_seconds = delay_seconds
        self._max_waiting = max_waiting
        super().__init__(name, thread_context)

    def reset(self) -> None:
        """Begin without thread and items; in a forked child both belong to the parent."""
        super().reset()
        self.dropped = self.failed = 0
        self._paused = self._stopped = False
        self._last_yield = 0.0
        self._progress = 0
        self._batch_sizes: dict[int, int] = {}
        """By identity of the batch: how many items were taken from the queue for it."""
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._wakeups: SimpleQueue[None] = SimpleQueue()
        self._flushes: list[_FlushMarker] = []
        self._starting = threading.Lock()
        self._starter = 0

    def put_item(self, item: Item) -> None:
        """Queue `item` without ever blocking."""
        waiting = self._queue.qsize()
        if waiting >= self._max_waiting:
            self.dropped += 1
            return
        self._queue.put(item)
        if waiting + 1 >= self._max_batch_size:
            self._wakeups.put(None)
        if self._thread is None:
            self._start_thread()

    def wake_thread(self) -> None:
        """Let the thread prepare the queued items now; takes no lock."""
        self._wakeups.put(None)

    # The life of the thread

    def start(self) -> bool:
        """Undo `stop`, and start the thread if items wait."""
        self._stopped = False
        return self._queue.empty() or self._start_thread()

    def pause(self, seconds: float) -> None:
        """Deliver the queued items and end the thread until `resume`.

        Args:
            seconds: the longest wait for the delivery, and again for the end of the thread.
        """
        thread = self._thread
        self._paused = True
        if thread is not None:
            self.request_flush(end_thread=True).wait(seconds)
            thread.wait(seconds)

    def resume(self) -> None:
        """Undo `pause`, and start the thread if items wait."""
        self._paused = False
        self._start_if_needed()

    def stop(self, seconds: float) -> bool:
        """Prepare no more items until `start`, and wait until the prepared ones are delivered.

        Returns:
            Whether they were delivered within `seconds`.
        """
        self._stopped = True
        due = monotonic() + seconds
        while self._batch_sizes and monotonic() < due:
            sleep(_STOP_POLL_SECONDS)
        return not self._batch_sizes

    def _start_if_needed(self) -> None:
        if not self._queue.empty():
            self._start_thread()

    def _start_thread(self) -> bool:
        """Start the thread; returns False if the interpreter starts no more threads."""
        # Do not wait for the lock: its holder starts the thread. If the holder is a frame
        # below this one (the garbage collector ran in between), the wait would never end.
        if not self._starting.acquire(blocking=False):
            return True
        try:
            self._starter = get_ident()
            if self._thread is None and not (self._paused or self._stopped):
                # Set before the start: a signal handler that runs during it has to see the thread.
                self._thread = self._make_thread()
                self._thread.start()
        except RuntimeError:
            self._thread = None
            return False  # the interpreter is ending
        finally:
            self._starting.release()
        return True

    def _is_running(self, thread: BackgroundThread) -> bool:
        """Return whether `thread` runs, or is being started by another thread than this one."""
        return thread.is_alive() or (thread.ident is None and self._starter != get_ident())

    def _forget_thread(self) -> None:
        self._thread = None

    def _request_end(self) -> threading.Event:
        return self.request_flush(end_thread=True)

    # Flushes

    def flush(self, timeout: float, *, end_thread: bool = False) -> bool:
        """Deliver every item that was put until now.

        Args:
            timeout: the longest wait in seconds.
            end_thread: whether the thread ends as well; the next item starts another.

        Returns:
            Whether all of the items were passed to `deliver` in time.
        """
        return self.wait_for_flush(self.request_flush(end_thread=end_thread), timeout)

    def request_flush(self, *, end_thread: bool = False) -> threading.Event:
        """Ask for a `flush` without waiting; the event is set when it is done."""
        marker = _FlushMarker(end_thread=end_thread)
        if self.idle:
            marker.done.set()
            return marker.done
        self._flushes.append(marker)
        self._queue.put(marker)
        self._wakeups.put(None)
        thread = self._thread
        if not (self._start_thread() if thread is None else self._is_running(thread)):
            # Delivering here may take as long as `deliver` does.
            with self._thread_context():
                while not marker.done.is_set():
                    self._process_batch(wait=False)
        return marker.done

    def wait_for_flush(self, done: threading.Event, seconds: float) -> bool:
        """Wait for the event of `request_flush`; do the work here if the thread seems dead.

        The program may have patched threads, or tied this one to a thread of gevent's. A thread
        that is preparing items counts as alive, however long it takes to load the modules for them.

        Returns:
            Whether the flush was done within `seconds`.
        """
        due = monotonic() + seconds
        progress = self._progress
        while not done.wait(max(0.0, min(_LIFE_SIGN_SECONDS, due - monotonic()))):
            if monotonic() >= due:
                return False
            if progress == self._progress and not (self._batch_sizes or self._stopped):
                with self._thread_context():
                    while not (done.is_set() or self._queue.empty() or monotonic() >= due):
                        self._process_batch(wait=False)
            progress = self._progress
        return True

    @property
    def idle(self) -> bool:
        """Whether no item was put since the thread last ended."""
        return self._thread is None and self._queue.empty()

    @property
    def unfinished(self) -> int:
        """The number of items that are neither delivered nor lost yet."""
        waiting = self._queue.qsize() - len(self._flushes)
        return max(0, waiting) + sum(list(self._batch_sizes.values()))

    # The thread

    def _work_once(self) -> bool:
        return self._process_batch() and not self._end_when_empty()

    def _process_batch(self, *, wait: bool = True) -> bool:
        """Collect one batch and deliver it; returns whether the thread goes on.

        Args:
            wait: whether to wait for items; if not, only the queued items are delivered.
        """
        batch: list[Prepared] = []
        try:
            marker = self._fill_batch(batch, wait=wait)
            if batch:
                self._deliver_batch(batch)
            # Before the flush is answered: its caller may read `unfinished` at once.
            self._batch_sizes.pop(id(batch), None)
            return marker is None or self._finish_flush(marker)
        finally:
            self._batch_sizes.pop(id(batch), None)

    def _fill_batch(self, batch: list[Prepared], *, wait: bool) -> _FlushMarker | None:
        """Prepare items into `batch` until it is full, due or ended by the marker of a flush.

        The wait for the first item has no limit. The later ones are collected until `due`, with a
        look at the queue every `POLL_SECONDS`, so that the thread wakes up rarely.
        """
        due: float | None = None
        while len(batch) < self._max_batch_size and not self._stopped:
            try:
                item = self._queue.get(block=wait and due is None)
            except Empty:
                if due is None or not self._wait_for_items(due):
                    return None
                continue
            if due is None:
                self._batch_sizes[id(batch)] = 0
                due = monotonic() + self._delay_seconds if wait else 0.0
                # The program has just come back from a call: let it run before this thread works.
                if not isinstance(item, _FlushMarker):
                    self._wait_for_items(due)
            if isinstance(item, _FlushMarker):
                return item
            self._batch_sizes[id(batch)] += 1
            self._prepare_item(item, batch)
        return None

    def _wait_for_items(self, due: float) -> bool:
        """Wait until somebody wakes the thread or `POLL_SECONDS` are over.

        Returns:
            False if `due`, the time to deliver the batch, has come.
        """
        seconds = due - monotonic()
        if seconds <= 0 or is_last_thread():
            return False
        if self._flushes or self._queue.qsize() >= self._max_batch_size:
            return True
        try:
            self._wakeups.get(timeout=min(seconds, POLL_SECONDS))
            while True:  # one wake-up is enough for all calls until now
                self._wakeups.get_nowait()
        except Empty:
            return True

    def _prepare_item(self, item: Item, batch: list[Prepared]) -> None:
        self._progress += 1
        try:
            prepared = self._prepare(item)
            if prepared is not None:
                batch.append(prepared)
            self._yield_to_program()
        except Exception as fault:
            self.failed += 1
            report_fault(f"preparing items of {self._name}", fault)

    def _yield_to_program(self) -> None:
        """Release the interpreter lock now and then, so that the program need not wait a batch."""
        now = monotonic()
        if now >= self._last_yield + TURN_SECONDS:
            sleep(0)
            self._last_yield = monotonic()

    def _deliver_batch(self, batch: list[Prepared]) -> None:
        try:
            self._deliver(batch)
            self._progress += 1
        except Exception as fault:
            self.failed += len(batch)
            report_fault(f"delivering items of {self._name}", fault)

    def _finish_flush(self, marker: _FlushMarker) -> bool:
        """Set the event of a flush that is done; returns whether the thread goes on."""
        self._flushes.remove(marker)
        goes_on = not (marker.end_thread and self._end_thread())
        marker.done.set()
        return goes_on

    def _end_when_empty(self) -> bool:
        """End the thread if nothing is queued: a program may wait until all threads have ended."""
        return (self._stopped or self._queue.empty()) and self._end_thread()

    def _end_thread(self) -> bool:
        """Let go of the thread; returns False if it must go on because no other can start."""
        thread, self._thread = self._thread, None
        # A caller that put an item meanwhile saw a thread, and started none for its item.
        if self._queue.empty() or self._start_thread():
            return True
        self._thread = thread
        return False
