"""Switches on a client's instrumentation at its first request, once, from whichever thread."""

from __future__ import annotations

import sys
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Callable, ContextManager

from lupis_instrument._diagnostics import internal_errors, report_fault
from lupis_instrument._instrumentation.suppression import (
    ContextKeys,
    Suppression,
    find_suppression,
    load_context_keys,
    return_span,
    unsuppressed,
)
from lupis_instrument._process.fork import on_fork
from lupis_instrument._process.kept_modules import kept_modules
from lupis_instrument._tracing.context import OUTER_CALL_KEY, use_context

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from lupis_instrument._instrumentation.wrapper import Wrapper
    from lupis_instrument._tracing.http_call import HttpCall
    from lupis_instrument._tracing.processor import CallSpanProcessor

_CONTEXT = "opentelemetry.context"


class CurrentCalls:
    """Gives access to the recorded calls that are being made; all clients share one object.

    They share it because urllib3 and requests make their calls through http.client.

    Attributes:
        find_original: returns the open span that a given span stands in for; the given span itself
            if it stands in for none.
        processor: the processor that follows the spans of calls; None before the first request,
            when nothing is recorded yet.
        context_keys: the keys by which spans are suppressed; None while OpenTelemetry is not
            loaded.
    """

    __slots__ = ("context_keys", "find_original", "processor")

    def __init__(self, find_original: Callable[[Any], Any] = return_span) -> None:
        self.find_original = find_original
        self.processor: CallSpanProcessor | None = None
        self.context_keys: ContextKeys | None = None

    def connect(self, processor: CallSpanProcessor) -> None:
        """Look up calls in `processor` from now on."""
        self.processor = processor


class Activation:
    """The state of one client's instrumentation, and the questions that its wrappers ask.

    Attributes:
        dormant: whether no request has been made yet.
        wrappers: the wrapped methods, behind which the instrumentor goes.
        tracer: makes the spans of a client without an instrumentor; None while it is off.
    """

    def __init__(
        self,
        activate: Callable[[], object],
        calls: CurrentCalls,
        load: Callable[[], object] = bool,
    ) -> None:
        """Leave the client's instrumentation off for now.

        Args:
            activate: loads the runtime, connects `calls` to it, and puts the instrumentor behind
                the wrappers.
            calls: the calls being made, the same object for all clients.
            load: called before `activate`; other greenlets may run meanwhile, and end the call.
        """
        self._load = load
        self._activate = activate
        self._calls = calls
        self.wrappers: list[Wrapper] = []
        self.tracer: Tracer | None = None
        self.dormant = True
        self._activating = False
        self._locks: dict[str, Any] = {}
        """The lock that is held while the client is activated; none before and after.

        Made by the first request: the program may have greenlets by then, which need a lock of
        their own kind. eventlet complains about an older one.
        """
        # A thread of the parent may be activating during a fork; the child does not have it.
        on_fork(after_in_child=self._reset_lock)

    def _reset_lock(self) -> None:
        self._locks.clear()
        self._activating = False

    def begin_request(self) -> bool:
        """Switch the instrumentation on, if this is the first request and spans are wanted.

        Returns:
            Whether an outer instrumentor, not one of this package, suppresses the call's span. Make
            the call inside `unsuppressed` then.
        """
        try:
            suppression = self._find_suppression()
            if suppression is not Suppression.ALL and self.dormant and has_stack_room():
                with internal_errors("switching on an instrumentation"):
                    self._activate_once()
                # OpenTelemetry is loaded only now, and with it the means to suppress spans.
                suppression = self._find_suppression()
            return suppression is Suppression.OUTER
        except Exception as fault:
            report_fault("finding who records a call", fault)
            return False

    def _find_suppression(self) -> Suppression:
        calls = self._calls
        keys = calls.context_keys
        if keys is None:
            keys = calls.context_keys = load_context_keys()
        if keys is None or keys.all.isdisjoint(keys.get_current()):
            return Suppression.NONE  # as in most calls, without asking further
        suppression = find_suppression(calls.find_original)
        if suppression is Suppression.OUTER and calls.processor is not None:
            # An instrumentor of this package that has made a span suppresses further spans.
            return Suppression.ALL if calls.processor.has_open_call() else suppression
        return suppression

    def _activate_once(self) -> None:
        with self._locks.setdefault("lock", threading.RLock()):
            if self._activating or not self.dormant:
                # The program's import hooks may make a request while this thread imports.
                return
            self._activating = True
            try:
                self._load()
                try:
                    self._activate()
                finally:
                    self.dormant = False
                    self._locks.clear()
            finally:
                self._activating = False

    def unsuppressed(self) -> ContextManager[None]:
        """Return a context manager inside which outer instrumentors suppress nothing."""
        try:
            return unsuppressed()
        except Exception as fault:
            report_fault("lifting a suppression", fault)
            return nullcontext()

    def current_context(self) -> Context | None:
        """Return the current context; None where OpenTelemetry is not loaded, so it is empty."""
        keys = self._calls.context_keys
        if keys is None:
            module = kept_modules.get(_CONTEXT) or sys.modules.get(_CONTEXT)
            get_current = getattr(module, "get_current", None)
        else:
            get_current = keys.get_current
        try:
            return get_current() if get_current is not None else None
        except Exception as fault:
            report_fault("reading the context", fault)
            return None

    def is_inner_call(self, context: Context) -> bool:
        """Return whether a call made in `context` is a part of another call under way.

        The instrumentor of the outer call records both.
        """
        outer = context.get(OUTER_CALL_KEY)
        return outer is not None and not outer.ended  # type: ignore[attr-defined]

    def client_context(self, caller_context: Context | None) -> Context | None:
        """Return the context for the client's own work on the current call.

        Args:
            caller_context: the context that the program makes the call in.

        Returns:
            `caller_context` with the span of the call kept beside the program's own span; None if
            the call has no span.
        """
        processor, keys = self._calls.processor, self._calls.context_keys
        if caller_context is None or processor is None:
            return None
        try:
            return processor.client_context(caller_context, keys.all if keys is not None else ())
        except Exception as fault:
            report_fault("leaving a span", fault)
            return None

    def use_client_context(self, caller_context: Context | None) -> ContextManager[None]:
        """Return a context manager inside which `client_context` is current."""
        context = self.client_context(caller_context)
        return use_context(context) if context is not None else nullcontext()

    def current_call(self) -> HttpCall | None:
        """Return the HTTP call being made, if it is recorded."""
        processor = self._calls.processor
        try:
            return processor.current_http_call() if processor is not None else None
        except Exception as fault:
            report_fault("finding the current call", fault)
            return None

    def has_open_call(self) -> bool:
        """Return whether the call being made has a span of this package."""
        processor = self._calls.processor
        try:
            return processor is not None and processor.has_open_call()
        except Exception as fault:
            report_fault("finding the current call", fault)
            return True

    def find_call(self, span: Span) -> HttpCall | None:
        """Return the call that a span reports, if it is recorded."""
        processor = self._calls.processor
        state = processor.find_state(span) if processor is not None else None
        return state.http_call if state is not None else None


_MIN_FREE_FRAMES = 300
"""Frames that importing the runtime may need below the current one."""


def has_stack_room() -> bool:
    """Return whether the stack has room for imports; if not, a later call may have."""
    depth, frame = 0, sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    return sys.getrecursionlimit() - depth > _MIN_FREE_FRAMES
