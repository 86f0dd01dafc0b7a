"""The objects that record calls in this process, put together from the settings."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, Mapping

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import LEVELS, diagnostics, internal_errors
from lupis_instrument._process.import_lock import Lazy, import_alone
from lupis_instrument._process.native_threads import get_ident
from lupis_instrument._runtime import assembly
from lupis_instrument._runtime.admission import Admission
from lupis_instrument._runtime.providers import get_providers
from lupis_instrument._tracing import context as call_context
from lupis_instrument._tracing import events
from lupis_instrument._tracing.resource import build_resource
from lupis_instrument._version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Tracer

    from lupis_instrument._config.config import ResolvedSettings
    from lupis_instrument._export.delivery import Delivery
    from lupis_instrument._export.exporters import CaptureExporter
    from lupis_instrument._tracing.context import Conversation
    from lupis_instrument._tracing.pipeline import Pipeline
    from lupis_instrument._tracing.span_state import SpanState

_JOIN_SECONDS = 1.0
_PAUSE_SECONDS = 0.5
_STOP_SECONDS = 0.5
_PREPARING_SECONDS = 1.0
_SPANS_PER_SECOND = 100
"""How many spans even a busy machine can prepare in a second, at the end of the program."""
_MAX_UNPREPARED_SPANS = 250
_MIN_UNPREPARED_SPANS = 32
_LOADING_SECONDS = 10.0
_MIN_SENDING_SECONDS = 0.5
"""The part of the timeout that remains for sending after modules were loaded."""
_MIN_PREPARING_SECONDS = 1.0
"""Spans that are not prepared are lost, so a busy machine gets this time beyond a short timeout."""
_OPEN_SHARE = 0.4
"""The part of the time that threads may go on to call in, if their calls keep spans unprepared."""
_ADMITTED_SECONDS = 0.3
"""How long the end waits for the last calls of other threads to be recorded."""
_WITHHELD = {"name": "[REDACTED]", "properties": {}, "metadata": {}}
"""Replaces the parts of an event whose redaction failed."""


class Runtime:
    """The objects that record calls in one process.

    Attributes:
        resolved: the settings and the source of each.
        config: the settings.
        provider: makes the tracers; never the global provider, which the program may set.
        processor: follows each span from its start to its end.
        spans: the background thread that prepares ended spans and exports them.
        events: the background thread that redacts events and exports them.
        summary: the totals of the calls.
        account: the number of spans and events that were delivered, stored or lost.
        ending: whether the process is ending: its threads may stop at any time.
        admission: admits calls and events until the end closes the account.
    """

    def __init__(self, resolved: ResolvedSettings) -> None:
        from lupis_instrument._export.accounting import Account
        from lupis_instrument._export.batch_worker import BatchWorker, read_batch_settings
        from lupis_instrument._export.summary import Summary
        from lupis_instrument._tracing import api
        from lupis_instrument._tracing.processor import CallSpanProcessor
        from lupis_instrument._tracing.propagation import PropagatorGuard
        from lupis_instrument._tracing.provider import LupisTracerProvider
        from lupis_instrument._tracing.span_forwarder import SpanForwarder

        self.spans: BatchWorker[SpanState, ReadableSpan] = BatchWorker(
            "lupis-spans",
            self._prepare,
            self._deliver_spans,
            api.utils.suppress_instrumentation,
            accept=self._accept_span,
            get_size=_get_body_size,
            **read_batch_settings(os.environ),
        )
        self.events: BatchWorker[dict[str, Any], dict[str, Any]] = BatchWorker(
            "lupis-events",
            self._redact_event,
            self._deliver_events,
            api.utils.suppress_instrumentation,
            accept=self._accept_event,
            max_batch_size=50,
            max_unprepared=2_000,
        )
        self._metadata = events.MetadataCache()
        self._capture: CaptureExporter | None = None
        self.summary = Summary()
        self._conversations = Lazy(lambda: assembly.make_conversations(self.config))
        self.account = Account()
        self.ending = False
        self.admission = Admission()
        self._former: list[Delivery] = []
        providers = get_providers()
        propagator_guard = PropagatorGuard(
            lambda: self.config.propagate_to, lambda: self.config.provider_hosts
        )
        self.processor = CallSpanProcessor(self._put, propagator_guard, providers.span_tree)
        self._forward_span = SpanForwarder(providers.list_open)
        providers.set_listener(self)
        self.apply(resolved)
        self.provider = LupisTracerProvider(self.resource, self.processor)
        propagator_guard.install(self.processor.find_state)

    def apply(self, resolved: ResolvedSettings) -> None:
        """Use these settings from now on.

        The redactor, the pipeline and the delivery are made when the first span has ended, on the
        background thread: the program does not wait for the modules that they load.
        """
        self.resolved = resolved
        config = self.config = resolved.config
        call_context.process_values.set_layers(
            environment=assembly.make_conversation(resolved.values)
        )
        redactor = self._redactor = Lazy(lambda: assembly.make_redactor(config))
        self._exceptions = Lazy(lambda: assembly.make_exception_filter(config))
        diagnostics.level = LEVELS[resolved.values["log_level"]]
        if config.filter_sensitive_data:
            diagnostics.redact = lambda line: redactor.get().redact_text(line)
        self.processor.configure(config.provider_hosts, config.excluded_urls)
        budget = self._budget = assembly.make_budget(config, self._prepare_costs)
        self.processor.before_send = (
            budget.check_call if budget is not None and budget.checks_calls else None
        )
        # The spans that are not prepared yet must be ready within the time limit of the end.
        seconds = config.shutdown_timeout - _MIN_SENDING_SECONDS
        at_end = max(int(seconds * _SPANS_PER_SECOND), _MIN_UNPREPARED_SPANS)
        self.spans.limit_unprepared(min(at_end, _MAX_UNPREPARED_SPANS))
        if hasattr(self, "_delivery"):
            self._former += self._delivery.made
        self._connect()

    def _connect(self) -> None:
        """Make the parts that belong to this process alone: resource, pipeline and delivery."""
        resource = self.resource = import_alone(lambda: build_resource(self.config))
        resolved = self.resolved
        self._pipeline = Lazy(self._make_pipeline)
        self._delivery = Lazy(
            lambda: assembly.make_delivery(resolved, self._redactor.get(), resource, self.account)
        )

    def _make_pipeline(self) -> Pipeline:
        from lupis_instrument._tracing.stages import build_pipeline

        return build_pipeline(
            self.config,
            self._redactor.get(),
            self.resource,
            assembly.read_own_prices(self.config),
            self._conversations.get(),
            tokens_reported=self.processor.span_tree.tokens_reported,
            load_prices=lambda: assembly.read_catalog(self.config),
        )

    @property
    def delivery(self) -> Delivery:
        """The object that takes spans and events out of the process."""
        delivery: Delivery = (self._delivery.made or self._delivery.make())[0]
        return delivery

    def get_tracer(self) -> Tracer:
        """Return the tracer for spans that the program makes itself."""
        return self.provider.get_tracer(_semconv.SCOPE, __version__)

    def start_root_span(self) -> None:
        """Start the span of the process, for `LUPIS_ROOT_SPAN`."""
        from lupis_instrument._tracing.root_span import start_root_span

        with internal_errors("starting the root span"):
            self.provider.root_spans[:] = [start_root_span(self.get_tracer())]

    def end_root_span(self) -> None:
        """End the span of the process, if it has one; the process ends or becomes another one."""
        with internal_errors("ending the root span"):
            while self.provider.root_spans:
                self.provider.root_spans.pop().end()

    def make_native_tracer(self, name: str | None, *scope: Any) -> Tracer | None:
        """Return the tracer for spans that a library makes by OpenTelemetry's API alone.

        Args:
            name: the name of the library's instrumentation scope.
            scope: the version, the schema URL and the attributes of the scope.

        Returns:
            The tracer; None where the settings leave the library's spans out.
        """
        config = self.config
        if not config.native_spans or any(
            fnmatchcase(name or "", glob) for glob in config.excluded_scopes
        ):
            return None
        return self.provider.make_native_tracer(name or "", *scope)

    def track_event(
        self, name: str, properties: Mapping[str, Any] | None, conversation: Conversation
    ) -> None:
        """Queue an event.

        Args:
            name: the name of the event.
            properties: its properties; copied now.
            conversation: the chat id and the user metadata of the event.
        """
        event = events.make_event(name, properties, conversation, self._metadata)
        self._admit(self.events.put_item, event)

    def _put(self, state: SpanState) -> None:
        """Queue an ended span; with `LUPIS_DURABLE`, store it before the program goes on."""
        self._admit(self._record, state)

    def _admit(self, record: Callable[[Any], None], item: Any) -> None:
        """Call `record` with an item; first, wait for the end of the process if it is near."""
        call, admission = object(), self.admission
        # Before the look at `closer`: the closing thread sees this call, or the call sees it.
        admission.inside[call] = get_ident()
        try:
            if admission.closer:
                admission.wait_for_end(call)
            record(item)
        finally:
            admission.inside.pop(call, None)

    def _record(self, state: SpanState) -> None:
        at_once = self._capture is None and (self.config.durable or self.ending)
        stored = False
        try:
            if at_once:
                with internal_errors("storing a span"):
                    stored = self._store_now(state)
        finally:  # also where a signal interrupts the program here
            if not stored:
                self.spans.put_item(state)

    def _store_now(self, state: SpanState) -> bool:
        """Store a span; return False if the background thread must do it."""
        # With a limit: the garbage collector may call this, in a thread that holds a lock which
        # the background thread waits for.
        prepared = self.spans.prepare_now(state, _PREPARING_SECONDS)
        if prepared is None:
            return False
        (span,) = prepared
        if span is None:
            return True
        stored = self.delivery.store_span(span)
        if stored:
            self._accept_span(span)
        return stored

    def _prepare(self, state: SpanState) -> ReadableSpan | None:
        """Run the pipeline for a span, unless that was done; one span at a time.

        Returns:
            The span to export; None if the stages drop it.
        """
        if state.prepared is None:
            state.prepared = self._run_pipeline(state)
            state.release()
        return state.prepared[0]

    def _run_pipeline(self, state: SpanState) -> tuple[ReadableSpan | None]:
        if state.readable is None:
            state.end_sdk_span()
        pipeline: Pipeline = (self._pipeline.made or self._pipeline.make())[0]
        return (pipeline.run(state) if state.readable is not None else None,)

    def _accept_span(self, span: ReadableSpan) -> None:
        """Count a span that will be exported, and forward it to the providers of the program."""
        if self._budget is not None:
            self._budget.add_span(span)
        if self._capture is None:
            self.summary.add_span(span)
        if self.config.join_provider:
            self._forward_span(span)

    def _prepare_costs(self) -> None:
        """Make the costs of ended calls known."""
        if self.spans.unfinished:
            self.drain(_PREPARING_SECONDS)

    def before_provider_flush(self) -> None:
        """Forward ended spans to the providers of the program, before they are flushed or ended."""
        if self.config.join_provider:
            self.drain(_JOIN_SECONDS)

    def _deliver_spans(self, spans: list[ReadableSpan]) -> None:
        (self._capture or self.delivery.exporter).export_spans(spans)

    def _deliver_events(self, events: list[dict[str, Any]]) -> None:
        (self._capture or self.delivery.exporter).export_events(events)

    def _redact_event(self, event: dict[str, Any]) -> dict[str, Any]:
        redactor = self._redactor.get()
        redacted: Any = None
        with internal_errors("filtering an event"):
            filtered = self._exceptions.get()(event)
            redacted = redactor.redact_data(filtered) if redactor is not None else filtered
        return redacted if isinstance(redacted, dict) else {**event, **_WITHHELD}

    def _accept_event(self, _event: dict[str, Any]) -> None:
        if self._capture is None:
            self.summary.add_event()

    def flush(self, seconds: float) -> bool:
        """Deliver ended spans and events; return whether all arrived within `seconds`."""
        due = monotonic() + seconds
        ready = self._drain(seconds, end_thread=False)
        arrived = [delivery.flush(max(0.0, due - monotonic())) for delivery in self._deliveries]
        return ready and all(arrived)

    def shutdown(self) -> bool:
        """Deliver or store pending spans and events, in at most `shutdown_timeout` seconds.

        Threads end and connections close. The next span or event starts them again.

        Returns:
            Whether none is lost.
        """
        self.processor.end_open_bodies()
        self._start_workers()
        timeout = self.config.shutdown_timeout
        due = monotonic() + timeout
        if not (self._delivery.made or (self.spans.idle and self.events.idle)):
            # Modules that the background threads still have to load must not use up the time. Not
            # loaded on this thread: a signal handler may have interrupted it while it loads them.
            self._drain(_LOADING_SECONDS, end_thread=False)
            due = max(due, monotonic() + min(timeout, _MIN_SENDING_SECONDS))
        kept = self._finish_delivery(due)
        self._count_lost()
        if not self.ending:
            self._start_workers()
        return kept

    def _finish_delivery(self, due: float) -> bool:
        """Prepare, and deliver or store, all items; return whether all were.

        While items are sent, other threads of the program may end more calls. A second round
        delivers these, and at the end of the process there are no more after it.
        """
        if self.ending and not self._drain((due - monotonic()) * _OPEN_SHARE, end_thread=False):
            self._close_account(due)  # many calls of other threads leave too little time
        prepared, kept = self._deliver_pending(due)
        if self.ending:
            self._close_account(due)
        if prepared and not (self.spans.idle and self.events.idle):
            prepared, kept_too = self._deliver_pending(due)
            kept = kept and kept_too
        return prepared and kept

    def _close_account(self, due: float) -> None:
        """Admit no more calls of other threads of the program."""
        self.admission.close(_ADMITTED_SECONDS, max(due, monotonic()))

    def _deliver_pending(self, due: float) -> tuple[bool, bool]:
        """Return whether all items were prepared by `due`, and whether none of these was lost."""
        # A tenth of the time is kept for the export worker, which stores items it cannot send.
        seconds = max((due - monotonic()) * 0.9, _MIN_PREPARING_SECONDS)
        prepared = self._drain(seconds, end_thread=True)
        if not prepared:
            for worker in (self.spans, self.events):
                worker.stop(_STOP_SECONDS)
        kept = [delivery.stop(max(0.0, due - monotonic())) for delivery in self._deliveries]
        return prepared, all(kept)

    def _count_lost(self) -> None:
        spans, events = self.spans, self.events
        faults = spans.failed + spans.undelivered + events.failed + events.undelivered
        self.account.set_lost_before_export("queue full", spans.dropped + events.dropped)
        self.account.set_lost_before_export("fault", faults)
        self.account.set_lost_before_export(
            "not ready in time", spans.unfinished + events.unfinished
        )
        self.summary.set_lost(spans.unbatched, events.unbatched)

    def _start_workers(self) -> None:
        for worker in (self.spans, self.events):
            worker.start()

    @property
    def idle(self) -> bool:
        """Whether there is nothing to report: no span, no event, no delivery."""
        return (
            not (self._deliveries or self.processor.has_open_spans)
            and self.spans.idle
            and self.events.idle
        )

    def reset_totals(self) -> None:
        """Forget the totals, which have been reported."""
        self.summary.reset()
        self.account.reset()
        for worker in (self.spans, self.events):
            worker.dropped = worker.failed = worker.undelivered = 0

    def capture(self, exporter: CaptureExporter | None) -> bool:
        """Give spans and events to `exporter` alone, or with None to the delivery again.

        Returns:
            False if another exporter captures them already.
        """
        if exporter is not None and self._capture is not None:
            return False
        self._capture = exporter
        return True

    def drain(self, seconds: float) -> bool:
        """Prepare ended spans and events; return whether that took no longer than `seconds`."""
        return self._drain(seconds, end_thread=False)

    def _drain(self, seconds: float, *, end_thread: bool) -> bool:
        due = monotonic() + seconds
        self.processor.release_waiting()
        events = self.events.request_flush(end_thread=end_thread)
        spans = self.spans.request_flush(end_thread=end_thread)
        return self.spans.wait_for_flush(spans, seconds) and self.events.wait_for_flush(
            events, max(0.0, due - monotonic())
        )

    # Forks

    def before_fork(self) -> None:
        """Pause the threads, so that none holds a lock while the process forks."""
        self.events.pause(_PAUSE_SECONDS)
        self.spans.pause(_PAUSE_SECONDS)
        for delivery in self._deliveries:
            delivery.before_fork()

    def after_fork_in_parent(self) -> None:
        """Let the threads go on in the parent."""
        for delivery in self._deliveries:
            delivery.after_fork_in_parent()
        self.spans.resume()
        self.events.resume()

    def after_fork_in_child(self) -> None:
        """Forget the parent's spans, events and totals; make a delivery for this process."""
        self.processor.reset()
        self.spans.reset()
        self.events.reset()
        self.summary.reset()
        self.account.reset()
        if self._budget is not None:
            self._budget.reset()
        for delivery in self._deliveries:
            delivery.after_fork_in_child()
        self._former.clear()
        self.ending = False
        self.admission = Admission()
        self._connect()

    @property
    def _deliveries(self) -> list[Delivery]:
        """All deliveries of this process; earlier settings first."""
        return [*self._former, *self._delivery.made]


def _get_body_size(state: SpanState) -> int:
    """Return the bytes of the request's and the response's body that a span keeps in memory."""
    return state.http_call.held_bytes if state.http_call is not None else 0
