"""Doors: the functions of a client that its calls come through, and what lies behind them.

An instrumentor wraps a function by replacing it in its class. So does the program's own, or another
agent's, and each takes what it finds there for the client's. With a door in that place, ours is
laid behind it: whatever was wrapped around the function before or is later stays where it is, is
called once a call, and can be taken off again. What is wrapped around may be another instrumentor,
which has those below it keep quiet; behind the door that does not count.
"""

from __future__ import annotations

import functools
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Callable, ContextManager, Iterator, Sequence

from lupis_instrument._diagnostics import describe, report_fault, warn

if TYPE_CHECKING:
    from types import FrameType

    from opentelemetry.context import Context

    from lupis_instrument._instrumentation.activation import Gate

_RECORDING = "recording a call"


class Door:
    """Stands in a class in the place of one of its functions.

    Attributes:
        gate: of the client.
        owner: the class.
        name: of the function.
        inside: the client's function, which notes that it was reached.
    """

    __slots__ = ("_behind", "gate", "inside", "name", "owner")

    def __init__(self, gate: Gate, owner: Any, name: str) -> None:
        self.gate = gate
        self.owner = owner
        self.name = name

    def lead_to(self, behind: Any) -> None:
        """Have calls go to `behind` from now on."""
        self._behind = behind

    def close(self, inside: Callable[..., Any]) -> None:
        """Lead to the client's function, and nothing before it."""
        self.inside = self._behind = inside

    def to(self, instance: Any) -> Callable[..., Any]:
        """Return what a call made on `instance` is to reach, once it has entered the gate."""
        bound: Callable[..., Any] = self._behind.__get__(instance, type(instance))
        return bound


class Passage:
    """One call through a door: keeps faults of the instrumentor behind it from the program.

    An instrumentor looks at what a program passes before the client does, and may trip over what
    the client would have refused, or taken, in its own way; requests' looks at the method of a
    request that was not prepared. What counts is what the client's function did.
    """

    __slots__ = (
        "_caller", "_context", "_door", "_error", "_outer", "_result", "_tripped", "reached",
    )  # fmt: skip

    def __init__(self, door: Door, context: Context | None) -> None:
        self._door = door
        self._context = context
        self._outer: Passage | None = None
        self._caller: FrameType | None = None
        self._error: BaseException | None = None
        self._result: Any = None
        self._tripped = ""
        self.reached = False

    @staticmethod
    def through(door: Door) -> Passage | None:
        """Return the call under way through `door`, if it has not come to its inside yet."""
        passage = _passing.get()
        if passage is None or passage._door is not door or passage.reached:
            return None
        passage.reached = True
        passage._caller = sys._getframe(2)
        return passage

    def __enter__(self) -> None:
        self._outer = _passing.get()
        _passing.set(self)

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> bool:
        _passing.set(self._outer)  # not reset: nobody knows in which context a coroutine ends
        if error is None:
            self._leave_nothing()
        if error is None or error is self._error or not isinstance(error, Exception):
            # A frame of its traceback has us: no cycles.
            self._error = self._result = self._caller = None
            return False
        if self.reached:
            report_fault(_RECORDING, error)
        else:  # without the fault itself, which has us
            self._tripped = describe(_RECORDING, error)
        return True

    def _leave_nothing(self) -> None:
        """Have the frames of the instrumentor, which are over, keep no response alive.

        An error that the client has dealt with keeps the frame it was raised in, and that one all
        frames around it, until the garbage is collected; but for us the response would be closed
        when the program lets go of it.
        """
        frame, self._caller = self._caller, None
        try:
            while frame is not None:
                frame.clear()
                frame = frame.f_back
        except RuntimeError:
            pass  # it still runs, and is ours

    def apart(self) -> ContextManager[None]:
        """Return a context manager inside which the client's function is called."""
        return self._door.gate.apart(self._context)

    def returned(self, result: Any) -> Any:
        """Note and return what the client's function returned."""
        self._result = result
        return result

    def raised(self, error: BaseException) -> None:
        """Note what it raised."""
        self._error = error

    def missed(self, result: Any) -> Any:
        """Return `result`, which the client had for what the instrumentor tripped over."""
        warn(self._tripped)
        return result

    def end(self) -> Any:
        """Return what it returned, or raise what it raised."""
        error, self._error = self._error, None
        if error is None:
            return self._result
        try:
            raise error
        finally:
            del error


_passing: ContextVar[Passage | None] = ContextVar("lupis_passage", default=None)


def hang(
    gate: Gate,
    owner: Any,
    name: str,
    inside: Callable[..., Any] | None = None,
    *,
    begins: bool = True,
) -> None:
    """Put a door of `gate` in the place of `owner.name`; behind it lies `inside`, or what was.

    Where a call `begins`, and nowhere else, the gate is opened.
    """
    original = getattr(owner, name)
    function = inside or original
    door = Door(gate, owner, name)

    @functools.wraps(function)
    def reach(self: Any, *args: Any, **kwargs: Any) -> Any:
        passage = Passage.through(door)
        if passage is None:
            return function(self, *args, **kwargs)
        try:
            with passage.apart():
                return passage.returned(function(self, *args, **kwargs))
        except BaseException as error:
            passage.raised(error)
            raise

    def go(self: Any, before: Context | None, args: Any, kwargs: Any) -> Any:
        behind = door.to(self)
        passage = Passage(door, gate.here() if before is None else before)
        with passage:
            return behind(*args, **kwargs)
        if passage.reached:
            return passage.end()
        return passage.missed(function(self, *args, **kwargs))

    @functools.wraps(original)
    def enter(self: Any, *args: Any, **kwargs: Any) -> Any:
        if gate.dormant and not begins:
            return function(self, *args, **kwargs)
        before = gate.here()
        if before is not None and gate.below(before):
            return function(self, *args, **kwargs)
        if not gate.enter():
            return go(self, before, args, kwargs)
        with gate.lifted():
            return go(self, before, args, kwargs)

    _put(door, reach, enter)


def hang_async(gate: Gate, owner: Any, name: str, inside: Callable[..., Any]) -> None:
    """Do what `hang` does for a coroutine function."""
    door = Door(gate, owner, name)

    @functools.wraps(inside)
    async def reach(self: Any, *args: Any, **kwargs: Any) -> Any:
        passage = Passage.through(door)
        if passage is None:
            return await inside(self, *args, **kwargs)
        try:
            with passage.apart():
                return passage.returned(await inside(self, *args, **kwargs))
        except BaseException as error:
            passage.raised(error)
            raise

    async def go(self: Any, before: Context | None, args: Any, kwargs: Any) -> Any:
        behind = door.to(self)
        passage = Passage(door, gate.here() if before is None else before)
        with passage:
            return await behind(*args, **kwargs)
        if passage.reached:
            return passage.end()
        return passage.missed(await inside(self, *args, **kwargs))

    @functools.wraps(getattr(owner, name))
    async def enter(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = gate.here()
        if before is not None and gate.below(before):
            return await inside(self, *args, **kwargs)
        if not gate.enter():
            return await go(self, before, args, kwargs)
        with gate.lifted():
            return await go(self, before, args, kwargs)

    _put(door, reach, enter)


def _put(door: Door, reach: Callable[..., Any], enter: Callable[..., Any]) -> None:
    door.close(reach)
    door.gate.doors.append(door)
    setattr(door.owner, door.name, enter)


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
