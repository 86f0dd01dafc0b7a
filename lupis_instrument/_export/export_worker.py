"""A background thread that sees loads of parcels off, so that nobody waits for the network."""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Callable, NamedTuple, Sequence

from lupis_instrument._diagnostics import report_fault, warn
from lupis_instrument._export.otlp.sending import load
from lupis_instrument._process.background_thread import Background
from lupis_instrument._process.import_lock import import_alone

if TYPE_CHECKING:
    from typing import ContextManager

    from lupis_instrument._export.otlp.destinations import Destination
    from lupis_instrument._export.otlp.encoded_items import EncodedItem
    from lupis_instrument._export.retry_manager import RetryManager

MOST_BYTES = 16 << 20
"""Of parcels that wait for the thread; those beyond are stored by whoever brings them."""
_SOON = 0.02
"""Seconds in which an endpoint that is near has answered."""
RESERVE = 0.2
"""Seconds of the time to end in that are kept for storing what could not be sent."""


class ExportBatch(NamedTuple):
    """Parcels with one way to go.

    Attributes:
        items: those.
        choose: returns where to, None for the store; may look at the network.
        size: bytes of the parcels.
    """

    items: Sequence[EncodedItem]
    choose: Callable[[], Destination | None]
    size: int


class ExportWorker:
    """Takes loads, in order, to the handover."""

    def __init__(
        self, retry_manager: RetryManager, surroundings: Callable[[], ContextManager[object]]
    ) -> None:
        """Make a courier; its thread starts with the first load.

        Args:
            retry_manager: what becomes of parcels.
            surroundings: what the thread runs in; there our own traffic is not recorded.
        """
        self._retry_manager = retry_manager
        self._surroundings = surroundings
        self.forget()

    def forget(self) -> None:
        """Begin anew, without thread and loads; in a forked child they are the parent's."""
        self._retry_manager.forget()
        # Reentrant: a signal's handler may come in on a thread that is in here.
        self._changed = threading.Condition(threading.RLock())
        self._loads: deque[ExportBatch] = deque()
        self._size = 0
        self._current: Sequence[EncodedItem] = ()
        self._choose: Callable[[], Destination | None] = _nowhere
        self._round = object()
        self._busy = False
        self._leaving = False
        self._thread: Background | None = None

    def put(self, load: ExportBatch) -> None:
        """Hand over parcels; waits for no network, and for the store only under overload."""
        with self._changed:
            fits = not self._loads or self._size + load.size <= MOST_BYTES
            if fits:
                self._loads.append(load)
                self._size += load.size
                self._changed.notify_all()
        if fits:
            self._start()
        else:
            self._store(load.choose(), load.items)

    def _store(self, destination: Destination | None, items: Sequence[EncodedItem]) -> None:
        """Store parcels, and see to it that they are sent if the process goes on."""
        self._retry_manager.store_away(destination, items)
        if destination is not None:
            self._retry_manager.expect(destination, must=False)

    def expect(self, destination: Destination) -> None:
        """Send, soon, what the caller has stored to wait for `destination`."""
        self._retry_manager.expect(destination)
        with self._changed:
            self._changed.notify_all()
        self._start()

    def flush(self, seconds: float) -> bool:
        """Send what is there, and what waits; returns whether all of it arrived, in time."""
        self._retry_manager.hurry(all_of_them=True)
        done = self._wait(self._retry_manager.clock() + seconds)
        return done and not self._retry_manager.is_held_up()

    def finish(self, seconds: float) -> bool:
        """Send what is there, or store it; returns whether none of it is lost.

        Args:
            seconds: the most that it may take, give or take a write to the store.
        """
        self._retry_manager.due = due = self._retry_manager.clock() + seconds - RESERVE
        self._retry_manager.hurry()
        self._wait(due)
        for destination, items in self._take_back():
            if destination is not None:
                warn(f"{destination.target.shown} is too slow; the rest waits in the store")
            self._store(destination, items)
        self._retry_manager.wait_until_settled()
        self._retry_manager.due = None
        self._retry_manager.say_waiting()
        self._retry_manager.let_others_send()
        self._end()
        return self._retry_manager.give_up_held()

    def _end(self) -> None:
        """Let the thread end when it has nothing to do; the next load starts another."""
        with self._changed:
            self._leaving = True
            self._changed.notify_all()

    def _wait(self, due: float) -> bool:
        """Wait until nothing is left to do, but not longer than `due`; returns whether it is so."""
        if self._has_work() and not self._start():
            self._work_here(due)
        with self._changed:
            self._changed.notify_all()
            while self._thread is not None and self._has_work():
                left = due - self._retry_manager.clock()
                if left <= 0:
                    break
                self._changed.wait(left)
            return not self._has_work()

    def _has_work(self) -> bool:
        return bool(self._loads) or self._busy or self._retry_manager.has_to_visit()

    def _take_back(self) -> list[tuple[Destination | None, list[EncodedItem]]]:
        """Take from the thread what it has not delivered; what it still does counts no more."""
        with self._changed:
            self._round = object()
            loads = [(self._choose, self._current)] if self._current else []
            loads += [(load.choose, load.items) for load in self._loads]
            self._loads.clear()
            self._size = 0
            self._current = ()
            self._busy = False
        left: list[tuple[Destination | None, list[EncodedItem]]] = []
        for choose, items in loads:
            destination = choose()
            same = next((found for its_route, found in left if its_route == destination), None)
            if same is None:
                left.append((destination, list(items)))
            else:
                same += items
        return left

    # Forks

    def rest(self, seconds: float) -> None:
        """End the thread for now; one that waits for the network is not waited for as long."""
        with self._changed:
            self._retry_manager.resting = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.wait(_SOON if self._retry_manager.waits else seconds)

    def wake(self) -> None:
        """Go on after a rest."""
        self._retry_manager.resting = False
        if self._loads or self._retry_manager.until_next() is not None:
            self._start()

    # The thread

    def _start(self) -> bool:
        """Start the thread, unless there is one or it rests; returns False if none can be had."""
        with self._changed:
            self._leaving = False
            if self._thread is not None or self._retry_manager.resting:
                return True
            thread = Background(self._run, "lupis-courier", self._end)
            try:
                thread.start()
            except RuntimeError:
                return False  # the interpreter is ending; in 3.12 it is before its exit handlers
            self._thread = thread
            return True

    def _work_here(self, due: float) -> None:
        """Do what the thread would, until nothing is left to do or it is `due`."""
        if self._busy:
            return  # in a signal's handler, which broke in on this thread doing so
        try:
            import_alone(load)
            with self._surroundings():
                while self._has_work() and self._retry_manager.clock() < due and self._step():
                    self._busy = False
        except Exception as fault:
            report_fault("delivering", fault)

    def _run(self) -> None:
        try:
            import_alone(load)
            with self._surroundings():
                while self._step():
                    pass
        except Exception as fault:
            report_fault("the thread lupis-courier", fault)
            with self._changed:
                self._thread = None
                self._busy = False
                self._changed.notify_all()

    def _step(self) -> bool:
        """Do the next thing there is to do; returns False to end the thread."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            until_next = self._retry_manager.until_next()
            while not self._loads and until_next and not self._is_to_end():
                self._changed.wait(until_next)
                until_next = self._retry_manager.until_next()
            if self._retry_manager.resting or (not self._loads and until_next != 0):
                self._thread = None
                return False
            load = self._loads.popleft() if until_next != 0 else None
            self._current = load.items if load is not None else ()
            self._choose = load.choose if load is not None else _nowhere
            self._size -= load.size if load is not None else 0
            self._busy = True
            round_ = self._round
        try:
            if load is None:
                self._retry_manager.visit()
            else:
                self._deliver(load, round_)
        except Exception as fault:
            self._rescue(round_)
            report_fault("delivering", fault)
        return True

    def _is_to_end(self) -> bool:
        return self._retry_manager.resting or self._leaving

    def _deliver(self, load: ExportBatch, round_: object) -> None:
        destination = load.choose()
        if self._round is round_:
            self._retry_manager.deliver(destination, load.items, partial(self._claim, round_))

    def _claim(self, round_: object, group: Sequence[EncodedItem]) -> bool:
        """Take `group` out of what is under way; returns False if `finish` has taken it back."""
        with self._changed:
            if self._round is not round_:
                return False
            self._current = self._current[len(group) :]
            return True

    def _rescue(self, round_: object) -> None:
        """Store what a fault has kept from being delivered."""
        choose, items = self._choose, self._current
        claim = partial(self._claim, round_)
        try:
            if items:
                self._retry_manager.settle(claim, items, partial(self._store, choose()))
        except Exception as fault:
            report_fault("storing", fault)


def _nowhere() -> None:
    return None
