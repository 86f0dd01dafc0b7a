"""A replaced method of a client, and the place behind it where an instrumentor goes.

An instrumentor wraps a function by replacing it in its class. So do the program and other agents,
and each takes the function that it finds there for the client's own. With a `Wrapper` in the class,
the instrumentor of this package goes behind it instead. So the wrappers of the program and of other
agents stay in the class, run once a call, and can be removed again, in any order.

    class attribute ──▶ entry ──▶ instrumentor (once activated) ──▶ call_client
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Iterator, Sequence


class Wrapper:
    """Replaces one method of a class.

    Attributes:
        owner: the class.
        name: the name of the method.
        call_client: calls the client's own function, and notes that a call has reached it.
        target: the function that a call goes to: an instrumentor's, or `call_client`.
    """

    __slots__ = ("call_client", "name", "owner", "target")

    def __init__(self, owner: Any, name: str, call_client: Callable[..., Any]) -> None:
        self.owner = owner
        self.name = name
        self.call_client = call_client
        self.target: Any = call_client

    def install_entry(self, entry: Callable[..., Any]) -> None:
        """Put `entry` into the class in place of the method."""
        setattr(self.owner, self.name, entry)


@contextmanager
def unwrapped(wrappers: Sequence[Wrapper]) -> Iterator[None]:
    """Show the client's own functions in the block; functions put in their place become targets.

    An instrumentor that runs in the block finds the class as if nobody had wrapped its methods.
    Afterwards each class has its former function again, which leads to the instrumentor's. Calls of
    other threads find the exposed functions too, so `call_client` has to send them back.
    """
    outside = [vars(wrapper.owner)[wrapper.name] for wrapper in wrappers]
    for wrapper in wrappers:
        setattr(wrapper.owner, wrapper.name, wrapper.call_client)
    try:
        yield
        for wrapper in wrappers:
            wrapper.target = vars(wrapper.owner)[wrapper.name]
    finally:
        for wrapper, function in zip(wrappers, outside):
            setattr(wrapper.owner, wrapper.name, function)
