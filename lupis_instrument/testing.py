"""Captures spans and events in tests of your own, as dicts with fixed ids and times.

    from lupis_instrument.testing import capture

    def test_the_agent_asks_once():
        with capture() as captured:
            run_my_agent()
        (call,) = captured.calls
        assert call["attributes"]["gen_ai.usage.output_tokens"] == 7

Nothing is delivered while a block captures. No test framework is needed; a fixture for pytest is

    @pytest.fixture
    def captured():
        with capture() as captured:
            yield captured
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, Sequence

from lupis_instrument._config.config import LupisConfig
from lupis_instrument._export.summary import is_call
from lupis_instrument._tracing import context as call_context
from lupis_instrument.exceptions import LupisUsageError
from lupis_instrument.sdk import LupisSDK

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from lupis_instrument._export.exporters import CaptureExporter
    from lupis_instrument._runtime.runtime import Runtime

__all__ = ["START", "Captured", "Record", "capture"]

Record = Dict[str, Any]
"""A span or an event as a dict."""

START = 1_700_000_000
"""The first time of a block, in seconds since the epoch; each later time is one second later."""
_NANOSECONDS = 1_000_000_000
_MAX_WAIT = 10.0
"""Seconds to wait for spans and events that have ended but are not ready yet."""


class Captured:
    """The spans and events since the block began, or since `reset`.

    Spans are dicts with `name`, `kind`, `trace_id`, `span_id`, `parent_span_id`, `start`, `end`,
    `status`, `status_message`, `attributes`, `events` and `scope`, in the order of their start.

    Ids and times are the same in each run of a test that makes its calls one after the other: ids
    are numbers in the order of the spans, in OpenTelemetry's hexadecimal form; times are in
    nanoseconds, and count whole seconds from `START`.
    """

    def __init__(self, runtime: Runtime, exporter: CaptureExporter) -> None:
        self._runtime = runtime
        self._exporter = exporter
        self._open = True

    @property
    def spans(self) -> list[Record]:
        """The spans that have ended.

        Raises:
            LupisUsageError: they were not ready within ten seconds.
        """
        self._wait_until_ready()
        return _convert_spans(self._exporter.get_spans())

    @property
    def calls(self) -> list[Record]:
        """The spans of LLM calls."""
        return [
            span for span in self.spans if span["kind"] == "CLIENT" and is_call(span["attributes"])
        ]

    @property
    def events(self) -> list[Record]:
        """The events of `track_event` in their order, each one second after the previous one."""
        self._wait_until_ready()
        return [
            {**event, "timestamp": (START + number) * 1000}
            for number, event in enumerate(self._exporter.get_events())
        ]

    def reset(self) -> None:
        """Remove all spans and events; ids and times start again."""
        self._wait_until_ready()
        self._exporter.clear()

    def _wait_until_ready(self) -> None:
        if self._open and not self._runtime.drain(_MAX_WAIT):
            raise LupisUsageError(f"spans and events were not ready within {_MAX_WAIT:g} s")

    def _end_block(self) -> None:
        self._wait_until_ready()
        self._open = False


@contextmanager
def capture(config: LupisConfig | None = None) -> Iterator[Captured]:
    """Capture the spans and events of a `with` block instead of delivering them.

    A chat id or metadata that the block sets for the process ends with the block.

    Args:
        config: the settings, by default a project id only. They apply if nothing has been
            instrumented in this process before: as with `LupisSDK.init`, the first settings stay.

    Yields:
        The captured spans and events, which can be read inside and after the block.

    Raises:
        LupisUsageError: instrumentation is switched off, or another block is capturing.
    """
    from lupis_instrument._export.exporters import CaptureExporter

    if config is not None or LupisSDK.get_instance() is None:
        LupisSDK.init(config or LupisConfig(project_id="test", exporter="none"))
    runtime = _start_runtime()
    runtime.drain(_MAX_WAIT)  # so that earlier spans do not end up in this block
    exporter = CaptureExporter()
    captured = Captured(runtime, exporter)
    process_values = call_context.process_values
    chat, metadata = process_values.chat, process_values.metadata
    if not runtime.capture(exporter):
        raise LupisUsageError("another block is capturing: one at a time")
    try:
        yield captured
    finally:
        try:
            captured._end_block()
        finally:
            runtime.capture(None)
            process_values.set_layers(chat=chat, metadata=metadata)


def _start_runtime() -> Runtime:
    from lupis_instrument._runtime import current

    runtime = current.start_runtime()
    if runtime is None:
        raise LupisUsageError("instrumentation is switched off: see LUPIS_ENABLED")
    return runtime


def _convert_spans(spans: Sequence[ReadableSpan]) -> list[Record]:
    """Return spans as dicts, with numbers in order for their ids and times.

    A first pass gives out the numbers, so that they do not depend on the order in which spans
    ended or refer to each other.
    """
    ordered = sorted(spans, key=lambda span: (span.start_time or 0, -(span.end_time or 0)))
    times, trace_ids, span_ids = _Numbers(), _Numbers(), _Numbers()
    for time in sorted(time for span in ordered for time in _list_times(span)):
        times.number_of(time)
    for span in ordered:
        trace_ids.number_of(span.context.trace_id)
        span_ids.number_of(span.context.span_id)
    return [_convert_span(span, trace_ids, span_ids, times) for span in ordered]


def _list_times(span: ReadableSpan) -> list[int]:
    return [span.start_time or 0, span.end_time or 0, *(event.timestamp for event in span.events)]


class _Numbers:
    """Numbers different values in the order of their first use, from 0."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def number_of(self, value: int) -> int:
        return self._numbers.setdefault(value, len(self._numbers))


def _convert_span(
    span: ReadableSpan, trace_ids: _Numbers, span_ids: _Numbers, times: _Numbers
) -> Record:
    def fixed_time(time: int | None) -> int:
        return (START + times.number_of(time or 0)) * _NANOSECONDS

    def fixed_id(span_id: int) -> str:
        return f"{span_ids.number_of(span_id) + 1:016x}"

    scope = span.instrumentation_scope
    return {
        "name": span.name,
        "kind": span.kind.name,
        "trace_id": f"{trace_ids.number_of(span.context.trace_id) + 1:032x}",
        "span_id": fixed_id(span.context.span_id),
        "parent_span_id": fixed_id(span.parent.span_id) if span.parent else None,
        "start": fixed_time(span.start_time),
        "end": fixed_time(span.end_time),
        "status": span.status.status_code.name,
        "status_message": span.status.description or "",
        "attributes": {
            name: _convert_value(value) for name, value in (span.attributes or {}).items()
        },
        "events": [
            {
                "name": event.name,
                "time": fixed_time(event.timestamp),
                "attributes": dict(event.attributes or {}),
            }
            for event in span.events
        ],
        "scope": scope.name if scope is not None else "",
    }


def _convert_value(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
