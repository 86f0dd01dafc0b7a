"""Redacts secrets in everything that leaves the process: by rules, names and custom patterns.

A `Redactor` takes texts, attributes and nested data. It asks an `Engine`, which knows all rules. A
value that matches a rule is redacted, and so is a value whose name is in the list of names. The
package is pure: it does no I/O and reads no environment.
"""

from __future__ import annotations

from lupis_instrument._redaction.modes import MODES
from lupis_instrument._redaction.names import NAMES
from lupis_instrument._redaction.patterns import CustomPattern, PatternError, compile_pattern
from lupis_instrument._redaction.redactor import Redaction, Redactor
from lupis_instrument._redaction.rules import RULES, Rule
from lupis_instrument._redaction.truncation import drop_truncated_word, truncate_text

__all__ = [
    "MODES",
    "NAMES",
    "RULES",
    "CustomPattern",
    "PatternError",
    "Redaction",
    "Redactor",
    "Rule",
    "compile_pattern",
    "drop_truncated_word",
    "truncate_text",
]
