"""The messages of `lupis-run` on stderr."""

from __future__ import annotations

import sys

from lupis_instrument._diagnostics import escape_controls


def report_problem(problem: object) -> None:
    """Write an error or a warning about settings or the command to stderr, without secrets."""
    # The settings and the redaction take longer to load than the rest of the launcher.
    from lupis_instrument._config.settings import hide_secrets

    write_message(hide_secrets(str(problem)))


def write_message(message: str) -> None:
    """Write `message` to stderr, with `lupis-run: ` before each of its lines."""
    text = "".join(f"lupis-run: {escape_controls(line)}\n" for line in message.split("\n"))
    try:
        sys.stderr.write(text)
        # Before Python 3.9 stderr has a buffer, whose content an exec would drop.
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        pass  # stderr is closed or full; the program has to start all the same
