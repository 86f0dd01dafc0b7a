"""Decides, at the end of the process, which calls of other threads its account still counts."""

from __future__ import annotations

from time import monotonic

from lupis_instrument._process.background_thread import find_current_thread
from lupis_instrument._process.native_threads import get_ident, sleep

_POLL_SECONDS = 0.02
_END_SECONDS = 2.0
"""How long a thread waits for an end of the process that is late."""


class Admission:
    """Admits the calls of all threads until it is closed.

    Daemon threads go on while the totals are reported, until the interpreter stops them. A call
    that ended then would be neither counted nor reported. So its thread waits at the end of the
    call, as if the interpreter had stopped it a moment before, and the program never sees the end.

    Attributes:
        inside: the thread of each call that is admitted and not recorded yet, by an object that
            stands for the call. Calls enter themselves: they need no function call for it.
        closer: the thread that has closed the admission; 0 if nobody has.
    """

    def __init__(self) -> None:
        """Begin without calls; all are admitted until `close`."""
        self.inside: dict[object, int] = {}
        self.closer = 0
        self._due = 0.0

    def wait_for_end(self, call: object) -> None:
        """Wait until a call is admitted that has entered itself after the close."""
        while self._must_wait():
            del self.inside[call]
            sleep(_POLL_SECONDS)
            self.inside[call] = get_ident()

    def _must_wait(self) -> bool:
        """Return whether the calling thread has come too late.

        The closing thread may wait for a thread that is inside already, or for one of this package.
        There, the garbage collector or a signal handler has ended one more call: it is admitted.
        """
        thread = get_ident()
        return (
            thread != self.closer
            and monotonic() < self._due
            and list(self.inside.values()).count(thread) == 1
            and find_current_thread() is None
        )

    def close(self, seconds: float, due: float) -> None:
        """Admit no more calls of other threads, and wait until the admitted ones are recorded.

        Args:
            seconds: the longest wait.
            due: the time by which the process should have ended.
        """
        self._due = due + _END_SECONDS
        self.closer = get_ident()
        give_up = monotonic() + seconds
        while self._has_others() and monotonic() < give_up:
            sleep(_POLL_SECONDS / 10)

    def _has_others(self) -> bool:
        """Return whether a call of another thread is inside.

        A call of this thread stands still: a signal handler that closes has interrupted it.
        """
        return any(thread != self.closer for thread in list(self.inside.values()))

    def reopen_soon(self) -> None:
        """Let the threads go on in a moment, in case that the process does not end after all."""
        self._due = monotonic() + _END_SECONDS
