"""The command `lupis`."""

from __future__ import annotations


def main() -> None:
    """Run `lupis` with the arguments of this process."""
    import sys

    from lupis_instrument._cli.lupis.commands import lupis

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a replaced stream may be any object with write()
            stream.reconfigure(errors="backslashreplace")
    lupis(prog_name="lupis")
