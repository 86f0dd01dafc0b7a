"""The stages of the pipeline, and their order.

    dedup     drops the span of a call that another span reports
    chat_id   adds the conversation and the user metadata of the time when the span began
    enrich    adds HTTP attributes; for LLM calls provider, models, usage, outcome and cost
    once      leaves tokens to the span of an LLM library's instrumentor that reports them too;
              prices the calls that only such a span reports
    derive    derives the conversation of an LLM call without a chat id
    redact    removes the content of exceptions, and secrets; last, and if it fails, all text

A stage is a function from `Draft` to `Draft`, or to None for a span that is not exported. To add a
stage, write a module in this folder and add one row in `build_pipeline`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Callable

    from opentelemetry.sdk.resources import Resource

    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._llm.conversation.conversations import Conversations
    from lupis_instrument._llm.pricing.catalog import PriceCatalog
    from lupis_instrument._llm.pricing.own_prices import OwnPrices
    from lupis_instrument._redaction import Redactor
    from lupis_instrument._tracing.pipeline import Pipeline, Stage


def _never(_response_id: str | None) -> bool:
    return False


def build_pipeline(
    config: LupisConfig,
    redactor: Redactor | None,
    resource: Resource,
    own_prices: OwnPrices | None = None,
    conversations: Conversations | None = None,
    *,
    tokens_reported: Callable[[str | None], bool] = _never,
    load_prices: Callable[[], PriceCatalog] | None = None,
) -> Pipeline:
    """Return the pipeline for these settings.

    Args:
        config: the settings.
        redactor: the secret filter; None if filtering is off.
        resource: the resource of all exported spans.
        own_prices: the user's prices, used before the catalog's.
        conversations: the conversations seen so far; they outlive the pipeline.
        tokens_reported: returns whether another span reports the tokens of a response id.
        load_prices: returns the catalog of prices; None for the one that the package ships.
    """
    # Imported here: the modules below load the whole of `_llm`, on the worker's thread.
    from lupis_instrument._llm.pricing.catalog import load_catalog
    from lupis_instrument._tracing.pipeline import Pipeline
    from lupis_instrument._tracing.stages.conversation import DeriveChatId, add_conversation
    from lupis_instrument._tracing.stages.dedup import CountOnce, drop_repeated_span
    from lupis_instrument._tracing.stages.enrich import Enrich
    from lupis_instrument._tracing.stages.foreign_prices import add_cost
    from lupis_instrument._tracing.stages.redact import SpanRedactor, read_length_limits

    load_prices = lru_cache(maxsize=1)(load_prices or load_catalog)

    def price_library_call(attributes: dict[str, Any], at: int) -> None:
        add_cost(attributes, at, own_prices, load_prices())

    stages: dict[str, Stage] = {
        "dedup": drop_repeated_span,
        "chat_id": add_conversation,
        "enrich": Enrich(config, own_prices, load_prices),
        "once": CountOnce(tokens_reported, price_library_call),
    }
    if config.auto_chat_id and conversations is not None:
        stages["derive"] = DeriveChatId(conversations, export=config.auto_chat_id == "export")
    keep_source = config.stacktrace_source
    redact = SpanRedactor(redactor, read_length_limits(), keep_source=keep_source)
    return Pipeline(stages, redact=redact, resource=resource)
