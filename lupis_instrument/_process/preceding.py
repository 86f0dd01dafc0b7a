"""Calls one function before another, in a way that a program does not notice."""

from __future__ import annotations

import os
from functools import update_wrapper

from lupis_instrument._diagnostics import internal_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable


def call_before(module: ModuleType | type, name: str, hook: Callable[..., None]) -> None:
    """Call `hook` before each call of a function of `module`, with the same arguments.

    Does nothing where the platform lacks the function.

    Args:
        module: the module or class whose attribute is replaced; a class has a static method there.
        name: the function's name there.
        hook: the function to call first; its errors are reported and go no further.
    """
    original = getattr(module, name, None)
    if original is None:
        return
    preceded = _PrecededFunction(original, hook)
    if original in os.supports_fd:
        os.supports_fd.add(preceded)
    setattr(module, name, preceded)


class _PrecededFunction:
    """A function with another one called before it.

    An instance, unlike a function, does not become a method where a program keeps it in a class.
    """

    def __init__(self, original: Callable[..., Any], hook: Callable[..., None]) -> None:
        update_wrapper(self, original)
        self._original = original
        self._hook = hook

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the hook, then the function."""
        with internal_errors("delivering before the process ends"):
            self._hook(*args, **kwargs)
        return self._original(*args, **kwargs)

    def __repr__(self) -> str:
        return repr(self._original)

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process that unpickles this gets its own original: `copy(original)` there.
        from copy import copy

        return copy, (self._original,)

    def __copy__(self) -> _PrecededFunction:
        return self

    def __deepcopy__(self, _: object) -> _PrecededFunction:
        return self
