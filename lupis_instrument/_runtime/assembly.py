"""Makes the parts of the runtime from the settings, and loads the modules of each part."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Mapping

from lupis_instrument import _semconv
from lupis_instrument._runtime import launch
from lupis_instrument._tracing.context import Conversation

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from lupis_instrument._config.config import LupisConfig, ResolvedSettings
    from lupis_instrument._export.accounting import Account
    from lupis_instrument._export.delivery import Delivery
    from lupis_instrument._export.store.store import Process
    from lupis_instrument._llm.conversation.conversations import Conversations
    from lupis_instrument._llm.pricing.catalog import PriceCatalog
    from lupis_instrument._llm.pricing.own_prices import OwnPrices
    from lupis_instrument._redaction import Redactor
    from lupis_instrument._runtime.budget import Budget


def make_redactor(config: LupisConfig) -> Redactor | None:
    """Return the filter for secrets; None where the settings switch it off."""
    if not config.filter_sensitive_data:
        return None
    from lupis_instrument._redaction import Redactor

    return Redactor(config.redaction_mode, config.sensitive_data_patterns, config.hash_key)


def make_exception_filter(config: LupisConfig) -> Callable[[Any], Any]:
    """Return the filter for events whose properties describe an exception, at any depth."""
    from lupis_instrument._redaction.exception_data import filter_data
    from lupis_instrument._tracing.stages import redact

    exceptions = redact.make_exception_filter(keep_source=config.stacktrace_source)
    return lambda data: filter_data(data, exceptions)


def read_own_prices(config: LupisConfig) -> OwnPrices | None:
    """Return the prices in the file that `LUPIS_PRICES_FILE` names; None without one."""
    if config.prices_file is None:
        return None
    from lupis_instrument._config.prices_file import read_prices

    return read_prices(config.prices_file)


def read_catalog(config: LupisConfig) -> PriceCatalog:
    """Return the catalog of prices: a newer one that the user fetched, or the shipped one."""
    from lupis_instrument._config.price_catalog import read_catalog

    return read_catalog(config.data_dir)


def make_budget(config: LupisConfig, prepare_spans: Callable[[], object]) -> Budget | None:
    """Return the budget of the launch; None without one.

    Args:
        config: the settings.
        prepare_spans: makes the costs of ended calls known.
    """
    if config.max_cost is None:
        return None
    from lupis_instrument._export.cost_ledger import CostLedger
    from lupis_instrument._process import data_folder
    from lupis_instrument._runtime import launch
    from lupis_instrument._runtime.budget import Budget

    launch_id = os.environ.get(_semconv.ENV_RUN_ID) or launch.leader_name()
    ledger = CostLedger(lambda: data_folder.make_folder(config.data_dir), launch_id)
    return Budget(config.max_cost, config.on_limit, ledger, prepare_spans)


def make_conversations(config: LupisConfig) -> Conversations:
    """Return the object that derives chat ids."""
    from lupis_instrument._llm.conversation.conversations import Conversations

    def read_key() -> bytes:
        from lupis_instrument._runtime import chat_key

        return chat_key.read_key(config.hash_key, config.data_dir)

    return Conversations(read_key)


def make_delivery(
    resolved: ResolvedSettings, redactor: Redactor | None, resource: Resource, account: Account
) -> Delivery:
    """Return the object that takes spans and events out of this process.

    Args:
        resolved: the settings and their sources.
        redactor: filters the resource and addresses.
        resource: the resource of spans and events.
        account: counts spans and events.
    """
    from lupis_instrument._export.delivery import Delivery
    from lupis_instrument._tracing.stages.redact import SpanRedactor

    span_redactor = SpanRedactor(redactor)
    return Delivery(
        resolved.config,
        span_redactor.redact_resource(resource),
        span_redactor.redact_text,
        describe_process(resolved.config, span_redactor.redact_text),
        account,
        environ=launch.settings_environment(),
        default_endpoint=resolved.sources["otlp_endpoint"] == "default",
    )


def make_conversation(values: Mapping[str, Any]) -> Conversation:
    """Return the chat id and the user metadata that the variables set."""
    return Conversation(
        values["chat_id"],
        values["user_id"],
        values["organization_id"],
        values["session_id"],
        source="environment",
    )


def describe_process(config: LupisConfig, redact: Callable[[str], str]) -> Process:
    """Return the description of this process that the store keeps with its items."""
    from lupis_instrument._export.store.store import Process
    from lupis_instrument._runtime import launch
    from lupis_instrument._runtime.command_line import describe_command

    run_id = os.environ.get(_semconv.ENV_RUN_ID)
    return Process(
        redact(config.project_id),
        redact(run_id) if run_id else None,
        os.getpid(),
        launch.leader_name(),
        redact(config.service_name),
        describe_command(redact),
    )


def remove_secrets(line: str) -> str:
    """Redact a line that is printed before the filter of the settings exists."""
    from lupis_instrument._redaction import Redactor

    return Redactor("remove").redact_text(line)
