"""A background thread that sees loads of parcels off, so that nobody waits for the network."""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Callable, NamedTuple, Sequence

from lupis_instrument._diagnostics import report_fault, warn
from lupis_instrument._export.otlp.sending import load
from lupis_instrument._process.background_thread import Background
from lupis_instrument._process.import_lock import alone

if TYPE_CHECKING:
    from typing import ContextManager

    from lupis_instrument._export.otlp.destinations import Route
    from lupis_instrument._export.otlp.encoded_items import Parcel
    from lupis_instrument._export.retry_manager import Handover

MOST_BYTES = 16 << 20
"""Of parcels that wait for the thread; those beyond are stored by whoever brings them."""
_SOON = 0.02
"""Seconds in which an endpoint that is near has answered."""
RESERVE = 0.2
"""Seconds of the time to end in that are kept for storing what could not be sent."""


class Load(NamedTuple):
    """Parcels with one way to go.

    Attributes:
        parcels: those.
        choose: returns where to, None for the store; may look at the network.
        size: bytes of the parcels.
    """

    parcels: Sequence[Parcel]
    choose: Callable[[], Route | None]
    size: int


class Courier:
    """Takes loads, in order, to the handover."""

    def __init__(
        self, handover: Handover, surroundings: Callable[[], ContextManager[object]]
    ) -> None:
        """Make a courier; its thread starts with the first load.

        Args:
            handover: what becomes of parcels.
            surroundings: what the thread runs in; there our own traffic is not recorded.
        """
        self._handover = handover
        self._surroundings = surroundings
        self.forget()

    def forget(self) -> None:
        """Begin anew, without thread and loads; in a forked child they are the parent's."""
        self._handover.forget()
        # Reentrant: a signal's handler may come in on a thread that is in here.
        self._changed = threading.Condition(threading.RLock())
        self._loads: deque[Load] = deque()
        self._size = 0
        self._current: Sequence[Parcel] = ()
        self._choose: Callable[[], Route | None] = _nowhere
        self._round = object()
        self._busy = False
        self._leaving = False
        self._thread: Background | None = None

    def put(self, load: Load) -> None:
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
            self._store(load.choose(), load.parcels)

    def _store(self, route: Route | None, parcels: Sequence[Parcel]) -> None:
        """Store parcels, and see to it that they are sent if the process goes on."""
        self._handover.store_away(route, parcels)
        if route is not None:
            self._handover.expect(route, must=False)

    def expect(self, route: Route) -> None:
        """Send, soon, what the caller has stored to wait for `route`."""
        self._handover.expect(route)
        with self._changed:
            self._changed.notify_all()
        self._start()

    def flush(self, seconds: float) -> bool:
        """Send what is there, and what waits; returns whether all of it arrived, in time."""
        self._handover.hurry(all_of_them=True)
        done = self._wait(self._handover.clock() + seconds)
        return done and not self._handover.is_held_up()

    def finish(self, seconds: float) -> bool:
        """Send what is there, or store it; returns whether none of it is lost.

        Args:
            seconds: the most that it may take, give or take a write to the store.
        """
        self._handover.due = due = self._handover.clock() + seconds - RESERVE
        self._handover.hurry()
        self._wait(due)
        for route, parcels in self._take_back():
            if route is not None:
                warn(f"{route.target.shown} is too slow; what it has not taken waits in the store")
            self._store(route, parcels)
        self._handover.wait_until_settled()
        self._handover.due = None
        self._handover.say_waiting()
        self._handover.let_others_send()
        self._end()
        return self._handover.give_up_held()

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
                left = due - self._handover.clock()
                if left <= 0:
                    break
                self._changed.wait(left)
            return not self._has_work()

    def _has_work(self) -> bool:
        return bool(self._loads) or self._busy or self._handover.has_to_visit()

    def _take_back(self) -> list[tuple[Route | None, list[Parcel]]]:
        """Take from the thread what it has not delivered; what it still does counts no more."""
        with self._changed:
            self._round = object()
            loads = [(self._choose, self._current)] if self._current else []
            loads += [(load.choose, load.parcels) for load in self._loads]
            self._loads.clear()
            self._size = 0
            self._current = ()
            self._busy = False
        left: list[tuple[Route | None, list[Parcel]]] = []
        for choose, parcels in loads:
            route = choose()
            same = next((found for its_route, found in left if its_route == route), None)
            if same is None:
                left.append((route, list(parcels)))
            else:
                same += parcels
        return left

    # Forks

    def rest(self, seconds: float) -> None:
        """End the thread for now; one that waits for the network is not waited for as long."""
        with self._changed:
            self._handover.resting = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.wait(_SOON if self._handover.waits else seconds)

    def wake(self) -> None:
        """Go on after a rest."""
        self._handover.resting = False
        if self._loads or self._handover.until_next() is not None:
            self._start()

    # The thread

    def _start(self) -> bool:
        """Start the thread, unless there is one or it rests; returns False if none can be had."""
        with self._changed:
            self._leaving = False
            if self._thread is not None or self._handover.resting:
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
            alone(load)
            with self._surroundings():
                while self._has_work() and self._handover.clock() < due and self._step():
                    self._busy = False
        except Exception as fault:
            report_fault("delivering", fault)

    def _run(self) -> None:
        try:
            alone(load)
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
            until_next = self._handover.until_next()
            while not self._loads and until_next and not self._is_to_end():
                self._changed.wait(until_next)
                until_next = self._handover.until_next()
            if self._handover.resting or (not self._loads and until_next != 0):
                self._thread = None
                return False
            load = self._loads.popleft() if until_next != 0 else None
            self._current = load.parcels if load is not None else ()
            self._choose = load.choose if load is not None else _nowhere
            self._size -= load.size if load is not None else 0
            self._busy = True
            round_ = self._round
        try:
            if load is None:
                self._handover.visit()
            else:
                self._deliver(load, round_)
        except Exception as fault:
            self._rescue(round_)
            report_fault("delivering", fault)
        return True

    def _is_to_end(self) -> bool:
        return self._handover.resting or self._leaving

    def _deliver(self, load: Load, round_: object) -> None:
        route = load.choose()
        if self._round is round_:
            self._handover.deliver(route, load.parcels, partial(self._claim, round_))

    def _claim(self, round_: object, group: Sequence[Parcel]) -> bool:
        """Take `group` out of what is under way; returns False if `finish` has taken it back."""
        with self._changed:
            if self._round is not round_:
                return False
            self._current = self._current[len(group) :]
            return True

    def _rescue(self, round_: object) -> None:
        """Store what a fault has kept from being delivered."""
        choose, parcels = self._choose, self._current
        claim = partial(self._claim, round_)
        try:
            if parcels:
                self._handover.settle(claim, parcels, partial(self._store, choose()))
        except Exception as fault:
            report_fault("storing", fault)


def _nowhere() -> None:
    return None
