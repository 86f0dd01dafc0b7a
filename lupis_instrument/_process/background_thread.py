"""Threads of ours: daemons, which take no signals and end when the program waits for them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Callable

from lupis_instrument._diagnostics import guarded
from lupis_instrument._process import blocked_signals as signals

if TYPE_CHECKING:
    from threading import Thread
else:  # the class itself: a test may have put another in its place while this is loaded
    Thread = threading.Timer.__base__


class Background(Thread):
    """A thread that is there to be out of the program's way."""

    def __init__(self, run: Callable[[], None], name: str, leave: Callable[[], object]) -> None:
        """Make a thread.

        Args:
            run: what it does.
            name: it is listed by.
            leave: asks it to end.
        """
        super().__init__(target=run, name=name, daemon=True)
        self._ask_to_leave = leave

    def start(self) -> None:
        """Start it.

        Raises:
            RuntimeError: the interpreter is ending.
        """
        with signals.blocked():
            super().start()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end; whoever does so for all threads would else wait for ever."""
        guarded("ending a thread", self._ask_to_leave)
        self.wait(timeout)

    def wait(self, seconds: float | None) -> None:
        """Wait for the end of one that has been asked to; one that starts just now has its way."""
        if self.ident is not None:
            super().join(seconds)
