"""A background thread that prepares what is put to it and delivers it in batches.

`put` must be safe wherever the garbage collector may call, so it takes no lock of Python's:
`queue.SimpleQueue` is the one queue whose `put` is reentrant. The thread doesn't wake for each
item, when the program has just come back from a call and goes on: it looks every `PAUSE` seconds.
"""

from __future__ import annotations

import threading
from functools import partial
from queue import Empty, SimpleQueue
from threading import get_ident
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._process.background_thread import Background

if TYPE_CHECKING:
    from typing import ContextManager

PAUSE = 0.5
"""Seconds that items may lie unprepared: each holds on to a request's body until then."""

_PATIENCE = 1.0
"""Seconds without a sign of life after which others do the thread's work."""

_GLANCE = 0.001
"""Seconds between two looks at whether the thread is done."""

TURN = 0.0002
"""Seconds that items may be prepared for while the program waits; one item may take longer."""

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")


class _Flush:
    """Put behind the items it is to wait for."""

    def __init__(self, stop: bool) -> None:
        self.done = threading.Event()
        self.stop = stop


class BatchWorker(Generic[Item, Prepared]):
    """Prepares items one by one and delivers what comes of them in batches.

    Attributes:
        dropped: how many items were not taken because too many were waiting.
        failed: how many could not be prepared or delivered, for a fault of ours.
    """

    def __init__(
        self,
        name: str,
        prepare: Callable[[Item], Prepared | None],
        deliver: Callable[[list[Prepared]], None],
        surroundings: Callable[[], ContextManager[Any]],
        *,
        batch: int = 512,
        delay: float = 5.0,
        most: int = 50_000,
    ) -> None:
        """Make a worker; its thread starts with the first item.

        Args:
            name: of the thread.
            prepare: turns an item into what is delivered, or None for nothing.
            deliver: takes a batch; it may block.
            surroundings: what the thread runs in; there our own traffic is not recorded.
            batch: the most items of one batch.
            delay: seconds from the first item of a batch to its delivery, unless it is full.
            most: how many items may wait; those beyond are dropped and counted.
        """
        self._name = name
        self._prepare = prepare
        self._deliver = deliver
        self._surroundings = surroundings
        self._batch = batch
        self._delay = delay
        self._most = most
        self.forget()

    def forget(self) -> None:
        """Begin anew, without thread and items; in a forked child they are the parent's."""
        self.dropped = self.failed = 0
        self._resting = self._halted = False
        self._way_given = 0.0
        self._steps = 0
        self._in_hand: dict[int, int] = {}
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._calls: SimpleQueue[None] = SimpleQueue()
        self._asked: list[_Flush] = []
        self._thread: Background | None = None
        self._starting = threading.Lock()
        self._starter = 0

    def put(self, item: Item) -> None:
        """Hand over `item`; never blocks."""
        waiting = self._queue.qsize()
        if waiting >= self._most:
            self.dropped += 1
            return
        self._queue.put(item)
        if waiting + 1 >= self._batch:
            self._calls.put(None)
        if self._thread is None:
            self._start()

    def _start(self) -> bool:
        """Start the thread; returns False if none can be had any more."""
        # Not waiting for the lock: whoever holds it starts the thread, and if that is a frame
        # below this one (the garbage collector came in between), waiting would never end.
        if not self._starting.acquire(blocking=False):
            return True
        try:
            self._starter = get_ident()
            if self._thread is None and not (self._resting or self._halted):
                leave = partial(self.ask, stop=True)
                # Noted first: a signal's handler that comes in when it starts has to find it.
                self._thread = Background(self._run, self._name, leave)
                self._thread.start()
        except RuntimeError:
            self._thread = None
            return False  # the interpreter is ending
        finally:
            self._starting.release()
        return True

    def flush(self, timeout: float, *, stop: bool = False) -> bool:
        """Deliver all that was put until now.

        Args:
            timeout: seconds to wait at the most.
            stop: end the thread as well; the next item starts another.

        Returns:
            Whether all of it was handed to `deliver` in time.
        """
        return self.wait_for(self.ask(stop=stop), timeout)

    def wait_for(self, done: threading.Event, seconds: float) -> bool:
        """Wait for what `ask` has returned, and do it here if the thread gives no sign of life.

        A program's patches may have replaced it, or bound it to a thread of gevent's. One that has
        items in hand is alive, however long it takes to load what they need.
        """
        due = monotonic() + seconds
        steps = self._steps
        while not done.wait(max(0.0, min(_PATIENCE, due - monotonic()))):
            if monotonic() >= due:
                return False
            if steps == self._steps and not (self._in_hand or self._halted):
                with self._surroundings():
                    while not (done.is_set() or self._queue.empty() or monotonic() >= due):
                        self._fill_and_deliver(wait=False)
            steps = self._steps
        return True

    def ask(self, *, stop: bool = False) -> threading.Event:
        """Ask for what `flush` does; the event is set when it is done."""
        marker = _Flush(stop)
        if self.idle:
            marker.done.set()
            return marker.done
        self._asked.append(marker)
        self._queue.put(marker)
        self._calls.put(None)
        thread = self._thread
        if not (self._start() if thread is None else self._lives(thread)):
            # Delivering here may take as long as `deliver` does.
            with self._surroundings():
                while not marker.done.is_set():
                    self._fill_and_deliver(wait=False)
        return marker.done

    def _lives(self, thread: Background) -> bool:
        """Tell whether the thread runs, or is being started by another than this one."""
        return thread.is_alive() or (thread.ident is None and self._starter != get_ident())

    def rest(self, seconds: float) -> None:
        """End the thread for now, having it hand over what it has."""
        thread = self._thread
        self._resting = True
        if thread is not None:
            self.ask(stop=True).wait(seconds)
            thread.wait(seconds)

    def halt(self, seconds: float) -> None:
        """Prepare nothing more, and wait until what has been prepared is handed over."""
        self._halted = True
        due = monotonic() + seconds
        while self._in_hand and monotonic() < due:
            sleep(_GLANCE)

    def wake(self) -> None:
        """Go on after a rest."""
        self._resting = False
        self._go_on()

    def resume(self) -> None:
        """Go on when halted."""
        self._halted = False
        self._go_on()

    def _go_on(self) -> None:
        if not self._queue.empty():
            self._start()

    @property
    def idle(self) -> bool:
        """Whether nothing was put since the thread last ended."""
        return self._thread is None and self._queue.empty()

    @property
    def left(self) -> int:
        """How many items are neither delivered yet nor lost."""
        waiting = self._queue.qsize() - len(self._asked)
        return max(0, waiting) + sum(list(self._in_hand.values()))

    def _run(self) -> None:
        try:
            with self._surroundings():
                while self._fill_and_deliver() and not self._leave():
                    pass
        except Exception as fault:
            self._thread = None  # so that the next item starts another
            report_fault(f"the thread {self._name}", fault)

    def _fill_and_deliver(self, *, wait: bool = True) -> bool:
        """Collect one batch and deliver it; returns whether to go on.

        Args:
            wait: for items; otherwise it leaves with what there is.
        """
        batch: list[Prepared] = []
        try:
            return self._work_off(batch, wait=wait)
        finally:
            self._in_hand.pop(id(batch), None)

    def _work_off(self, batch: list[Prepared], *, wait: bool) -> bool:
        due: float | None = None
        marker: _Flush | None = None
        while marker is None and len(batch) < self._batch and not self._halted:
            try:
                item = self._queue.get(block=wait and due is None)
            except Empty:
                if due is None or not self._pause(due):
                    break
                continue
            if due is None:
                self._in_hand[id(batch)] = 0
                due = monotonic() + self._delay if wait else 0.0
                if not isinstance(item, _Flush):
                    self._pause(due)
            if isinstance(item, _Flush):
                marker = item
            else:
                self._in_hand[id(batch)] += 1
                self._take(item, batch)
        if batch:
            self._hand_over(batch)
        self._in_hand.pop(id(batch), None)
        return marker is None or self._answer(marker)

    def _pause(self, due: float) -> bool:
        """Wait until somebody calls or it is time to look; returns False if it is past `due`."""
        left = due - monotonic()
        if left <= 0 or _is_alone():
            return False
        if self._asked or self._queue.qsize() >= self._batch:
            return True
        try:
            self._calls.get(timeout=min(left, PAUSE))
            while True:
                self._calls.get_nowait()
        except Empty:
            return True

    def _answer(self, marker: _Flush) -> bool:
        """Say that a flush is done; returns whether to go on after it."""
        self._asked.remove(marker)
        if marker.stop:
            self._end()
        marker.done.set()
        return not marker.stop

    def _leave(self) -> bool:
        """End the thread if there is nothing to do: a program may wait for all threads to end."""
        if not (self._halted or self._queue.empty()):
            return False
        self._end()
        return True

    def _end(self) -> None:
        self._thread = None
        # What came meanwhile found a thread; whoever waits for it must not wait in vain.
        self._go_on()

    def _take(self, item: Item, batch: list[Prepared]) -> None:
        self._steps += 1
        try:
            prepared = self._prepare(item)
            if prepared is not None:
                batch.append(prepared)
            self._give_way()
        except Exception as fault:
            self.failed += 1
            report_fault(f"preparing what {self._name} sends", fault)

    def _give_way(self) -> None:
        """Let the program go on, which must not wait for the time that a batch takes."""
        now = monotonic()
        if now >= self._way_given + TURN:
            sleep(0)
            self._way_given = monotonic()

    def _hand_over(self, batch: list[Prepared]) -> None:
        try:
            self._deliver(batch)
            self._steps += 1
        except Exception as fault:
            self.failed += len(batch)
            report_fault(f"delivering what {self._name} sends", fault)


def _is_alone() -> bool:
    """Tell whether this is a child forked by a thread that has ended: it ends with its last thread.

    Python's own main thread has a class to itself, seen as `_MainThread` in 3.8 to 3.14. Where it
    has ended, other threads of the program's go on.
    """
    main = threading.main_thread()
    return type(main).__name__ != "_MainThread" and not main.is_alive()
