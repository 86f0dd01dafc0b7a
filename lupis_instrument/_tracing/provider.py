"""The tracer provider of this package: its sampler, its ids, and the blocks of current spans.

Its spans may be left in another context than they were entered in. A task that is cancelled in the
middle of a request, or a generator that the event loop finishes, is closed in another context than
it ran in. OpenTelemetry's own `start_as_current_span` logs "Failed to detach context" then, without
need: that context never saw the span.
"""

from __future__ import annotations

import functools
import inspect
from contextlib import ContextDecorator
from os import urandom
from struct import unpack
from time import time_ns
from typing import TYPE_CHECKING, Any, Callable, Sequence

from opentelemetry import trace
from opentelemetry.context import attach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind, Status, StatusCode

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import internal_errors, report_fault
from lupis_instrument._process.fork import on_fork
from lupis_instrument._tracing.call_span import HTTP_MARKS, CallSpanFactory, has_defaults
from lupis_instrument._tracing.context import detach_context

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Link, TraceState
    from opentelemetry.util.types import Attributes

    from lupis_instrument._tracing.processor import CallSpanProcessor


class RecordOnlySampler(Sampler):
    """Decides as another sampler does, but records the CLIENT spans that it drops.

    The instrumentors of opentelemetry-python add trace headers for dropped spans too, and only a
    recorded span tells which host its headers would go to. Its sampled flag stays off, so it is
    not exported.
    """

    def __init__(self, inner: Sampler) -> None:
        """Wrap the sampler `inner`."""
        self._inner = inner

    def should_sample(  # noqa: PLR0917 - the SDK's
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Return the decision on a span that starts."""
        parent_span = trace.get_current_span(parent_context)
        parent = parent_span.get_span_context()
        is_dropped = parent.is_valid and not parent.is_remote and not parent.trace_flags.sampled
        if is_dropped and not isinstance(parent_span, DroppedSpan):
            # The program's own provider dropped the span around this one, which is a decision
            # about its backend alone. Without a parent, a sampler decides by the trace id, and so
            # repeats the decision for a parent of this provider.
            parent_context = trace.set_span_in_context(trace.INVALID_SPAN, parent_context)
        options: Any = (kind, attributes, links, trace_state)
        result = self._inner.should_sample(parent_context, trace_id, name, *options)
        if kind is not SpanKind.CLIENT or result.decision is not Decision.DROP:
            return result
        # The span gets the attributes of the result and no others.
        return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)

    def get_description(self) -> str:
        """Return the description of the wrapped sampler."""
        return self._inner.get_description()


class SystemIdGenerator(IdGenerator):
    """Draws ids from the operating system; the program may have seeded the `random` module."""

    def generate_span_id(self) -> int:
        """Return 64 random bits, not all of them 0."""
        while True:
            try:
                # The time differs where the numbers don't: several copies of a process may start
                # from one snapshot (AWS Lambda SnapStart, CRIU).
                number = _random_numbers.pop() ^ time_ns()
            except IndexError:
                # Many at once: the system call lets other threads run, and would cost each call
                # more than all of its span.
                _random_numbers.extend(unpack(f"{_DRAWN}Q", urandom(8 * _DRAWN)))
                continue
            if number:
                return number

    def generate_trace_id(self) -> int:
        """Return 128 random bits, not all of them 0."""
        return self.generate_span_id() << 64 | self.generate_span_id()

    def is_trace_id_random(self) -> bool:
        """Return True: every bit of a trace id is random."""
        return True


_DRAWN = 128
"""Random numbers that are drawn at once."""
_random_numbers: list[int] = []
"""Random numbers of 64 bits; a forked child draws its own."""
on_fork(before=_random_numbers.clear, after_in_child=_random_numbers.clear)


class LupisTracerProvider(TracerProvider):
    """Makes tracers whose spans a `CallSpanProcessor` follows; never the global provider.

    Attributes:
        is_lupis_provider: marks it among the tracer providers of the program.
        root_spans: the span of the process, if it has one; other spans without a parent are below.
    """

    is_lupis_provider = True

    def __init__(self, resource: Resource, processor: CallSpanProcessor) -> None:
        super().__init__(
            resource=resource, shutdown_on_exit=False, id_generator=SystemIdGenerator()
        )
        self._make_call_spans: Callable[..., CallSpanFactory] | None = None
        if has_defaults(self.sampler):
            self._make_call_spans = functools.partial(
                CallSpanFactory, processor, resource, self.id_generator
            )
        self.sampler = RecordOnlySampler(self.sampler)
        self.add_span_processor(processor)
        self._context_with_span = processor.context_with_span
        self.root_spans: list[trace.Span] = []

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> trace.Tracer:
        """Return a tracer for the scope that the arguments name."""
        names = (instrumenting_module_name, instrumenting_library_version, schema_url)
        # Not before SDK 1.30 a scope has attributes.
        scope: tuple[Any, ...] = (*names, attributes) if attributes else names
        inner = super().get_tracer(*scope)
        call_spans = None
        if self._make_call_spans is not None and not isinstance(inner, trace.NoOpTracer):
            call_spans = self._make_call_spans(InstrumentationScope(*scope))
        return LupisTracer(inner, self._context_with_span, self.root_spans, call_spans)

    def make_native_tracer(self, *scope: Any) -> NativeTracer:
        """Return a tracer for a library that makes spans by OpenTelemetry's API alone."""
        inner = super().get_tracer(*scope)
        return NativeTracer(inner, self._context_with_span, self.root_spans)


class LupisTracer(trace.Tracer):
    """Makes spans with another tracer. Their `with` blocks may be left in another context."""

    def __init__(
        self,
        inner: trace.Tracer,
        context_with_span: Callable[[trace.Span], Context],
        root_spans: Sequence[trace.Span] = (),
        call_spans: CallSpanFactory | None = None,
    ) -> None:
        """Wrap a tracer.

        Args:
            inner: the tracer that starts the spans.
            context_with_span: returns the context for the work that a span stands for.
            root_spans: the span of the process, if it has one.
            call_spans: starts the spans of HTTP calls; None to leave them to `inner`.
        """
        self._inner = inner
        self.context_with_span = context_with_span
        self._root_spans = root_spans
        self._call_spans = call_spans

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        *arguments: Any,
        **options: Any,
    ) -> trace.Span:
        """Start a span without making it current."""
        if self._root_spans:
            context = self._find_parent_context(context)
        if kind is SpanKind.CLIENT and self._call_spans is not None and not arguments:
            span = self._call_spans.start_span(name, context, attributes or {}, **options)
            if span is not None:
                return span
        return self._inner.start_span(name, context, kind, attributes, *arguments, **options)

    def _find_parent_context(self, context: Context | None) -> Context | None:
        """Return the context for a span that starts: without a parent, below the process's span."""
        has_parent = trace.get_current_span(context).get_span_context().is_valid
        if has_parent or not self._root_spans:
            return context
        return trace.set_span_in_context(self._root_spans[0], context)

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
        """Return a context manager and decorator that starts a span and makes it current."""
        options: dict[str, Any] = {"context": context, "kind": kind, "attributes": attributes}
        if links:
            options["links"] = links
        if start_time is not None:
            options["start_time"] = start_time
        return CurrentSpanBlock(
            self,
            functools.partial(self.start_span, name, **options),
            record_exception=record_exception,
            set_status=set_status_on_exception,
            end=end_on_exit,
        )


class DroppedSpan(trace.NonRecordingSpan):
    """A library's span that the sampler of this package has dropped; spans below it go too."""


class NativeTracer(LupisTracer):
    """Makes the spans of a library that uses OpenTelemetry's API alone; never raises an error.

    The span of an HTTP call records nothing, as without this package: that makes its own span.
    """

    _noop = trace.NoOpTracer()

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        *arguments: Any,
        **options: Any,
    ) -> trace.Span:
        """Start a span without making it current."""
        try:
            if kind is SpanKind.CLIENT and attributes and not HTTP_MARKS.isdisjoint(attributes):
                return self._noop.start_span(name, context)
            parent_context = self._find_parent_context(context)
            options_of_span = (kind, attributes, *arguments)
            span = self._inner.start_span(name, parent_context, *options_of_span, **options)
            return span if span.is_recording() else DroppedSpan(span.get_span_context())
        except Exception as fault:
            report_fault("starting a library's span", fault)
            return self._noop.start_span(name, context)


class CurrentSpanBlock(ContextDecorator):
    """A span that is current inside a `with` block, or while a decorated function runs."""

    def __init__(
        self, tracer: LupisTracer, start_span: Callable[[], trace.Span], **options: bool
    ) -> None:
        self._tracer = tracer
        self._start_span = start_span
        self._options = options

    def _recreate_cm(self) -> CurrentSpanBlock:
        # contextlib calls this method, so that each call of a decorated function starts a span.
        return CurrentSpanBlock(self._tracer, self._start_span, **self._options)

    def __call__(self, function: Any) -> Any:
        """Decorate a function, or a coroutine function until it has been awaited."""
        if not inspect.iscoroutinefunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        async def decorated(*args: Any, **kwargs: Any) -> Any:
            with self._recreate_cm():
                return await function(*args, **kwargs)

        return decorated

    def __enter__(self) -> trace.Span:
        self._span = self._start_span()
        try:
            span_context = self._tracer.context_with_span(self._span)
        except Exception as fault:
            report_fault("entering a span", fault)
            span_context = trace.set_span_in_context(self._span)
        self._token = attach(span_context)
        return self._span

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        detach_context(self._token)
        span: Any = self._span
        options = self._options
        if isinstance(error, Exception) and span.is_recording():
            with internal_errors("recording an exception"):  # its own __str__ may fail
                if options["record_exception"]:
                    span.record_exception(error)
                if options["set_status"]:
                    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        elif _is_given_up(error) and getattr(span, "kind", None) is SpanKind.CLIENT:
            # The instrumentors of opentelemetry-python handle subclasses of Exception only, but a
            # cancelled call has failed as well.
            span.set_attribute(_semconv.ERROR_TYPE, type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR, type(error).__qualname__))
        if options["end"]:
            span.end()


def _is_given_up(error: BaseException | None) -> bool:
    """Return whether an error means that a task was cancelled or the program interrupted."""
    return error is not None and not isinstance(error, (Exception, GeneratorExit))
