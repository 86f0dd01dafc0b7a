"""Opens a client's instrumentation on its first request, once, however many threads come."""

from __future__ import annotations

import os
from threading import RLock
from typing import TYPE_CHECKING, Any, Callable

from lupis_instrument._diagnostics import report_fault

if TYPE_CHECKING:
    from lupis_instrument._exchange import Exchange


class Calls:
    """The calls being made in this process, as far as they are recorded.

    Attributes:
        current: returns the exchange of the call being made, or None where it is not recorded.
    """

    __slots__ = ("current",)

    def __init__(self) -> None:
        self.current: Callable[[], Exchange | None] = _nothing


class Gate:
    """Stands in the wire of one client.

    Attributes:
        dormant: whether no request has passed yet.
    """

    def __init__(self, activate: Callable[[], bool], calls: Calls) -> None:
        """Make a gate.

        Args:
            activate: loads the runtime, which sets `calls.current`, and lays the instrumentor
                around the wire; returns whether it did.
            calls: the same for all gates: http.client's wire serves other clients' calls too.
        """
        self._activate = activate
        self._calls = calls
        self._active = False
        self.dormant = True
        self._unlock()
        if hasattr(os, "register_at_fork"):
            # Another thread of the parent may be opening; in the child it isn't there to finish.
            os.register_at_fork(after_in_child=self._unlock)

    def _unlock(self) -> None:
        self._lock = RLock()
        self._opening = False

    def open(self) -> bool:
        """Activate if that was not done yet and is wanted here.

        Returns:
            Whether the request must be made anew, through the instrumentor that now stands in
            front of the wire.
        """
        try:
            if suppressed():
                return False
            with self._lock:
                return self._open()
        except Exception as fault:
            self.dormant = False
            report_fault("switching on an instrumentation", fault)
            return False

    def _open(self) -> bool:
        if self._opening:
            return False  # a request made while we load: the program's import hooks may do so
        if self.dormant:
            self._opening = True
            try:
                self._active = self._activate()
            finally:
                self._opening = False
                self.dormant = False
        return self._active

    def exchange(self) -> Exchange | None:
        """Return the exchange of the request being made, if it is recorded."""
        try:
            return self._calls.current()
        except Exception as fault:
            report_fault("finding the current call", fault)
            return None


def _nothing() -> Exchange | None:
    return None


def suppressed() -> bool:
    """Tell whether an instrumentor further out, or our own traffic, wants no span here."""
    import sys

    utils: Any = sys.modules.get("opentelemetry.instrumentation.utils")
    return utils is not None and not utils.is_http_instrumentation_enabled()
