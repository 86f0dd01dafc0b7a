"""Prints the documentation's table of rules: ``python -m lupis_instrument._redaction``."""

from __future__ import annotations

import sys

from lupis_instrument._redaction import NAMES, RULES


def format_rules() -> str:
    """Return all value rules as a Markdown table, and the names that hide their values."""
    rows = [f"| `{rule.id}` | {_escape_cell(rule.description)} |" for rule in RULES]
    names = ", ".join(f"`{name_rule.words}`" for name_rule in NAMES)
    return "\n".join(["| rule | what it hides |", "|---|---|", *rows, "", f"Names: {names}.", ""])


def _escape_cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(format_rules())
