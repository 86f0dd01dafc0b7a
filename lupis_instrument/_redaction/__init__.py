"""Filters secrets out of all that leaves the process: rules, names, modes, own patterns."""

from __future__ import annotations

from .borders import cut, drop_cut_off
from .engine import Redaction
from .modes import MODES
from .names import NAMES
from .patterns import OwnPattern, PatternError, compile_pattern
from .redactor import Redactor
from .rules import RULES, Rule

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
    "cut",
    "drop_cut_off",
]
