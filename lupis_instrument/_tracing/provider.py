"""The provider of our tracers, whose spans may be left elsewhere than they were entered.

A task that is given up in the middle of a request, or a generator that the event loop finishes, is
closed in another context than it ran in. OpenTelemetry's own `start_as_current_span` logs "Failed
to detach context" then, for nothing: that context never saw the span.
"""

from __future__ import annotations

import functools
import inspect
from contextlib import ContextDecorator
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Callable, Sequence

from opentelemetry import trace
from opentelemetry.context import attach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind, Status, StatusCode

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import guarded
from lupis_instrument._tracing.context import detach_context
from lupis_instrument._tracing.sampling import RecordOnlySampler

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Link
    from opentelemetry.util.types import Attributes

    from lupis_instrument._tracing.processor import CallSpanProcessor


class SystemIdGenerator(IdGenerator):
    """Draws ids from the system: those of `random` are the program's, which may have seeded it."""

    def __init__(self) -> None:
        self._draw = SystemRandom().getrandbits

    def generate_span_id(self) -> int:
        """Return 64 bits, not all of them 0."""
        return self._draw(64) or self.generate_span_id()

    def generate_trace_id(self) -> int:
        """Return 128 bits, not all of them 0."""
        return self._draw(128) or self.generate_trace_id()

    def is_trace_id_random(self) -> bool:
        """Tell that all bits are."""
        return True


class LupisTracerProvider(TracerProvider):
    """Makes tracers whose spans `tracking` follows; never the global one.

    Attributes:
        is_lupis_provider: tells it from the program's.
    """

    is_lupis_provider = True

    def __init__(self, resource: Resource, tracking: CallSpanProcessor) -> None:
        super().__init__(
            resource=resource, shutdown_on_exit=False, id_generator=SystemIdGenerator()
        )
        self.sampler = RecordOnlySampler(self.sampler)
        self.add_span_processor(tracking)
        self._around = tracking.context_with_span

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        """Return a tracer for the scope that the arguments name."""
        return LupisTracer(super().get_tracer(*args, **kwargs), self._around)


class LupisTracer(trace.Tracer):
    """Makes the spans that another tracer makes."""

    def __init__(self, inner: trace.Tracer, around: Callable[[trace.Span], Context]) -> None:
        """Make spans with `inner`; `around` returns the context of the work a span stands for."""
        self._inner = inner
        self.around = around

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        """Start a span that is not current."""
        return self._inner.start_span(*args, **kwargs)

    def start_as_current_span(  # type: ignore[override] # noqa: PLR0917 - upstream's signature
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> CurrentSpanBlock:
        """Return what starts a span and has it current in its `with` block, or in a function."""
        start = functools.partial(
            self.start_span,
            name,
            context=context,
            kind=kind,
            attributes=attributes,
            links=links,
            start_time=start_time,
            record_exception=record_exception,
            set_status_on_exception=set_status_on_exception,
        )
        return CurrentSpanBlock(
            self,
            start,
            record_exception=record_exception,
            set_status=set_status_on_exception,
            end=end_on_exit,
        )


class CurrentSpanBlock(ContextDecorator):
    """A span that is current inside a `with` block, or while the function it decorates runs."""

    def __init__(
        self, tracer: LupisTracer, start: Callable[[], trace.Span], **options: bool
    ) -> None:
        self._tracer = tracer
        self._start = start
        self._options = options

    def _recreate_cm(self) -> CurrentSpanBlock:
        # A function that is decorated starts a span a call: contextlib asks for it by this name.
        return CurrentSpanBlock(self._tracer, self._start, **self._options)

    def __call__(self, function: Any) -> Any:
        """Decorate a function, or a coroutine function."""
        if not inspect.iscoroutinefunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        async def decorated(*args: Any, **kwargs: Any) -> Any:
            with self._recreate_cm():
                return await function(*args, **kwargs)

        return decorated

    def __enter__(self) -> trace.Span:
        self._span = self._start()
        inside = guarded("entering a span", self._tracer.around, self._span)
        self._token = attach(inside or trace.set_span_in_context(self._span))
        return self._span

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        detach_context(self._token)
        span: Any = self._span
        options = self._options
        if isinstance(error, Exception) and span.is_recording():
            if options["record_exception"]:
                span.record_exception(error)
            if options["set_status"]:
                span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        elif _gave_up(error) and span.kind is SpanKind.CLIENT:
            # Upstream's instrumentors tell of exceptions; a call that is cancelled failed as well.
            span.set_attribute(_semconv.ERROR_TYPE, type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR, type(error).__qualname__))
        if options["end"]:
            span.end()


def _gave_up(error: BaseException | None) -> bool:
    """Tell whether a task was cancelled, or the program interrupted."""
    return error is not None and not isinstance(error, (Exception, GeneratorExit))
