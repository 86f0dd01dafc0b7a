"""The entry point of `lupis-run`: starts a plain command at once, and leaves options to `click`.

Every start of a program pays for the modules imported here, so `click` is loaded only if there are
options to read.
"""

from __future__ import annotations

import os
import sys

from lupis_instrument._cli.run.start import build_module_command, start_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `lupis-run`.

    Args:
        arguments: the arguments after `lupis-run`, by default the arguments of this process.

    Returns:
        The exit status: if the command cannot be started, or, on Windows, after it has ended.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    command = read_plain_command(words)
    if command:
        return start_command(command, os.environ)
    from lupis_instrument._cli.run import options

    return options.run_with_options(words)


def read_plain_command(arguments: Sequence[str]) -> list[str]:
    """Return the command if no option comes before it; an empty list otherwise.

    `--` may come before the command, and `-m`, which needs no other option either.
    """
    if not arguments:
        return []
    first, remaining = arguments[0], list(arguments[1:])
    if first == "-m" and remaining:
        return build_module_command(remaining)
    if first == "--":
        return remaining
    return [] if first.startswith("-") else list(arguments)
