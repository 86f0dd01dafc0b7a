"""The rules for values: what keys, tokens and numbers of today's services look like."""

from __future__ import annotations

from .cloud import CLOUD_RULES
from .commands import COMMAND_RULES
from .development import CODE_RULES
from .general import GENERAL_RULES
from .llm import LLM_RULES
from .observability import WATCH_RULES
from .rule import Rule
from .services import SERVICE_RULES

__all__ = ["RULES", "Rule"]

RULES: tuple[Rule, ...] = (
    LLM_RULES
    + CLOUD_RULES
    + CODE_RULES
    + SERVICE_RULES
    + WATCH_RULES
    + GENERAL_RULES
    + COMMAND_RULES
)
