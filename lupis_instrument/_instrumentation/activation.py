"""Opens a client's instrumentation on its first request, once, however many threads come."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from threading import RLock
from typing import TYPE_CHECKING, Any, Callable, ContextManager

from lupis_instrument._diagnostics import guarded, report_fault
from lupis_instrument._instrumentation.suppression import ALL, OUTER, itself, lifted, objector
from lupis_instrument._process.fork import on_fork
from lupis_instrument._tracing.context import OUTER_CALL_KEY, use_context

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from lupis_instrument._instrumentation.wrapping import Wrapper
    from lupis_instrument._tracing.http_call import HttpCall


class Calls:
    """The calls being made in this process, as far as they are recorded.

    Attributes:
        original: returns the span under way that another stands in for, or that one itself.
        current: returns the exchange of the call being made, or None where it is not recorded.
        underway: tells whether a span of ours stands for the call being made.
        apart: returns the context for what a client does for the call whose span is current,
            where the program has made it in that which it is given; None if there is no such span.
    """

    __slots__ = ("apart", "current", "original", "underway")

    def __init__(self) -> None:
        self.apart: Callable[[Context], Context | None] = _nowhere
        self.current: Callable[[], HttpCall | None] = _nothing
        self.original: Callable[[Any], Any] = itself
        self.underway: Callable[[], bool] = _never


class Activation:
    """Stands in the wire of one client.

    Attributes:
        dormant: whether no request has passed yet.
        wrappers: the client's functions that requests come through.
    """

    def __init__(self, activate: Callable[[], object], calls: Calls) -> None:
        """Make a gate.

        Args:
            activate: loads the runtime, which sets `calls.current`, and lays the instrumentor
                behind the doors.
            calls: the same for all gates: http.client's wire serves other clients' calls too.
        """
        self._activate = activate
        self._calls = calls
        self.wrappers: list[Wrapper] = []
        self.dormant = True
        self._unlock()
        # Another thread of the parent may be opening; in the child it isn't there to finish.
        on_fork(after_in_child=self._unlock)

    def _unlock(self) -> None:
        self._lock = RLock()
        self._opening = False

    def enter(self) -> bool:
        """Let a request in, opening the gate if that was not done yet and is wanted here.

        Returns:
            Whether another's instrumentor, not one of ours, wants no span of the call: what it has
            said is to be lifted.
        """
        try:
            who = self._objector()
            if who != ALL and self.dormant and _has_room():
                guarded("switching on an instrumentation", self._open)
                who = self._objector()  # what is loaded now knows the words by which it is said
            return who == OUTER
        except Exception as fault:
            report_fault("finding who records a call", fault)
            return False

    def _objector(self) -> int:
        who = objector(self._calls.original)
        return ALL if who == OUTER and self._calls.underway() else who

    def _open(self) -> None:
        with self._lock:
            if self._opening or not self.dormant:
                return  # a request made while we load: the program's import hooks may do so
            self._opening = True
            try:
                self._activate()
            finally:
                self._opening = False
                self.dormant = False

    def lifted(self) -> ContextManager[None]:
        """Return a context manager inside which that instrumentor does not count."""
        found: ContextManager[None] = guarded("lifting a suppression", lifted) or nullcontext()
        return found

    def here(self) -> Context | None:
        """Return the current context; None where OpenTelemetry isn't loaded, for it is empty."""
        current = getattr(sys.modules.get("opentelemetry.context"), "get_current", None)
        return guarded("reading the context", current) if current is not None else None

    def below(self, here: Context) -> bool:
        """Tell whether a call is a part of one under way, whose instrumentor sees to both."""
        call = here.get(OUTER_CALL_KEY)
        return call is not None and not call.ended  # type: ignore[attr-defined]

    def inside(self, before: Context | None) -> Context | None:
        """Return the context that the client does its work in, as `Calls.apart` says."""
        return guarded("leaving a span", self._calls.apart, before) if before is not None else None

    def apart(self, before: Context | None) -> ContextManager[None]:
        """Return a context manager for that work."""
        inside = self.inside(before)
        return use_context(inside) if inside is not None else nullcontext()

    def http_call(self) -> HttpCall | None:
        """Return the exchange of the request being made, if it is recorded."""
        try:
            return self._calls.current()
        except Exception as fault:
            report_fault("finding the current call", fault)
            return None


def _has_room() -> bool:
    """Tell whether the stack has room for loading; a later call may find more."""
    depth, frame = 0, sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    return sys.getrecursionlimit() - depth > _ROOM


_ROOM = 300
"""Calls that loading may be deep."""


def _nothing() -> HttpCall | None:
    return None


def _never() -> bool:
    return False


def _nowhere(_before: Context) -> Context | None:
    return None
