"""Sends what waits in the store: oldest first, one process at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, NamedTuple, Sequence

from lupis_instrument._export.otlp.sending import LATER, TAKEN, Answer
from lupis_instrument._export.store.schema import DELIVERED, REFUSED

if TYPE_CHECKING:
    from lupis_instrument._export.otlp.destinations import Destination
    from lupis_instrument._export.otlp.sending import Sender
    from lupis_instrument._export.store.store import Store, Stored

MOST_AT_ONCE = 512
_MOST_BYTES = 4 << 20


class Drained(NamedTuple):
    """How far sending came.

    Attributes:
        taken: how many items the endpoint took.
        refused: how many it will never take; they stay in the store.
        rejected: how many of those taken it left out.
        last: what it said last; None where nothing was sent.
        leased: whether this process might send: another may be at it.
    """

    taken: int = 0
    refused: int = 0
    rejected: int = 0
    last: Answer | None = None
    leased: bool = True

    @property
    def stuck(self) -> bool:
        """Whether there is more to send, and none of it can be now."""
        return not self.leased or (self.last is not None and self.last.outcome == LATER)


def drain(
    store: Store,
    destination: Destination,
    sender: Sender,
    holder: str,
    *,
    settled: Callable[[Answer, Sequence[Stored]], None] = lambda *_: None,
    goes_on: Callable[[], bool] = lambda: True,
    seconds: Callable[[], float | None] = lambda: None,
    refused_too: bool = False,
) -> Drained:
    """Send all that waits for a route's target.

    Args:
        store: where it waits.
        destination: the target, and the headers of its requests.
        sender: sends them.
        holder: who holds the lease, a name of the caller's.
        settled: called when the fate of some items is known and noted in the store.
        goes_on: asked after each request.
        seconds: asked before each request how long it may take.
        refused_too: also what was refused before: somebody may have mended the reason.

    Raises:
        StoreUnavailable: the store cannot be used any more.
    """
    if not store.lease(destination.target, holder):
        return Drained(leased=False)
    done = Drained()
    if refused_too:
        store.reopen(destination.target)
    try:
        while not done.stuck and goes_on():
            items = store.take(destination.target, most=MOST_AT_ONCE, most_bytes=_MOST_BYTES)
            if not items:
                break
            for answer, group in destination.post(sender, items, seconds):
                done = _note(store, answer, group, done)
                if answer.outcome != LATER:
                    settled(answer, group)
                # The next request may end when the lease would have.
                if not store.lease(destination.target, holder):
                    return done
    finally:
        store.release(destination.target, holder)
    return done


def _note(store: Store, answer: Answer, group: Sequence[Stored], done: Drained) -> Drained:
    done = done._replace(last=answer)
    if answer.outcome == LATER:
        return done
    arrived = answer.outcome == TAKEN
    store.settle([item.id for item in group], DELIVERED if arrived else REFUSED)
    if not arrived:
        return done._replace(refused=done.refused + len(group))
    return done._replace(
        taken=done.taken + len(group) - answer.rejected, rejected=done.rejected + answer.rejected
    )
