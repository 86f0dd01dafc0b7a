"""For tests of programs: what was recorded, as plain dicts, with ids and times that stay the same.

    from lupis_instrument.testing import capture

    def test_the_agent_asks_once():
        with capture() as captured:
            run_my_agent()
        (call,) = captured.calls
        assert call["attributes"]["gen_ai.usage.output_tokens"] == 7

Nothing is delivered while it captures. It needs no test framework; with pytest, a fixture is

    @pytest.fixture
    def captured():
        with capture() as captured:
            yield captured
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, Sequence

from lupis_instrument import _semconv
from lupis_instrument._config.config import LupisConfig
from lupis_instrument._tracing import context as _context
from lupis_instrument.exceptions import LupisUsageError
from lupis_instrument.sdk import LupisSDK

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from lupis_instrument._runtime.runtime import Runtime

__all__ = ["START", "Captured", "Record", "capture"]

Record = Dict[str, Any]
"""A span or an event."""

START = 1_700_000_000
"""When everything begins, in seconds since the epoch; each later time is a second later."""
_SECOND = 1_000_000_000
_SECONDS = 10.0
"""How long reading waits at the most for what has ended."""


class Captured:
    """What has been recorded since the block began, or since `reset`.

    Spans are dicts with `name`, `kind`, `trace_id`, `span_id`, `parent_span_id`, `start`, `end`,
    `status`, `status_message`, `attributes`, `events` and `scope`, in the order in which they
    began. Ids are numbered in that order, in hexadecimal as OpenTelemetry writes them, and times,
    in nanoseconds, count whole seconds from `START`: both are the same in each run of a test whose
    calls come one after the other.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = Lock()
        self._spans: list[ReadableSpan] = []
        self._events: list[Mapping[str, Any]] = []
        self._open = True

    @property
    def spans(self) -> list[Record]:
        """The spans that have ended."""
        self._wait()
        with self._lock:
            return _plain(self._spans)

    @property
    def calls(self) -> list[Record]:
        """Those of them that are LLM calls."""
        return [
            span
            for span in self.spans
            if span["kind"] == "CLIENT" and _semconv.GEN_AI_OPERATION_NAME in span["attributes"]
        ]

    @property
    def events(self) -> list[Record]:
        """What `track_event` was told, in that order, each a second after the one before."""
        self._wait()
        with self._lock:
            return [
                {**event, "timestamp": (START + number) * 1000}
                for number, event in enumerate(self._events)
            ]

    def reset(self) -> None:
        """Forget what was recorded, and begin to count anew."""
        self._wait()
        with self._lock:
            self._spans.clear()
            self._events.clear()

    def _wait(self) -> None:
        if self._open and not self._runtime.drain(_SECONDS):
            raise LupisUsageError(f"what was recorded was not ready within {_SECONDS:g} s")

    def _end(self) -> None:
        self._wait()
        self._open = False

    def take_spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Keep finished spans; called by the pipeline."""
        with self._lock:
            self._spans.extend(spans)

    def take_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Keep events; called by the pipeline."""
        with self._lock:
            self._events.extend(events)


@contextmanager
def capture(config: LupisConfig | None = None) -> Iterator[Captured]:
    """Record what the block does, and deliver nothing of it.

    Chat ids and metadata that the block sets for the process end with it.

    Args:
        config: the settings, if nothing has been instrumented in this process before; by default
            only a project id. The first settings of a process stay, as with `LupisSDK.init`.

    Raises:
        LupisUsageError: instrumentation is switched off, or another block is capturing.
    """
    from lupis_instrument._export.exporters import CaptureExporter

    if config is not None or LupisSDK.get_instance() is None:
        LupisSDK.init(config or LupisConfig(project_id="test", exporter="none"))
    runtime = _running()
    runtime.drain(_SECONDS)  # what came before is not of this block
    captured = Captured(runtime)
    before = _context.process_values.chat, _context.process_values.metadata
    diverted = CaptureExporter(captured.take_spans, captured.take_events)
    if not runtime.divert(diverted):
        raise LupisUsageError("another block is capturing: one at a time")
    try:
        yield captured
    finally:
        try:
            captured._end()
        finally:
            runtime.divert(None)
            _context.process_values.set_layers(chat=before[0], metadata=before[1])


def _running() -> Runtime:
    from lupis_instrument._runtime import runtime as _runtime

    runtime = _runtime.start()
    if runtime is None:
        raise LupisUsageError("instrumentation is switched off: see LUPIS_ENABLED")
    return runtime


def _plain(spans: Sequence[ReadableSpan]) -> list[Record]:
    ordered = sorted(spans, key=lambda span: (span.start_time or 0, -(span.end_time or 0)))
    times = _Numbers()
    for moment in sorted(moment for span in ordered for moment in _moments(span)):
        times.of(moment)
    traces, ids = _Numbers(), _Numbers()
    for span in ordered:
        traces.of(span.context.trace_id)
        ids.of(span.context.span_id)
    return [_record(span, traces, ids, times) for span in ordered]


def _moments(span: ReadableSpan) -> list[int]:
    return [span.start_time or 0, span.end_time or 0, *(event.timestamp for event in span.events)]


class _Numbers:
    """Numbers things as they come, from 0; the same one has the same number."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def of(self, thing: int) -> int:
        return self._seen.setdefault(thing, len(self._seen))


def _record(span: ReadableSpan, traces: _Numbers, ids: _Numbers, times: _Numbers) -> Record:
    def moment(time: int | None) -> int:
        return (START + times.of(time or 0)) * _SECOND

    scope = span.instrumentation_scope
    return {
        "name": span.name,
        "kind": span.kind.name,
        "trace_id": f"{traces.of(span.context.trace_id) + 1:032x}",
        "span_id": f"{ids.of(span.context.span_id) + 1:016x}",
        "parent_span_id": f"{ids.of(span.parent.span_id) + 1:016x}" if span.parent else None,
        "start": moment(span.start_time),
        "end": moment(span.end_time),
        "status": span.status.status_code.name,
        "status_message": span.status.description or "",
        "attributes": {name: _value(value) for name, value in (span.attributes or {}).items()},
        "events": [
            {
                "name": event.name,
                "time": moment(event.timestamp),
                "attributes": dict(event.attributes or {}),
            }
            for event in span.events
        ],
        "scope": scope.name if scope is not None else "",
    }


def _value(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
