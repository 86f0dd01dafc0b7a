"""The boolean options of `lupis-run`: they take a value only after `=`, as in `--summary=auto`."""

from __future__ import annotations

import shlex

import click

from lupis_instrument._config.value_types import InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection, Mapping, Sequence

    from lupis_instrument._config.value_types import ValueType


def name_negation(option: str) -> str:
    """Return the form of a boolean option that sets it to false: `--no-summary`."""
    return f"--no-{option[2:]}"


def add_values(
    arguments: Sequence[str], flags: Mapping[str, ValueType], with_value: Collection[str]
) -> list[str]:
    """Return the arguments with a value in each boolean option: `--summary` is `--summary=true`.

    Args:
        arguments: the arguments of `lupis-run`; the command and its arguments stay the same.
        flags: by boolean option, the type of its setting.
        with_value: the options whose value may be the next argument.

    Raises:
        click.UsageError: the next argument looks like the value of a boolean option.
    """
    negations = {name_negation(option): option for option in flags}
    completed = []
    words = list(arguments)
    while words and words[0].startswith("-") and words[0] != "--":
        word = words.pop(0)
        name, sign, value = word.partition("=")
        option = negations.get(name, name)
        if option not in flags:
            completed.append(word)
            if word in with_value:
                completed += words[:1]
                del words[:1]
            continue
        if not sign:
            _refuse_value(word, option, words, flags[option])
            value = "false" if name in negations else "true"
        elif name in negations:
            raise click.UsageError(f"{name} takes no value; write {option} or {name}")
        completed.append(f"{option}={value}")
    return completed + words


def _refuse_value(word: str, option: str, following: Sequence[str], value_type: ValueType) -> None:
    """Refuse a value that is an argument of its own: it would be run as the command."""
    if not following:
        return
    value = following[0]
    try:
        value_type.check_value(value_type.parse_text(value))
    except InvalidValueError:
        return
    command = shlex.join(["--", *following]) if hasattr(shlex, "join") else f"-- {value}"
    raise click.UsageError(
        f"{word} takes a value only after '=': write {option}={value};"
        f" to run the command {value!r}, write {word} {command}"
    )
