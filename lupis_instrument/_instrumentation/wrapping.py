"""Wraps the methods through which a client makes its calls; see `wrapper` for the layers.

A call passes four functions:

1. `start_call`, which is in the class, makes the first request activate the instrumentation and
   lifts the suppression by outer instrumentors.
2. `call_target` calls the instrumentor under a guard, `CallGuard`.
3. The instrumentor starts its span, and calls the function that it found in the class.
4. That function is `call_client`. It marks the guard as reached, and calls the client's own
   function in the context of the program.

While one thread activates the client, its class shows `call_client` to the instrumentor
(`wrapper.unwrapped`), and so to calls of other threads. Such a call has no guard and no span: it
goes back to `start_call`, which waits for the activation.
"""

from __future__ import annotations

import functools
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Callable

from lupis_instrument._diagnostics import describe_fault, report_fault, warn
from lupis_instrument._instrumentation.wrapper import Wrapper

if TYPE_CHECKING:
    from types import FrameType

    from opentelemetry.context import Context

    from lupis_instrument._instrumentation.activation import Activation

_RECORDING = "recording a call"


class CallGuard:
    """One call through a wrapper: keeps faults of the instrumentor from the program.

    An instrumentor looks at the arguments before the client does. It may fail with arguments that
    the client would refuse, or accept, in its own manner: requests' instrumentor reads the method
    of a request that was not prepared. The program gets only the outcome of the client's function.

    Attributes:
        caller_context: the context that the program makes the call in; None if it is empty.
        reached: whether the instrumentor has called the client's function.
    """

    __slots__ = (
        "_client_error",
        "_client_result",
        "_fault_message",
        "_instrumentor_frame",
        "_outer_guard",
        "_wrapper",
        "caller_context",
        "reached",
    )

    def __init__(self, wrapper: Wrapper, caller_context: Context | None) -> None:
        self._wrapper = wrapper
        self.caller_context = caller_context
        self._outer_guard: CallGuard | None = None
        self._instrumentor_frame: FrameType | None = None
        self._client_error: BaseException | None = None
        self._client_result: Any = None
        self._fault_message = ""
        self.reached = False

    @staticmethod
    def is_under_way(wrapper: Wrapper) -> bool:
        """Return whether the innermost call under way goes through `wrapper`."""
        guard = _current_guard.get()
        return guard is not None and guard._wrapper is wrapper

    @staticmethod
    def mark_reached(wrapper: Wrapper) -> CallGuard | None:
        """Return the guard of the call under way through `wrapper`, marked as reached.

        None if there is no such call, or if it was marked before: the client's function then calls
        itself, as it may for a redirect.
        """
        guard = _current_guard.get()
        if guard is None or guard._wrapper is not wrapper or guard.reached:
            return None
        guard.reached = True
        guard._instrumentor_frame = sys._getframe(2)  # 0 is this function, 1 is `call_client`
        return guard

    def __enter__(self) -> None:
        self._outer_guard = _current_guard.get()
        _current_guard.set(self)

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> bool:
        # Not reset by a token: a coroutine may end in another context than it began in.
        _current_guard.set(self._outer_guard)
        if error is None:
            self._clear_frames()
        if error is None or error is self._client_error or not isinstance(error, Exception):
            # A frame of the error's traceback refers to this object: break the cycle.
            self._client_error = self._client_result = self._instrumentor_frame = None
            return False
        if self.reached:
            report_fault(_RECORDING, error)
        else:  # only the text: the fault's traceback refers to this object
            self._fault_message = describe_fault(_RECORDING, error)
        return True

    def _clear_frames(self) -> None:
        """Clear the frames of the instrumentor, which has returned, to keep no response alive.

        An error that the client has handled keeps the frame it was raised in, and that one keeps
        all outer frames, until the garbage is collected. Without the instrumentor's frames, the
        response would be closed as soon as the program lets go of it.
        """
        frame, self._instrumentor_frame = self._instrumentor_frame, None
        try:
            while frame is not None:
                frame.clear()  # raises RuntimeError for a frame that still runs
                frame = frame.f_back
        except RuntimeError:
            pass  # `call_target` of this module, which called the instrumentor

    def keep_result(self, result: Any) -> Any:
        """Keep and return the result of the client's function."""
        self._client_result = result
        return result

    def keep_error(self, error: BaseException) -> None:
        """Keep the error that the client's function raised."""
        self._client_error = error

    def report_missed(self, result: Any) -> Any:
        """Report that the instrumentor failed before the client's function was called.

        Args:
            result: the result of the client's function, called without the instrumentor.

        Returns:
            `result`.
        """
        warn(self._fault_message)
        return result

    def repeat_outcome(self) -> Any:
        """Return the client's result or raise the client's error, after the instrumentor failed."""
        error, self._client_error = self._client_error, None
        if error is None:
            return self._client_result
        try:
            raise error
        finally:
            del error


_current_guard: ContextVar[CallGuard | None] = ContextVar("lupis_call_guard", default=None)


def wrap_method(
    activation: Activation,
    owner: Any,
    name: str,
    function: Callable[..., Any] | None = None,
    *,
    begins_call: bool = True,
) -> None:
    """Wrap the method `name` of the class `owner`.

    Args:
        activation: the client's instrumentation.
        owner: the class.
        name: the name of the method.
        function: the function to call in place of the method, which calls the method itself.
        begins_call: whether a call of this method begins a request. Only then may it activate the
            instrumentation.
    """
    original = getattr(owner, name)
    client_function = function or original

    @functools.wraps(client_function)
    def call_client(self: Any, *args: Any, **kwargs: Any) -> Any:
        guard = CallGuard.mark_reached(wrapper)
        if guard is None:
            starts = not (CallGuard.is_under_way(wrapper) or activation.has_open_call())
            return (start_call if starts else client_function)(self, *args, **kwargs)
        try:
            with activation.use_client_context(guard.caller_context):
                return guard.keep_result(client_function(self, *args, **kwargs))
        except BaseException as error:
            guard.keep_error(error)
            raise

    def call_target(self: Any, caller_context: Context | None, args: Any, kwargs: Any) -> Any:
        target = wrapper.target.__get__(self, type(self))
        # Where OpenTelemetry was not loaded before this call, it may be now.
        context = activation.current_context() if caller_context is None else caller_context
        guard = CallGuard(wrapper, context)
        with guard:
            return target(*args, **kwargs)
        if guard.reached:
            return guard.repeat_outcome()
        return guard.report_missed(client_function(self, *args, **kwargs))

    @functools.wraps(original)
    def start_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if activation.dormant and not begins_call:
            return client_function(self, *args, **kwargs)
        context = activation.current_context()
        if context and activation.is_inner_call(context):
            return client_function(self, *args, **kwargs)
        if not activation.begin_request():
            return call_target(self, context, args, kwargs)
        with activation.unsuppressed():
            return call_target(self, context, args, kwargs)

    wrapper = Wrapper(owner, name, call_client)
    _install_wrapper(activation, wrapper, start_call)


def wrap_async_method(
    activation: Activation, owner: Any, name: str, function: Callable[..., Any]
) -> None:
    """Wrap a coroutine function like `wrap_method` wraps a function; the arguments are the same."""

    @functools.wraps(function)
    async def call_client(self: Any, *args: Any, **kwargs: Any) -> Any:
        guard = CallGuard.mark_reached(wrapper)
        if guard is None:
            starts = not (CallGuard.is_under_way(wrapper) or activation.has_open_call())
            return await (start_call if starts else function)(self, *args, **kwargs)
        try:
            with activation.use_client_context(guard.caller_context):
                return guard.keep_result(await function(self, *args, **kwargs))
        except BaseException as error:
            guard.keep_error(error)
            raise

    async def call_target(self: Any, caller_context: Context | None, args: Any, kwargs: Any) -> Any:
        target = wrapper.target.__get__(self, type(self))
        context = activation.current_context() if caller_context is None else caller_context
        guard = CallGuard(wrapper, context)
        with guard:
            return await target(*args, **kwargs)
        if guard.reached:
            return guard.repeat_outcome()
        return guard.report_missed(await function(self, *args, **kwargs))

    @functools.wraps(getattr(owner, name))
    async def start_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        context = activation.current_context()
        if context and activation.is_inner_call(context):
            return await function(self, *args, **kwargs)
        if not activation.begin_request():
            return await call_target(self, context, args, kwargs)
        with activation.unsuppressed():
            return await call_target(self, context, args, kwargs)

    wrapper = Wrapper(owner, name, call_client)
    _install_wrapper(activation, wrapper, start_call)


def _install_wrapper(
    activation: Activation, wrapper: Wrapper, start_call: Callable[..., Any]
) -> None:
    activation.wrappers.append(wrapper)
    wrapper.install_entry(start_call)
