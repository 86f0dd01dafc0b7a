"""Doors: the functions of a client that its calls come through, and what lies behind them.

An instrumentor wraps a function by replacing it in its class. So does the program's own, or another
agent's, and each takes what it finds there for the client's. With a door in that place, ours is
laid behind it: whatever was wrapped around the function before or is later stays where it is, is
called once a call, and can be taken off again. What is wrapped around may be another instrumentor,
which has those below it keep quiet; behind the door that does not count.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Iterator, Sequence

if TYPE_CHECKING:
    from lupis_instrument._instrumentation.gate import Gate


class Door:
    """Stands in a class in the place of one of its functions."""

    __slots__ = ("_behind", "inside", "name", "owner")

    def __init__(self, owner: Any, name: str, inside: Callable[..., Any]) -> None:
        self.owner = owner
        self.name = name
        self.inside = self._behind = inside

    def to(self, instance: Any) -> Callable[..., Any]:
        """Return what a call made on `instance` is to reach, once it has entered the gate."""
        bound: Callable[..., Any] = self._behind.__get__(instance, type(instance))
        return bound

    def lead_to(self, behind: Any) -> None:
        """Have calls go to `behind` from now on."""
        self._behind = behind


def hang(gate: Gate, owner: Any, name: str, inside: Callable[..., Any] | None = None) -> None:
    """Put a door of `gate` in the place of `owner.name`; behind it lies `inside`, or what was."""
    original = getattr(owner, name)
    door = Door(owner, name, inside or original)

    @functools.wraps(original)
    def enter(self: Any, *args: Any, **kwargs: Any) -> Any:
        outranked = gate.enter()
        behind = door.to(self)
        if not outranked:
            return behind(*args, **kwargs)
        with gate.lifted():
            return behind(*args, **kwargs)

    gate.doors.append(door)
    setattr(owner, name, enter)


def hang_async(gate: Gate, owner: Any, name: str, inside: Callable[..., Any]) -> None:
    """Do what `hang` does for a coroutine function."""
    original = getattr(owner, name)
    door = Door(owner, name, inside)

    @functools.wraps(original)
    async def enter(self: Any, *args: Any, **kwargs: Any) -> Any:
        outranked = gate.enter()
        behind = door.to(self)
        if not outranked:
            return await behind(*args, **kwargs)
        with gate.lifted():
            return await behind(*args, **kwargs)

    gate.doors.append(door)
    setattr(owner, name, enter)


@contextmanager
def unhinged(doors: Sequence[Door]) -> Iterator[None]:
    """Have what the block does to the functions of `doors` done behind them."""
    outside = [vars(door.owner)[door.name] for door in doors]
    for door in doors:
        setattr(door.owner, door.name, door.inside)
    try:
        yield
        for door in doors:
            door.lead_to(vars(door.owner)[door.name])
    finally:
        for door, found in zip(doors, outside):
            setattr(door.owner, door.name, found)
