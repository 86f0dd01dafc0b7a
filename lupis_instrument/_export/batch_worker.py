"""A background thread that prepares items one by one and delivers them in batches.

The garbage collector may call `put_item` at any point, so `put_item` waits for no lock without a
limit: `queue.SimpleQueue` is the one queue whose `put` is reentrant. The thread does not wake up
for each item, because the program has just come back from a call and goes on: it looks every
`POLL_SECONDS`.

The program's threads can leave the background thread too little time. So the thread that puts an
item prepares the oldest ones as soon as too many wait. The number of unprepared items stays small,
and the end of the program has time for them. Items are prepared one at a time and in their order,
because the conversation of a call depends on the calls before it.
"""

from __future__ import annotations

from _queue import Empty, SimpleQueue  # gevent and eventlet replace it in the module `queue`
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, Generic, Mapping, TypeVar

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._process.background_thread import (
    BackgroundThread,
    BackgroundWorker,
    Event,
    Turns,
    is_last_thread,
)
from lupis_instrument._process.native_threads import allocate_lock, get_ident, sleep

if TYPE_CHECKING:
    from threading import Lock
    from typing import ContextManager

POLL_SECONDS = 0.5
"""How long items may lie unprepared, unless many or large ones come."""

_LIFE_SIGN_SECONDS = 1.0
"""After so long without progress, a caller that waits for a flush does the work of the thread."""

_SHORT_WAIT_SECONDS = 0.001
"""Time between two looks at the progress of the thread."""

_HELP_SECONDS = 0.5
"""The longest wait of a calling thread for its turn to prepare items.

There is a limit because a lock of the program, or of an import, may keep the other thread waiting.
"""
_HELP_ITEMS = 2
"""How many items a calling thread prepares for one that it puts, so that the queue gets shorter."""

_WAKE_BYTES = 1 << 20
"""Bytes of unprepared items for which the thread wakes up."""
_MAX_BYTES = 16 << 20
"""Bytes of unprepared items from which on calling threads prepare some."""
_MAX_BYTES_AT_START = 24 << 20
"""The same while the thread loads its modules, because the program would have to wait for them."""

_LOADING_SECONDS = 5.0
"""How long the program waits in all, under overload, while the thread loads its modules."""
_FULL_SECONDS = 1.0
_FULL_SECONDS_PER_ITEM = 0.001
"""A full queue holds the program up for so long in all, and for each prepared item so much more."""

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
        self.done = Event()
        self.end_thread = end_thread


class BatchWorker(BackgroundWorker, Generic[Item, Prepared]):
    """Prepares items one by one and delivers the results in batches.

    Attributes:
        dropped: the number of items not accepted because too many were waiting.
        failed: the number of items that could not be prepared because of an internal error.
        undelivered: the number of items that were prepared and then lost to an internal error.
    """

    def __init__(
        self,
        name: str,
        prepare: Callable[[Item], Prepared | None],
        deliver: Callable[[list[Prepared]], None],
        thread_context: Callable[[], ContextManager[Any]],
        *,
        accept: Callable[[Prepared], object] = id,
        get_size: Callable[[Item], int] = lambda _: 0,
        max_batch_size: int = 512,
        delay_seconds: float = 5.0,
        max_waiting: int = 50_000,
        max_unprepared: int = 512,
    ) -> None:
        """Make a worker; its thread starts with the first item.

        Args:
            name: the name of the thread.
            prepare: turns an item into the value to deliver, or into None for nothing; called for
                one item at a time, on the background thread or on a thread that puts an item.
            deliver: takes a batch; it may block.
            thread_context: returns the context manager that the work runs in; it keeps the
                requests of this package from being recorded.
            accept: called with each value that goes into a batch.
            get_size: returns the bytes of memory that an item takes until it is prepared.
            max_batch_size: the largest number of items in a batch.
            delay_seconds: the time from the first item of a batch to its delivery; a full batch
                is delivered at once.
            max_waiting: the number of items, prepared or not, that may wait; further items wait
                a little for room, and are then dropped and counted.
            max_unprepared: the number of unprepared items from which on calling threads prepare
                some.
        """
        self._prepare = prepare
        self._deliver = deliver
        self._accept = accept
        self._get_size = get_size
        self._max_batch_size = max_batch_size
        self._delay_seconds = delay_seconds
        self._max_waiting = max_waiting
        self.limit_unprepared(max_unprepared)
        super().__init__(name, thread_context)

    def reset(self) -> None:
        """Begin without thread and items; in a forked child both belong to the parent."""
        super().reset()
        self.dropped = self.failed = self.undelivered = 0
        self._paused = self._stopped = False
        self._last_yield = 0.0
        self._progress = 0
        self._waited = self._start_due = 0.0
        self._unprepared_bytes = 0
        """About: threads may change it at once. It is 0 again when no item waits."""
        self._batch_sizes: dict[int, int] = {}
        """By identity of the batch: how many values it holds."""
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._ready: deque[Any] = deque()
        """Prepared values, and the markers between them; all are older than the queue's items."""
        self._turns: Turns[Item] = Turns()
        self._wakeups: SimpleQueue[None] = SimpleQueue()
        self._flushes: list[_FlushMarker] = []
        self._starting = allocate_lock()
        self._starter = 0

    def put_item(self, item: Item) -> None:
        """Queue `item`; if too many wait, prepare some of them, or wait a little for room."""
        unprepared = self._queue.qsize()
        waiting = unprepared + len(self._ready)
        if waiting >= self._max_waiting and not self._wait_for_room(item):
            self.dropped += 1
            return
        self._unprepared_bytes += self._get_size(item)
        self._queue.put(item)
        is_urgent = waiting + 1 >= self._wake_size or self._unprepared_bytes >= _WAKE_BYTES
        if is_urgent and self._wakeups.empty():
            self._wakeups.put(None)
        if self._thread is None:
            self._start_thread()
        if is_urgent and self._has_too_many(unprepared):
            self._help_thread()

    def _has_too_many(self, unprepared: int) -> bool:
        """Return whether so many or so large items wait that calling threads prepare some."""
        max_bytes = _MAX_BYTES if self._progress else _MAX_BYTES_AT_START
        return unprepared >= self._max_unprepared or self._unprepared_bytes > max_bytes

    def limit_unprepared(self, count: int) -> None:
        """Let calling threads prepare items from now on if more than `count` wait."""
        self._max_unprepared = max(1, min(count, self._max_waiting))
        # The thread starts early enough to go first, and late enough to leave short bursts of
        # calls alone: two threads that compute at once hold each other up.
        early = self._max_unprepared // 8
        self._wake_size = min(self._max_batch_size, self._max_unprepared - early)

    def _wait_for_room(self, item: Item) -> bool:
        """Wait until fewer items wait than may; returns False if that takes too long.

        The waits do not add up to more than a millisecond for each item, so that a thread that is
        held up, such as by a slow disk, does not hold the program up as well.
        """
        try:
            while self._queue.qsize() + len(self._ready) >= self._max_waiting:
                limit = _FULL_SECONDS + _FULL_SECONDS_PER_ITEM * self._progress
                if not self._progress:
                    limit = _LOADING_SECONDS
                if self._waited >= limit or self._stopped or self._paused:
                    return False
                self._waited += _SHORT_WAIT_SECONDS
                sleep(_SHORT_WAIT_SECONDS)
        except BaseException:  # a signal handler has raised it
            self._queue.put(item)
            raise
        return True

    def _help_thread(self) -> None:
        """Prepare the oldest items on the calling thread, because too many wait."""
        if self._stopped or self._paused:
            return
        if not self._progress:
            self._wait_for_start()
            return
        try:
            with self._thread_context():
                for _ in range(_HELP_ITEMS):
                    self._prepare_next(_HELP_SECONDS, helps=True)
        except Exception as fault:  # the items stay in the queue
            report_fault(f"preparing items of {self._name}", fault)

    def _wait_for_start(self) -> None:
        """Wait while the thread loads modules for its first item; it is slow while others run."""
        if not self._start_due:
            self._start_due = monotonic() + _LOADING_SECONDS
        while not self._progress:
            sleep(_SHORT_WAIT_SECONDS)
            if monotonic() >= self._start_due:
                break

    # The life of the thread

    def start(self) -> bool:
        """Undo `stop`, and start the thread if items wait."""
        self._stopped = False
        return not self._has_waiting() or self._start_thread()

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
        # A calling thread may be preparing an item; the next one sees that the worker is paused.
        turn = self._turns.take(seconds)
        if turn is not None:
            self._turns.end(turn)

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
        while self._has_prepared() and monotonic() < due:
            sleep(_SHORT_WAIT_SECONDS)
        return not self._has_prepared()

    def _has_prepared(self) -> bool:
        return bool(self._batch_sizes or self._ready or self._turns.current)

    def _has_waiting(self) -> bool:
        return bool(self._ready) or not self._queue.empty()

    def _start_if_needed(self) -> None:
        if self._has_waiting():
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

    def request_flush(self, *, end_thread: bool = False) -> Event:
        """Ask for a `flush` without waiting; the event is set when it is done."""
        marker = _FlushMarker(end_thread=end_thread)
        self._give_up_turn()
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

    def wait_for_flush(self, done: Event, seconds: float) -> bool:
        """Wait for the event of `request_flush`; do the work here if the thread seems dead.

        A thread that is preparing items counts as alive, however long it takes to load the modules
        for them.

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
                    while not done.is_set() and self._has_waiting() and monotonic() < due:
                        self._process_batch(wait=False)
            progress = self._progress
        return True

    @property
    def idle(self) -> bool:
        """Whether no item was put since the thread last ended."""
        return self._thread is None and not (self._has_waiting() or self._turns.current)

    @property
    def unfinished(self) -> int:
        """The number of items that are neither delivered nor lost yet."""
        return self._count_waiting() + sum(list(self._batch_sizes.values()))

    @property
    def unbatched(self) -> int:
        """The number of items that are in no batch yet, or lost before they came into a batch."""
        return self._count_waiting() + self.dropped + self.failed

    def _count_waiting(self) -> int:
        waiting = self._queue.qsize() + len(self._ready) + len(self._turns.current)
        return max(0, waiting - len(self._flushes))

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
            if self._flushes:  # at the end, many prepared items must not use up the time of these
                self._prepare_queued()
            if batch:
                self._deliver_batch(batch)
            # Before the flush is answered: its caller may read `unfinished` at once.
            self._batch_sizes.pop(id(batch), None)
            return marker is None or self._finish_flush(marker)
        finally:
            self._batch_sizes.pop(id(batch), None)

    def _fill_batch(self, batch: list[Prepared], *, wait: bool) -> _FlushMarker | None:
        """Prepare items into `batch` until it is full, due or ended by the marker of a flush.

        Items are collected until `due`, with a look at the queue every `POLL_SECONDS`, so that the
        thread wakes up rarely.
        """
        due: float | None = None
        while len(batch) < self._max_batch_size and (self._ready or not self._stopped):
            if due is None:
                if not self._has_waiting():
                    return None
                self._batch_sizes[id(batch)] = 0
                due = monotonic() + self._delay_seconds if wait else 0.0
                # The program has just come back from a call: let it run before this thread works.
                self._wait_for_items(due)
            elif not self._has_waiting() and not self._wait_for_items(due):
                return None
            if not self._ready:
                self._prepare_next()
                self._yield_to_program()
            marker = self._take_ready(batch)
            if marker is not None:
                return marker
        return None

    def _prepare_queued(self) -> None:
        """Prepare the items that are queued now."""
        for _ in range(self._queue.qsize()):
            if self._stopped:
                return
            self._prepare_next()

    def _take_ready(self, batch: list[Prepared]) -> _FlushMarker | None:
        """Move the oldest prepared value into `batch`; returns a marker instead of a value."""
        try:
            value = self._ready.popleft()
        except IndexError:  # the item was prepared to None, or another thread has taken the value
            return None
        if isinstance(value, _FlushMarker):
            return value
        batch.append(value)
        self._batch_sizes[id(batch)] += 1
        try:
            self._accept(value)
        except Exception as fault:  # the value stays in its batch
            report_fault(f"counting items of {self._name}", fault)
        return None

    def _wait_for_items(self, due: float) -> bool:
        """Wait until somebody wakes the thread or `POLL_SECONDS` are over.

        Returns:
            False if `due`, the time to deliver the batch, has come.
        """
        seconds = due - monotonic()
        if seconds <= 0 or is_last_thread():
            return False
        if self._flushes or self._queue.qsize() + len(self._ready) >= self._wake_size:
            return True
        try:
            self._wakeups.get(timeout=min(seconds, POLL_SECONDS))
            while True:  # one wake-up is enough for all calls until now
                self._wakeups.get_nowait()
        except Empty:
            return True

    def _yield_to_program(self) -> None:
        """Release the interpreter lock now and then, so that the program need not wait a batch.

        Under overload the thread keeps the lock for as long as the interpreter lets it: otherwise
        a busy program would leave it one item every 5 ms.
        """
        now = monotonic()
        if now >= self._last_yield + TURN_SECONDS and not self._has_too_many(self._queue.qsize()):
            sleep(0)
            self._last_yield = monotonic()

    def _deliver_batch(self, batch: list[Prepared]) -> None:
        try:
            self._deliver(batch)
            self._progress += 1
        except Exception as fault:
            self.undelivered += len(batch)
            report_fault(f"delivering items of {self._name}", fault)

    def _finish_flush(self, marker: _FlushMarker) -> bool:
        """Set the event of a flush that is done; returns whether the thread goes on."""
        self._flushes.remove(marker)
        goes_on = not (marker.end_thread and self._end_thread())
        marker.done.set()
        return goes_on

    def _end_when_empty(self) -> bool:
        """End the thread if nothing is queued: a program may wait until all threads have ended."""
        if self._ready or not (self._stopped or self._queue.empty()):
            return False
        return self._end_thread()

    def _end_thread(self) -> bool:
        """Let go of the thread; returns False if it must go on because no other can start."""
        thread, self._thread = self._thread, None
        # A caller that put an item meanwhile saw a thread, and started none for its item.
        if not self._has_waiting() or self._start_thread():
            return True
        self._thread = thread
        return False

    # Preparing, on any thread

    def prepare_now(self, item: Item, seconds: float) -> tuple[Prepared | None] | None:
        """Prepare an item that is not queued, on the calling thread.

        Args:
            item: the item.
            seconds: the longest wait for other threads.

        Returns:
            A tuple of the value; None if the wait was too long, or if this very thread is preparing
            an item, further down its stack.
        """
        turn = self._turns.take(seconds)
        if turn is None:
            return None
        try:
            return (self._prepare(item),)
        finally:
            self._turns.end(turn)

    def _prepare_next(self, seconds: float = -1, *, helps: bool = False) -> None:
        """Prepare the oldest item of the queue.

        Args:
            seconds: the longest wait for other threads; negative for no limit.
            helps: whether nothing is to do unless too many items wait.
        """
        turn = self._turns.take(seconds)
        if turn is None:
            return
        try:
            if helps and not self._has_too_many(self._queue.qsize()):
                return
            item = self._queue.get_nowait()
            if isinstance(item, _FlushMarker):
                self._ready.append(item)
            else:
                self._prepare_item(item, turn)
        except Empty:
            pass  # another thread has prepared the last item
        finally:
            if self._queue.empty():
                self._unprepared_bytes = 0
            self._turns.end(turn)

    def _prepare_item(self, item: Item, turn: Lock) -> None:
        self._turns.current.append(item)
        self._unprepared_bytes -= self._get_size(item)
        try:
            prepared = self._prepare(item)
            if prepared is not None and self._turns.is_valid(turn):
                self._ready.append(prepared)
        except Exception as fault:
            self.failed += self._turns.is_valid(turn)
            report_fault(f"preparing items of {self._name}", fault)
        except BaseException:  # a signal handler has raised it in a thread of the program
            self._give_up_turn()
            raise
        self._progress += 1

    def _give_up_turn(self) -> None:
        """Queue the item again that a frame of this very thread is preparing, if there is one."""
        for item in self._turns.give_up():
            self._queue.put(item)
