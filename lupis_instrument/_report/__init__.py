"""The `lupis` command."""

from __future__ import annotations


def main() -> None:
    """Run the command."""
    from lupis_instrument._report.cli import lupis

    lupis(prog_name="lupis")
