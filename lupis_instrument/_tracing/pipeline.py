"""Runs a finished span through the stages that edit it before its export.

The stages and their order are in `stages/__init__.py`. They run on the worker's thread, never on
the program's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import ReadableSpan

from lupis_instrument._diagnostics import report_fault

if TYPE_CHECKING:
    from typing import Callable, Mapping, Optional, Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Link, Status

    from lupis_instrument._llm.usage.facts import Facts
    from lupis_instrument._tracing.span_state import SpanState

    Stage = Callable[["Draft"], Optional["Draft"]]


class Draft:
    """An editable copy of a finished span.

    The span that the program made is never edited: `build_span` makes a new one.

    Attributes:
        state: the facts about the span that it does not hold itself.
        source: the finished span.
        request: the members of an LLM call's request body; never exported.
        facts: the facts that the request and the response of an LLM call contain.
    """

    __slots__ = (
        "attributes",
        "events",
        "facts",
        "links",
        "name",
        "request",
        "resource",
        "source",
        "state",
        "status",
    )

    def __init__(self, state: SpanState, resource: Resource) -> None:
        source = state.readable
        assert source is not None
        self.state = state
        self.source: ReadableSpan = source
        self.name: str = source.name
        self.attributes: dict[str, Any] = dict(source.attributes or {})
        self.events: Sequence[Any] = source.events
        self.links: Sequence[Link] = source.links
        self.status: Status = source.status
        self.resource = resource
        self.request: Mapping[str, Any] = {}
        self.facts: Facts | None = None

    def build_span(self) -> ReadableSpan:
        """Return a new span with the edits, and the ids and times of the finished one."""
        source = self.source
        return ReadableSpan(
            name=self.name,
            context=source.context,
            parent=source.parent,
            resource=self.resource,
            attributes=self.attributes,
            events=self.events,
            links=self.links,
            kind=source.kind,
            status=self.status,
            start_time=source.start_time,
            end_time=self.state.true_end or source.end_time,
            instrumentation_scope=source.instrumentation_scope,
        )


class Pipeline:
    """The stages that every finished span passes through, in order."""

    def __init__(
        self,
        stages: Mapping[str, Stage],
        *,
        redact: Callable[[Draft], Draft],
        resource: Resource,
    ) -> None:
        """Create a pipeline.

        Args:
            stages: functions from draft to draft by name, in order; one that returns None drops
                the span.
            redact: the last stage, which no span skips.
            resource: the resource of all exported spans.
        """
        self._stages = stages
        self._redact = redact
        self._resource = resource

    def run(self, state: SpanState) -> ReadableSpan | None:
        """Return the span to export, or None if a stage drops it.

        A stage that fails is skipped for that span. If redaction fails, it removes all text of the
        span.
        """
        draft: Draft | None = Draft(state, self._resource)
        for name, stage in self._stages.items():
            try:
                draft = stage(draft)  # type: ignore[arg-type]
            except Exception as fault:  # the draft keeps the edits of the other stages
                report_fault(f"the {name} stage", fault)
            if draft is None:
                return None
        return self._redact(draft).build_span()  # type: ignore[arg-type]
