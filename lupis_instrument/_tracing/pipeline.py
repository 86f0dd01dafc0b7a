"""What happens to a span between its end and its export, in order.

    dedup     one call is one span: what another span stands for is dropped
    chat_id   the conversation and the user metadata in force when it began
    enrich    what the wire showed: HTTP attributes, provider, models, usage, outcome
    once      tokens that the span of an LLM library's instrumentor has too
    derive    the conversation of an LLM call, where none was in force
    redact    last, and failing closed

A stage is a function from `Draft` to `Draft`, or to None for a span that is not to leave. All
of them run on the worker's thread, never on the program's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lupis_instrument._diagnostics import report_fault

if TYPE_CHECKING:
    from typing import Callable, Optional

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._llm.conversation.conversations import Conversations
    from lupis_instrument._llm.pricing.own_prices import OwnPrices
    from lupis_instrument._redaction import Redactor
    from lupis_instrument._tracing.draft import Draft
    from lupis_instrument._tracing.processor import SpanState
    from lupis_instrument._tracing.stages.redact import Redact

    Stage = Callable[[Draft], Optional[Draft]]


class Pipeline:
    """The stages a span passes through."""

    def __init__(self, *stages: Stage, last: Redact, resource: Resource) -> None:
        """Line up `stages`; `last` is what no span leaves without, `resource` what all carry."""
        self._stages = stages
        self._resource = resource
        self._last = last

    def run(self, record: SpanState) -> ReadableSpan | None:
        """Return the span to export, or None if it is not to leave the process.

        A stage that fails is left out for that span; one that redaction fails on leaves without
        its attributes, events and links.
        """
        from lupis_instrument._tracing.draft import Draft

        draft: Draft | None = Draft(record, self._resource)
        for stage in self._stages:
            try:
                draft = stage(draft)  # type: ignore[arg-type]
            except Exception as fault:
                report_fault(f"the {_name(stage)} stage", fault)
            if draft is None:
                return None
        return self._last(draft).span()  # type: ignore[arg-type]


def _name(stage: Stage) -> str:
    return getattr(stage, "__name__", type(stage).__name__.lower())


def _never(_response: str | None) -> bool:
    return False


def build_pipeline(
    config: LupisConfig,
    redactor: Redactor | None,
    resource: Resource,
    own_prices: OwnPrices | None = None,
    conversations: Conversations | None = None,
    *,
    tokens_reported: Callable[[str | None], bool] = _never,
) -> Pipeline:
    """Return the pipeline that `config` asks for.

    Args:
        config: the settings.
        redactor: None where filtering is off.
        resource: what all spans carry.
        own_prices: the user's.
        conversations: those seen so far; outlive the pipeline.
        tokens_reported: see `CountOnce`.
    """
    from lupis_instrument._tracing.stages.chat_id import chat_id
    from lupis_instrument._tracing.stages.dedup import CountOnce, dedup
    from lupis_instrument._tracing.stages.enrich import Enrich
    from lupis_instrument._tracing.stages.redact import Redact, read_limits

    stages: list[Stage] = [dedup, chat_id, Enrich(config, own_prices), CountOnce(tokens_reported)]
    if config.auto_chat_id and conversations is not None:
        from lupis_instrument._tracing.stages.derive import Derive

        stages.append(Derive(conversations))
    return Pipeline(*stages, last=Redact(redactor, read_limits()), resource=resource)
