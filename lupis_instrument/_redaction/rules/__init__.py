"""The value rules: the formats of keys, tokens and numbers that are secrets by themselves."""

from __future__ import annotations

from lupis_instrument._redaction.rules.cloud import CLOUD_RULES
from lupis_instrument._redaction.rules.commands import COMMAND_RULES
from lupis_instrument._redaction.rules.development import DEVELOPMENT_RULES
from lupis_instrument._redaction.rules.general import GENERAL_RULES
from lupis_instrument._redaction.rules.llm import LLM_RULES
from lupis_instrument._redaction.rules.observability import OBSERVABILITY_RULES
from lupis_instrument._redaction.rules.rule import Rule
from lupis_instrument._redaction.rules.services import SERVICE_RULES

__all__ = ["RULES", "Rule"]

RULES: tuple[Rule, ...] = (
    LLM_RULES
    + CLOUD_RULES
    + DEVELOPMENT_RULES
    + SERVICE_RULES
    + OBSERVABILITY_RULES
    + GENERAL_RULES
    + COMMAND_RULES
)
