"""Prints what README tells of the rules: `python -m lupis_instrument._redaction`."""

from __future__ import annotations

import sys

from lupis_instrument._redaction import NAMES, RULES


def rules_table() -> str:
    """All rules for values, and the names that hide theirs, in Markdown."""
    rows = [f"| `{rule.id}` | {rule.description.replace('|', chr(92) + '|')} |" for rule in RULES]
    names = ", ".join(f"`{row.words}`" for row in NAMES)
    return "\n".join(["| rule | what it hides |", "|---|---|", *rows, "", f"Names: {names}.", ""])


if __name__ == "__main__":
    sys.stdout.write(rules_table())
