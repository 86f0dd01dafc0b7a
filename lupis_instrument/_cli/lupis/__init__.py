"""The `lupis` command."""

from __future__ import annotations


def main() -> None:
    """Run the command."""
    import sys

    from lupis_instrument._cli.lupis.commands import lupis

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not where something has taken its place
            stream.reconfigure(errors="backslashreplace")  # whatever the terminal can't show
    lupis(prog_name="lupis")
