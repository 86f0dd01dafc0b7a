"""Settings, tracer provider, pipeline and delivery of this process, put together on first use."""

from __future__ import annotations

import os
import sys
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any, Mapping

from lupis_instrument import _semconv
from lupis_instrument._config.config import LupisConfig, resolve_settings
from lupis_instrument._diagnostics import LEVELS, diagnostics, guarded, warn
from lupis_instrument._instrumentation import child_processes as children
from lupis_instrument._instrumentation import selection, threads
from lupis_instrument._process import shutdown_hooks
from lupis_instrument._process.fork import on_fork, pause_threads
from lupis_instrument._process.import_lock import Lazy
from lupis_instrument._runtime import bootstrap as _bootstrap
from lupis_instrument._runtime import parts as _parts
from lupis_instrument._tracing import context as _context
from lupis_instrument._tracing import events
from lupis_instrument._tracing import resource as _resource
from lupis_instrument._version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Tracer

    from lupis_instrument._config.config import ResolvedSettings
    from lupis_instrument._export.delivery import Delivery
    from lupis_instrument._export.exporters import CaptureExporter
    from lupis_instrument._llm.conversation.conversations import Conversations
    from lupis_instrument._tracing.context import Conversation
    from lupis_instrument._tracing.pipeline import Pipeline
    from lupis_instrument._tracing.span_state import SpanState


class Runtime:
    """All that is running in this process.

    Attributes:
        config: the settings in force.
        provider: makes the tracers; never the global one, which is the program's to set.
        tracking: follows the spans under way.
        spans: prepares them when they have ended.
        events: prepares events.
        summary: adds up the calls.
        account: says what became of everything.
        ending: whether the process is: threads that go on may be stopped at any time.
    """

    def __init__(self, resolved: ResolvedSettings) -> None:
        from opentelemetry.instrumentation.utils import suppress_instrumentation

        from lupis_instrument._export.accounting import Account
        from lupis_instrument._export.batch_worker import BatchWorker, read_batch_settings
        from lupis_instrument._export.summary import Summary
        from lupis_instrument._tracing.processor import CallSpanProcessor
        from lupis_instrument._tracing.propagation import PropagatorGuard
        from lupis_instrument._tracing.provider import LupisTracerProvider
        from lupis_instrument._tracing.span_forwarder import SpanForwarder

        self.spans: BatchWorker[SpanState, ReadableSpan] = BatchWorker(
            "lupis-spans",
            self._prepare,
            self._deliver_spans,
            suppress_instrumentation,
            **read_batch_settings(os.environ),
        )
        self.events: BatchWorker[dict[str, Any], dict[str, Any]] = BatchWorker(
            "lupis-events",
            self._redact_event,
            self._deliver_events,
            suppress_instrumentation,
            max_batch_size=50,
            max_waiting=1_000_000,
        )
        self._preparing = RLock()
        self._metadata = events.MetadataCache()
        self._diverted: CaptureExporter | None = None
        self.summary = Summary()
        self._conversations = Lazy(self._make_conversations)
        self.account = Account()
        self.ending = False
        self._former: list[Delivery] = []
        providers = _bootstrap.providers()
        propagator_guard = PropagatorGuard(lambda: self.config.propagate_to)
        self.processor = CallSpanProcessor(self._put, propagator_guard, providers.span_tree)
        self._join = SpanForwarder(providers.list_open)
        providers.set_listener(self)
        self.apply(resolved)
        self.provider = LupisTracerProvider(self.resource, self.processor)
        propagator_guard.install(self.processor.find_state)

    def apply(self, resolved: ResolvedSettings) -> None:
        """Work by these settings from now on."""
        self.resolved = resolved
        config = self.config = resolved.config
        _context.process_values.set_layers(environment=_parts.conversation(resolved.values))
        # It, the pipeline and the way out are made when the first span has ended, on the worker's
        # thread: the program does not wait for what they load.
        redactor = self._redactor = Lazy(lambda: _parts.redactor(config))
        diagnostics.level = LEVELS[resolved.values["log_level"]]
        if config.filter_sensitive_data:
            diagnostics.redact = lambda line: redactor.get().redact_text(line)
        self.processor.configure(config.provider_hosts, config.excluded_urls)
        if hasattr(self, "_delivery"):
            self._former += self._delivery.made
        self._connect()

    def _connect(self) -> None:
        """Make what belongs to this process alone: its resource, and its ways out."""
        config = self.config
        self.resource = _resource.build_resource(config)
        self._pipeline = Lazy(self._make_pipeline)
        self._delivery = Lazy(self._make_delivery)

    def _make_pipeline(self) -> Pipeline:
        from lupis_instrument._tracing.stages import build_pipeline

        config = self.config
        return build_pipeline(
            config,
            self._redactor.get(),
            self.resource,
            _parts.own_prices(config),
            self._conversations.get(),
            tokens_reported=self.processor.span_tree.tokens_reported,
        )

    def _make_conversations(self) -> Conversations:
        from lupis_instrument._llm.conversation.conversations import Conversations

        return Conversations(self._chat_key)

    def _make_delivery(self) -> Delivery:
        from lupis_instrument._export.delivery import Delivery
        from lupis_instrument._tracing.stages.redact import SpanRedactor

        redact = SpanRedactor(self._redactor.get())
        return Delivery(
            self.config,
            redact.redact_resource(self.resource),
            redact.redact_text,
            _parts.process(self.config, redact.redact_text),
            self.account,
            default_endpoint=self.resolved.sources["otlp_endpoint"] == "default",
        )

    @property
    def delivery(self) -> Delivery:
        """What takes spans and events out."""
        delivery: Delivery = self._delivery.get()
        return delivery

    def _chat_key(self) -> bytes:
        from lupis_instrument._runtime import chat_key as _chat_key

        return _chat_key.read(self.config.hash_key, self.config.data_dir)

    def tracer(self) -> Tracer:
        """Return the tracer of the spans that the program makes itself."""
        return self.provider.get_tracer(_semconv.SCOPE, __version__)

    def track(
        self, name: str, properties: Mapping[str, Any] | None, conversation: Conversation
    ) -> None:
        """Queue an event."""
        self.events.put_item(events.make_event(name, properties, conversation, self._metadata))

    def _put(self, record: SpanState) -> None:
        at_once = self._diverted is None and (self.config.durable or self.ending)
        stored = False
        try:
            stored = at_once and bool(guarded("storing a span", self._store_now, record))
        finally:  # where the program is interrupted, too
            if not stored:
                self.spans.put_item(record)

    def _store_now(self, record: SpanState) -> bool:
        """Store a span before the program goes on; returns False if the worker has to see to it."""
        # Not waiting for ever: this may be called while garbage is collected, in a thread that has
        # what the worker waits for.
        prepared = self._make_ready(record, _PREPARING_SECONDS)
        if prepared is None:
            return False
        (span,) = prepared
        return span is None or self.delivery.store_span(span)

    def _prepare(self, record: SpanState) -> ReadableSpan | None:
        """Return what leaves the process of a span, if anything does."""
        prepared = self._make_ready(record)
        return prepared[0] if prepared is not None else None

    def _make_ready(
        self, record: SpanState, seconds: float = -1
    ) -> tuple[ReadableSpan | None] | None:
        """Have the pipeline run for a span, once, and for one at a time.

        Returns:
            What came of it; None if others took longer than so many seconds, where they are given.
        """
        if not self._preparing.acquire(timeout=seconds):
            return None
        try:
            fresh = record.prepared is None
            if record.prepared is None:
                record.prepared = self._run_pipeline(record)
            prepared = record.prepared
        finally:
            self._preparing.release()
        if fresh and prepared[0] is not None and self.config.join_provider:
            self._join(prepared[0])  # which calls the program's processors
        return prepared

    def _run_pipeline(self, record: SpanState) -> tuple[ReadableSpan | None]:
        if record.readable is None:
            record.end_sdk_span()
        span = self._pipeline.get().run(record) if record.readable is not None else None
        if span is not None and self._diverted is None:
            self.summary.add_span(span)
        return (span,)

    def before_provider_flush(self) -> None:
        """Forward ended spans to the providers of the program, before they are flushed or ended."""
        if self.config.join_provider:
            self.drain(_JOIN_SECONDS)

    def _deliver_spans(self, spans: list[ReadableSpan]) -> None:
        (self._diverted or self.delivery.exporter).export_spans(spans)

    def _deliver_events(self, events: list[dict[str, Any]]) -> None:
        (self._diverted or self.delivery.exporter).export_events(events)

    def _redact_event(self, event: dict[str, Any]) -> dict[str, Any]:
        if self._diverted is None:
            self.summary.events += 1
        redactor = self._redactor.get()
        redacted = redactor.redact_data(event) if redactor is not None else event
        return redacted if isinstance(redacted, dict) else {**event, **_WITHHELD}

    def flush(self, seconds: float) -> bool:
        """Deliver what has ended; returns whether all of it arrived within `seconds`."""
        due = monotonic() + seconds
        ready = self._drain(seconds, end_thread=False)
        arrived = [way.flush(max(0.0, due - monotonic())) for way in self._ways]
        return ready and all(arrived)

    def shutdown(self) -> bool:
        """Deliver or store what is pending; waits `shutdown_timeout` seconds at the most.

        Threads end and connections close, until there is something to deliver again.

        Returns:
            Whether nothing is lost.
        """
        self.processor.end_open_bodies()
        self._start_workers()
        if not (self._delivery.made or (self.spans.idle and self.events.idle)):
            # What the workers load first is no waiting for others, and must not use up the time.
            # Not loaded here: a signal's handler may have interrupted this thread doing so.
            self._drain(_LOADING_SECONDS, end_thread=False)
        due = monotonic() + self.config.shutdown_timeout
        # The export worker gets the remaining time: it stores items that cannot be sent.
        prepared = self._drain(self.config.shutdown_timeout * 0.9, end_thread=True)
        if not prepared:
            for worker in (self.spans, self.events):
                worker.stop(_STOP_SECONDS)
        kept = [way.stop(max(0.0, due - monotonic())) for way in self._ways]
        self.account.set_lost_before_export("queue full", self.spans.dropped + self.events.dropped)
        self.account.set_lost_before_export("fault", self.spans.failed + self.events.failed)
        self.account.set_lost_before_export("not ready in time", self.spans.left + self.events.left)
        if not self.ending:
            self._start_workers()
        return prepared and all(kept)

    def _start_workers(self) -> None:
        for worker in (self.spans, self.events):
            worker.start()

    @property
    def idle(self) -> bool:
        """Whether nothing was done that is to be told."""
        return (
            not (self._ways or self.processor.has_open_spans)
            and self.spans.idle
            and self.events.idle
        )

    def begin_anew(self) -> None:
        """Forget what has been told."""
        self.summary.reset()
        self.account.reset()
        for worker in (self.spans, self.events):
            worker.dropped = worker.failed = 0

    def divert(self, diverted: CaptureExporter | None) -> bool:
        """Have spans and events go elsewhere, or out again; returns False if they do already."""
        if diverted is not None and self._diverted is not None:
            return False
        self._diverted = diverted
        return True

    def drain(self, seconds: float) -> bool:
        """Prepare what has ended; returns whether that was done within `seconds`."""
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
        """Come to rest: a thread of ours may not hold a lock when the process is doubled."""
        self.events.pause(_PAUSE_SECONDS)
        self.spans.pause(_PAUSE_SECONDS)
        for way in self._ways:
            way.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        for way in self._ways:
            way.after_fork_in_parent()
        self.spans.resume()
        self.events.resume()

    def after_fork_in_child(self) -> None:
        """Leave to the parent what is the parent's."""
        self._preparing = RLock()
        self.processor.reset()
        self.spans.reset()
        self.events.reset()
        self.summary.reset()
        self.account.reset()
        for way in self._ways:
            way.after_fork_in_child()
        self._former.clear()
        self._connect()

    @property
    def _ways(self) -> list[Delivery]:
        """All ways out, those of earlier settings first."""
        return [*self._former, *self._delivery.made]


_JOIN_SECONDS = 1.0
_PAUSE_SECONDS = 0.5
_STOP_SECONDS = 0.5
_PREPARING_SECONDS = 1.0
_LOADING_SECONDS = 5.0
_WITHHELD = {"name": "[REDACTED]", "properties": {}, "metadata": {}}


class _State:
    lock = RLock()
    runtime: Runtime | None = None
    program: LupisConfig | None = None
    """What the program asked for in code."""
    off = False
    """Whether there is none, for the settings say so or it cannot be made."""


def get() -> Runtime | None:
    """Return the runtime if there is one."""
    return _State.runtime


def start(config: LupisConfig | None = None) -> Runtime | None:
    """Return the runtime, made now if there is none; None where instrumentation is off.

    Args:
        config: what the program asks for in code.
    """
    if config is None and (_State.runtime is not None or _State.off):
        return None if _State.off else _State.runtime
    with _State.lock:
        if config is not None and _State.program is None:
            _State.program = config
            _State.off = False
            if _State.runtime is not None:
                _State.runtime.apply(settings())
                _State.off = not _State.runtime.config.enabled
        if _State.runtime is None and not _State.off:
            _State.runtime = guarded("starting", _make)
            _State.off = _State.runtime is None
        return None if _State.off else _State.runtime


def _make() -> Runtime | None:
    resolved = settings()
    if not resolved.config.enabled or not _bootstrap.enabled({**os.environ, **_UNDECIDED}):
        return None
    if _bootstrap.obstructed():
        return None
    threads.prepare_thread_pools()
    guarded("watching for the end", shutdown_hooks.watch_signals, _bootstrap.finish)
    guarded("watching for the end", shutdown_hooks.watch_self_termination, _bootstrap.finish, leave)
    runtime = Runtime(resolved)
    selection.report_missing(resolved.config)
    if resolved.values["instrument_children"]:
        guarded("following work into processes", children.watch_process_starts)
    return runtime


_UNDECIDED = {"LUPIS_ENABLED": "", "LUPIS_SDK_ENABLED": ""}


def settings() -> ResolvedSettings:
    """Return the settings in force, and say what is wrong with them."""
    launched = _bootstrap.launched()
    environ = {**_bootstrap.environ_at_start(), **os.environ}
    resolved = resolve_settings(environ, _State.program, launched=launched)
    if _semconv.ENV_RUN_ID not in os.environ:  # else lupis-run has said so
        for problem in resolved.problems:
            diagnostics.say(problem.severity, _parts.without_secrets(str(problem)))
    for sentence in resolved.ignored:
        warn(sentence)
    return resolved


def _before_fork() -> None:
    if _State.runtime is not None:
        pause_threads(_State.runtime.before_fork)


def _after_fork_in_parent() -> None:
    if _State.runtime is not None:
        _State.runtime.after_fork_in_parent()


def _after_fork_in_child() -> None:
    _State.lock = RLock()
    if _State.runtime is not None:
        _State.runtime.after_fork_in_child()


on_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)


def leave() -> None:
    """Deliver, and leave the totals to the program that this process is to become."""
    runtime = _State.runtime
    if runtime is not None and not runtime.idle:
        runtime.shutdown()
        from lupis_instrument._runtime import process_tree as _launch

        _launch.leave(runtime.summary, runtime.account, runtime.delivery.store, runtime.config)
        runtime.begin_anew()


def finish() -> None:
    """Deliver, say what is to be said, and stop; at the end of the process."""
    runtime = _State.runtime
    if runtime is None:
        return
    runtime.ending = True
    runtime.shutdown()
    from lupis_instrument._runtime import (
        process_tree as _launch,  # not while the worker may be loading parts of it
    )

    _launch.report(runtime.summary, runtime.account, runtime.delivery.store, runtime.config)


_bootstrap.keep(sys.modules[__name__])
