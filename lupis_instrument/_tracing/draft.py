"""A finished span on its way out, open for editing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import ReadableSpan

if TYPE_CHECKING:
    from typing import Mapping, Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Link, Status

    from lupis_instrument._llm.usage.facts import Facts
    from lupis_instrument._tracing.processor import SpanState


class Draft:
    """What will be exported of one span.

    The span the program made is never edited: `span()` builds a new one from what stands here.

    Attributes:
        record: what is known of the span besides what it says itself.
        asked: the members of an LLM call's request body, gone with the draft.
        facts: what an LLM call's exchange showed.
    """

    __slots__ = (
        "asked",
        "attributes",
        "events",
        "facts",
        "links",
        "name",
        "record",
        "resource",
        "source",
        "status",
    )

    def __init__(self, record: SpanState, resource: Resource) -> None:
        source = record.readable
        assert source is not None
        self.record = record
        self.source: ReadableSpan = source
        self.name: str = source.name
        self.attributes: dict[str, Any] = dict(source.attributes or {})
        self.events: Sequence[Any] = source.events
        self.links: Sequence[Link] = source.links
        self.status: Status = source.status
        self.resource = resource
        self.asked: Mapping[str, Any] = {}
        self.facts: Facts | None = None

    def span(self) -> ReadableSpan:
        """Return the span as it stands here."""
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
            end_time=source.end_time,
            instrumentation_scope=source.instrumentation_scope,
        )
