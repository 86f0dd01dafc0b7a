"""The command `lupis`."""

from __future__ import annotations

_OBJECTS_BEFORE_COLLECTION = 100_000
"""A report of many groups makes some 100,000 objects, and nearly all of them live to its end. With
Python's default, the garbage collector takes a third of the time of such a report."""


def main() -> None:
    """Run `lupis` with the arguments of this process."""
    import gc
    import sys

    from lupis_instrument._cli.lupis.commands import lupis

    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a replaced stream may be any object with write()
            stream.reconfigure(errors="backslashreplace")
    lupis(prog_name="lupis")
