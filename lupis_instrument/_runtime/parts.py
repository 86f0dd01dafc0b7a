"""What the runtime is put together from, made from the settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Mapping

from lupis_instrument import _semconv
from lupis_instrument._tracing.context import Conversation

if TYPE_CHECKING:
    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._export.store.store import Process
    from lupis_instrument._llm.pricing.own_prices import OwnPrices
    from lupis_instrument._redaction import Redactor


def redactor(config: LupisConfig) -> Redactor | None:
    """Return what filters secrets; None where nothing is filtered."""
    if not config.filter_sensitive_data:
        return None
    from lupis_instrument._redaction import Redactor

    return Redactor(config.redaction_mode, config.sensitive_data_patterns, config.hash_key)


def own_prices(config: LupisConfig) -> OwnPrices | None:
    """Return the user's own prices, if there are any."""
    if config.prices_file is None:
        return None
    from lupis_instrument._config.prices_file import read_prices

    return read_prices(config.prices_file)


def conversation(values: Mapping[str, Any]) -> Conversation:
    """Return the chat id and the metadata that the variables set."""
    return Conversation(
        values["chat_id"],
        values["user_id"],
        values["organization_id"],
        values["session_id"],
        source="environment",
    )


def process(config: LupisConfig, shown: Callable[[str], str]) -> Process:
    """Return whose items the store is given; `shown` redacts."""
    from lupis_instrument._export.store.store import Process
    from lupis_instrument._runtime import process_tree as _launch

    run = os.environ.get(_semconv.ENV_RUN_ID)
    return Process(
        shown(config.project_id), shown(run) if run else None, os.getpid(), _launch.leader()
    )


def without_secrets(line: str) -> str:
    """Filter a line that is said before the settings' own filter is there."""
    from lupis_instrument._redaction import Redactor

    return Redactor("remove").redact_text(line)
