"""Redacts the list of a command's arguments, in which an option may precede its secret value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lupis_instrument._redaction.engine import Engine


def redact_arguments(arguments: list[Any], engine: Engine) -> list[Any]:
    """Redact each argument that follows an option, as if both stood in one text.

    Args:
        arguments: The arguments, each already redacted by its own content; changed in place.
        engine: All rules.
    """
    # The rules for curl's options need its name, which may be several arguments away.
    is_curl = any(isinstance(argument, str) and "curl" in argument for argument in arguments)
    command = "curl " if is_curl else ""
    for index, (option, value) in enumerate(zip(arguments, arguments[1:]), 1):
        if isinstance(value, str) and isinstance(option, str) and option[:1] == "-":
            arguments[index] = _redact_value(f"{command}{option}\n", value, engine)
    return arguments


def _redact_value(option: str, value: str, engine: Engine) -> str:
    """Return the value of an option, without the parts that the option makes a secret."""
    hits = [hit for hit in engine.find_hits(option + value) if hit.start >= len(option)]
    # A value that a name hides reaches to the end of the argument, blanks included.
    if any(hit.rule.startswith("name:") for hit in hits):
        return engine.mode.full_mark
    for hit in reversed(hits):
        start, end = hit.start - len(option), hit.end - len(option)
        value = f"{value[:start]}{engine.mode.full_mark}{value[end:]}"
    return value
