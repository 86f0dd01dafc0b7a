"""Filters secrets out of all that leaves the process: rules, names, modes, own patterns."""

from __future__ import annotations

from lupis_instrument._redaction.engine import Redaction
from lupis_instrument._redaction.modes import MODES
from lupis_instrument._redaction.names import NAMES
from lupis_instrument._redaction.patterns import OwnPattern, PatternError, compile_pattern
from lupis_instrument._redaction.redactor import Redactor
from lupis_instrument._redaction.rules import RULES, Rule
from lupis_instrument._redaction.truncation import drop_truncated_word, truncate_text

__all__ = [
    "MODES",
    "NAMES",
    "RULES",
    "OwnPattern",
    "PatternError",
    "Redaction",
    "Redactor",
    "Rule",
    "compile_pattern",
    "drop_truncated_word",
    "truncate_text",
]
