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

    from lupis_instrument._instrumentation.activation import Activation

_RECORDING = "recording a call"


class Wrapper:
    """Stands in a class in the place of one of its functions.

    Attributes:
        activation: of the client.
        owner: the class.
        name: of the function.
        inside: the client's function, which notes that it was reached.
    """

    __slots__ = ("_behind", "activation", "inside", "name", "owner")

    def __init__(self, activation: Activation, owner: Any, name: str) -> None:
        self.activation = activation
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


class CallGuard:
    """One call through a door: keeps faults of the instrumentor behind it from the program.

    An instrumentor looks at what a program passes before the client does, and may trip over what
    the client would have refused, or taken, in its own way; requests' looks at the method of a
    request that was not prepared. What counts is what the client's function did.
    """

    __slots__ = (
        "_caller",
        "_context",
        "_error",
        "_outer",
        "_result",
        "_tripped",
        "_wrapper",
        "reached",
    )  # fmt: skip

    def __init__(self, wrapper: Wrapper, context: Context | None) -> None:
        self._wrapper = wrapper
        self._context = context
        self._outer: CallGuard | None = None
        self._caller: FrameType | None = None
        self._error: BaseException | None = None
        self._result: Any = None
        self._tripped = ""
        self.reached = False

    @staticmethod
    def through(wrapper: Wrapper) -> CallGuard | None:
        """Return the call under way through `wrapper`, if it has not come to its inside yet."""
        guard = _passing.get()
        if guard is None or guard._wrapper is not wrapper or guard.reached:
            return None
        guard.reached = True
        guard._caller = sys._getframe(2)
        return guard

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
        return self._wrapper.activation.apart(self._context)

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


_passing: ContextVar[CallGuard | None] = ContextVar("lupis_passage", default=None)


def wrap_method(
    activation: Activation,
    owner: Any,
    name: str,
    inside: Callable[..., Any] | None = None,
    *,
    begins: bool = True,
) -> None:
    """Replace `owner.name` by a wrapper; behind it lies `inside`, or what was there.

    Where a call `begins`, and nowhere else, the gate is opened.
    """
    original = getattr(owner, name)
    function = inside or original
    wrapper = Wrapper(activation, owner, name)

    @functools.wraps(function)
    def reach(self: Any, *args: Any, **kwargs: Any) -> Any:
        guard = CallGuard.through(wrapper)
        if guard is None:
            return function(self, *args, **kwargs)
        try:
            with guard.apart():
                return guard.returned(function(self, *args, **kwargs))
        except BaseException as error:
            guard.raised(error)
            raise

    def go(self: Any, before: Context | None, args: Any, kwargs: Any) -> Any:
        behind = wrapper.to(self)
        guard = CallGuard(wrapper, activation.here() if before is None else before)
        with guard:
            return behind(*args, **kwargs)
        if guard.reached:
            return guard.end()
        return guard.missed(function(self, *args, **kwargs))

    @functools.wraps(original)
    def enter(self: Any, *args: Any, **kwargs: Any) -> Any:
        if activation.dormant and not begins:
            return function(self, *args, **kwargs)
        before = activation.here()
        if before is not None and activation.below(before):
            return function(self, *args, **kwargs)
        if not activation.enter():
            return go(self, before, args, kwargs)
        with activation.lifted():
            return go(self, before, args, kwargs)

    _put(wrapper, reach, enter)


def wrap_async_method(
    activation: Activation, owner: Any, name: str, inside: Callable[..., Any]
) -> None:
    """Do what `wrap_method` does for a coroutine function."""
    wrapper = Wrapper(activation, owner, name)

    @functools.wraps(inside)
    async def reach(self: Any, *args: Any, **kwargs: Any) -> Any:
        guard = CallGuard.through(wrapper)
        if guard is None:
            return await inside(self, *args, **kwargs)
        try:
            with guard.apart():
                return guard.returned(await inside(self, *args, **kwargs))
        except BaseException as error:
            guard.raised(error)
            raise

    async def go(self: Any, before: Context | None, args: Any, kwargs: Any) -> Any:
        behind = wrapper.to(self)
        guard = CallGuard(wrapper, activation.here() if before is None else before)
        with guard:
            return await behind(*args, **kwargs)
        if guard.reached:
            return guard.end()
        return guard.missed(await inside(self, *args, **kwargs))

    @functools.wraps(getattr(owner, name))
    async def enter(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = activation.here()
        if before is not None and activation.below(before):
            return await inside(self, *args, **kwargs)
        if not activation.enter():
            return await go(self, before, args, kwargs)
        with activation.lifted():
            return await go(self, before, args, kwargs)

    _put(wrapper, reach, enter)


def _put(wrapper: Wrapper, reach: Callable[..., Any], enter: Callable[..., Any]) -> None:
    wrapper.close(reach)
    wrapper.activation.wrappers.append(wrapper)
    setattr(wrapper.owner, wrapper.name, enter)


@contextmanager
def unhinged(wrappers: Sequence[Wrapper]) -> Iterator[None]:
    """Have what the block does to the functions of `wrappers` done behind them."""
    outside = [vars(wrapper.owner)[wrapper.name] for wrapper in wrappers]
    for wrapper in wrappers:
        setattr(wrapper.owner, wrapper.name, wrapper.inside)
    try:
        yield
        for wrapper in wrappers:
            wrapper.lead_to(vars(wrapper.owner)[wrapper.name])
    finally:
        for wrapper, found in zip(wrappers, outside):
            setattr(wrapper.owner, wrapper.name, found)
