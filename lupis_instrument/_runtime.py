"""Settings, tracer provider, pipeline and delivery of this process, put together on first use."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from threading import RLock
from typing import TYPE_CHECKING, Any, Mapping

from lupis_instrument import _bootstrap, _context, _names, _resource
from lupis_instrument._config import LupisConfig, resolve
from lupis_instrument._context import Conversation
from lupis_instrument._delivery import batching
from lupis_instrument._diagnostics import LEVELS, diagnostics, guarded, warn
from lupis_instrument._instrumentation import selection, threads
from lupis_instrument._version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Tracer

    from lupis_instrument._config import Resolved
    from lupis_instrument._instrumentation.gate import Calls, Gate
    from lupis_instrument._instrumentation.registry import Client
    from lupis_instrument._llm.own_prices import OwnPrices
    from lupis_instrument._pipeline.processor import Record
    from lupis_instrument._redaction import Redactor


class Runtime:
    """All that is running in this process.

    Attributes:
        config: the settings in force.
        provider: makes the tracers; never the global one, which is the program's to set.
        tracking: follows the spans under way.
        spans: takes them out when they have ended.
        events: takes events out.
    """

    def __init__(self, resolved: Resolved) -> None:
        from lupis_instrument._delivery.quiet import quiet
        from lupis_instrument._delivery.summary import Summary
        from lupis_instrument._delivery.worker import Worker
        from lupis_instrument._pipeline import propagation
        from lupis_instrument._pipeline.join import Join
        from lupis_instrument._pipeline.processor import Tracking
        from lupis_instrument._pipeline.provider import Provider

        self.spans: Worker[Record, ReadableSpan] = Worker(
            "lupis-spans", self._prepare, self._deliver, quiet, **batching.read(os.environ)
        )
        self.events: Worker[dict[str, Any], dict[str, Any]] = Worker(
            "lupis-events",
            self._redact_event,
            self._send_events,
            quiet,
            batch=50,
            most=1_000_000,
        )
        self.summary = Summary()
        providers = _bootstrap.providers()
        self.tracking = Tracking(self.spans.put, providers.ancestry)
        self._join = Join(providers.open)
        providers.hand_over = self._hand_over
        self.apply(resolved)
        self.provider = Provider(self.resource, self.tracking)
        propagation.install(self.tracking, lambda: self.config.propagate_to)

    def apply(self, resolved: Resolved) -> None:
        """Work by these settings from now on."""
        self.resolved = resolved
        config = self.config = resolved.config
        _context.process.set(environment=_conversation(resolved.values))
        self._redactor = _redactor(config)
        diagnostics.level = LEVELS[resolved.values["log_level"]]
        if self._redactor is not None:
            diagnostics.redact = self._redactor.text
        self.tracking.configure(config.provider_hosts, config.excluded_urls)
        self._connect()

    def _connect(self) -> None:
        """Make what belongs to this process alone: its resource, and its ways out."""
        from lupis_instrument import _pipeline
        from lupis_instrument._delivery import exporter
        from lupis_instrument._delivery.events import EventSender

        config = self.config
        self.resource = _resource.build(config)
        self.pipeline = _pipeline.build(config, self._redactor, self.resource, _own_prices(config))
        headers = _headers(config)
        self.exporter = exporter.build(
            config if config.enabled else replace(config, exporter="none"),
            headers,
            default_endpoint=self.resolved.sources["otlp_endpoint"] == "default",
        )
        resource = self.resource.attributes
        if self._redactor is not None:
            resource = self._redactor.attributes(resource)
        self._sender = EventSender(config, headers, resource)

    def tracer(self) -> Tracer:
        """Return the tracer of the spans that the program makes itself."""
        return self.provider.get_tracer(_names.SCOPE, __version__)

    def _prepare(self, record: Record) -> ReadableSpan | None:
        if record.readable is None:
            record.finish()
        span = self.pipeline.run(record) if record.readable is not None else None
        if span is not None:
            self.summary.add(span)
            if self.config.join_provider:
                self._join(span)
        return span

    def _hand_over(self) -> None:
        """Have the providers that ours joins get what has ended, before they are ended."""
        if self.config.join_provider:
            self.flush(_JOIN_SECONDS)

    def _deliver(self, spans: list[ReadableSpan]) -> None:
        self.summary.delivered += self.exporter.export(spans)

    def _send_events(self, events: list[dict[str, Any]]) -> None:
        self._sender.send(events)

    def _redact_event(self, event: dict[str, Any]) -> dict[str, Any]:
        redacted = self._redactor.data(event) if self._redactor is not None else event
        return redacted if isinstance(redacted, dict) else {**event, **_WITHHELD}

    def flush(self, timeout: float) -> bool:
        """Deliver what has ended; returns whether that was done within `timeout` seconds."""
        self.tracking.release()
        return self._drain(timeout, stop=False)

    def shutdown(self) -> bool:
        """Deliver what is pending; waits `shutdown_timeout` seconds at the most.

        Threads end and connections close, until there is something to deliver again.
        """
        self.tracking.close()
        done = self._drain(self.config.shutdown_timeout, stop=True)
        guarded("ending the exporter", self.exporter.shutdown)
        return done

    def _drain(self, timeout: float, *, stop: bool) -> bool:
        from time import monotonic

        due = monotonic() + timeout
        events = self.events.ask(stop=stop)
        spans = self.spans.ask(stop=stop)
        return spans.wait(timeout) and events.wait(max(0.0, due - monotonic()))

    def summarize(self) -> None:
        """Write the totals to stderr if they are wanted."""
        wanted = self.config.summary
        if wanted is None:
            wanted = sys.stderr is not None and sys.stderr.isatty()
        lines = self.summary.lines(_destination(self.config)) if wanted else []
        if lines:
            sys.stderr.write(diagnostics.redact("\n".join(lines)) + "\n")

    def after_fork(self) -> None:
        """Leave to the parent what is the parent's; called in the child."""
        self.tracking.forget()
        self.spans.forget()
        self.events.forget()
        self.summary.forget()
        self._connect()


_JOIN_SECONDS = 1.0
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
                _State.runtime.apply(_resolve())
                _State.off = not _State.runtime.config.enabled
        if _State.runtime is None and not _State.off:
            _State.runtime = guarded("starting", _make)
            _State.off = _State.runtime is None
        return None if _State.off else _State.runtime


def _make() -> Runtime | None:
    resolved = _resolve()
    if not resolved.config.enabled or not _bootstrap.enabled({**os.environ, **_UNDECIDED}):
        return None
    # Read once, when the first instrumentor is set up; a choice of the user's stands.
    os.environ.setdefault(_names.ENV_SEMCONV_OPT_IN, "http")
    threads.prepare_thread_pools()
    runtime = Runtime(resolved)
    selection.look_for_missing(resolved.config)
    return runtime


_UNDECIDED = {"LUPIS_ENABLED": "", "LUPIS_SDK_ENABLED": ""}


def _resolve() -> Resolved:
    launched = _bootstrap.launched()
    resolved = resolve(os.environ, _State.program, launched=launched)
    if _names.ENV_RUN_ID not in os.environ:  # else lupis-run has said so
        for problem in resolved.problems:
            diagnostics.say(problem.severity, _without_secrets(str(problem)))
    for sentence in resolved.ignored:
        warn(sentence)
    return resolved


def _without_secrets(line: str) -> str:
    """Filter a line that is said before the settings' own filter is there."""
    from lupis_instrument._redaction import Redactor

    return Redactor("remove").text(line)


def _after_fork() -> None:
    _State.lock = RLock()
    if _State.runtime is not None:
        guarded("going on after a fork", _State.runtime.after_fork)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def finish() -> None:
    """Deliver, say what is to be said, and stop; at the end of the process."""
    runtime = _State.runtime
    if runtime is None:
        return
    if not runtime.shutdown():
        seconds = runtime.config.shutdown_timeout
        warn(f"could not deliver all to {_destination(runtime.config)} within {seconds:g} s")
    dropped = runtime.spans.dropped + runtime.events.dropped
    if dropped:
        warn(f"{dropped} spans and events were dropped: too many were waiting to be delivered")
    runtime.summarize()


def report_client(client: Client, fault: Exception) -> None:
    """Say that a client's calls will not be recorded."""
    config = _State.runtime.config if _State.runtime is not None else _resolve().config
    selection.report(client, config, fault)


def activate(client: Client, gate: Gate, calls: Calls) -> bool:
    """Lay a client's instrumentor around it, and let the wires find the calls under way.

    Returns:
        Whether it was done; otherwise the client stays as it is.
    """
    runtime = start()
    if runtime is None or not selection.is_wanted(client, runtime.config):
        return False
    calls.current = runtime.tracking.current_exchange
    calls.underway = runtime.tracking.underway
    from importlib import import_module

    try:
        import_module(client.adapter).instrument(runtime.provider, gate)
    except Exception as fault:
        selection.report(client, runtime.config, fault)
        return False
    return True


def _redactor(config: LupisConfig) -> Redactor | None:
    if not config.filter_sensitive_data:
        return None
    from lupis_instrument._redaction import Redactor

    return Redactor(config.redaction_mode, config.sensitive_data_patterns, config.hash_key)


def _own_prices(config: LupisConfig) -> OwnPrices | None:
    if config.prices_file is None:
        return None
    from lupis_instrument import _prices_file

    return _prices_file.read(config.prices_file)


def _conversation(values: Mapping[str, Any]) -> Conversation:
    return Conversation(
        values["chat_id"], values["user_id"], values["organization_id"], values["session_id"]
    )


def _headers(config: LupisConfig) -> dict[str, str]:
    headers = {_names.HEADER_PROJECT_ID: config.project_id}
    if config.api_key is not None:
        headers[_names.HEADER_API_KEY] = config.api_key
    return {**headers, **config.otlp_headers}


def _destination(config: LupisConfig) -> str:
    return {"otlp": config.otlp_endpoint, "console": "this terminal"}.get(
        config.exporter, "nowhere (LUPIS_EXPORTER=none)"
    )
