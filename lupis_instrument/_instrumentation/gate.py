"""Opens a client's instrumentation on its first request, once, however many threads come."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any, Callable

from lupis_instrument._diagnostics import report_fault

if TYPE_CHECKING:
    from lupis_instrument._exchange import Exchange


class Gate:
    """Stands in the wire of one client.

    Attributes:
        dormant: whether no request has passed yet.
        current: returns the exchange of the request being made, or None where it is not to be
            recorded; set when the gate opens.
    """

    def __init__(self, activate: Callable[[], Callable[[], Exchange | None] | None]) -> None:
        """Make a gate.

        Args:
            activate: loads the runtime and lays the instrumentor around the wire; returns
                `current`, or None if that failed (and was reported).
        """
        self._activate = activate
        self._lock = RLock()
        self._opening = False
        self.dormant = True
        self.current: Callable[[], Exchange | None] = _nothing

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
                current = self._activate()
            finally:
                self._opening = False
                self.dormant = False
            self.current = current or _nothing
        return self.current is not _nothing

    def exchange(self) -> Exchange | None:
        """Return the exchange of the request being made, if it is recorded."""
        try:
            return self.current()
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
