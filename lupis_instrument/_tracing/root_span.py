"""The one span around everything that a process does, for `LUPIS_ROOT_SPAN`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from lupis_instrument import _semconv

if TYPE_CHECKING:
    from typing import Sequence

    from opentelemetry.trace import Span, Tracer

_WITHHELD = "[…]"
_MAX_ARGUMENTS = 64


def start_root_span(tracer: Tracer) -> Span:
    """Start the span of this process; spans without another parent go below it."""
    arguments = getattr(sys, "argv", None) or [""]
    return tracer.start_span(
        name_program(arguments[0]),
        attributes={_semconv.PROCESS_COMMAND_ARGS: redact_arguments(arguments)},
    )


def name_program(path: str) -> str:
    """Return the name of a program: its file, or its package where it runs by `python -m`."""
    folder, name = os.path.split(path)
    if name == "__main__.py":
        name = os.path.basename(folder)  # noqa: PTH119 - pathlib is slow to import
    return {"": "python", "-c": "python -c"}.get(name, name)


def redact_arguments(arguments: Sequence[str]) -> list[str]:
    """Return a command's arguments without their values, which may be prompts or secrets.

    The name of the program and the names of options stay.
    """
    shown = [name_program(arguments[0])]
    for argument in arguments[1:_MAX_ARGUMENTS]:
        option, equals, _ = argument.partition("=")
        is_option = option.startswith("-") and option.strip("-").replace("-", "").isalnum()
        is_long = option.startswith("--") or len(option) <= len("-x")
        if is_option and is_long and not option.lstrip("-")[:1].isdigit():
            shown.append(option + (f"={_WITHHELD}" if equals else ""))
        else:
            shown.append(_WITHHELD)
    return shown
