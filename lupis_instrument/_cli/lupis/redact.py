"""`lupis redact`: what redaction makes of a text or of JSON, and which rule hides what."""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_right
from typing import Any, Callable, Iterator, NamedTuple

import click

from lupis_instrument._config.config import resolve_settings
from lupis_instrument._redaction import MODES, RULES, PatternError, Redactor

REASONS = {rule.id: rule.description for rule in RULES}
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


class Finding(NamedTuple):
    """One hidden piece.

    Attributes:
        line: counted from 1.
        column: of its first character, counted from 1.
        length: in characters, as it stands in the input.
        rule: what hides it.
    """

    line: int
    column: int
    length: int
    rule: str


@click.command()
@click.option("--explain", is_flag=True, help="Name the rule behind each hidden piece instead.")
@click.option("--mode", type=click.Choice(MODES), help="Instead of LUPIS_REDACTION_MODE.")
@click.option(
    "--pattern",
    "patterns",
    multiple=True,
    help="A name or regular expression, added to LUPIS_SENSITIVE_DATA_PATTERNS; may be repeated.",
)
@click.argument("file", type=click.File("rb"), default="-")
def redact(explain: bool, mode: str | None, patterns: tuple[str, ...], file: Any) -> None:
    """Write FILE, text or JSON, as it would leave the process; without FILE, standard input."""
    text = file.read().decode("utf-8", "surrogateescape")
    redactor = _redactor(mode, patterns)
    if explain:
        click.echo(_describe(list(find(text, redactor))))
    else:
        click.echo(filter_text(text, redactor).encode("utf-8", "surrogateescape"), nl=False)


def filter_text(text: str, redactor: Redactor) -> str:
    """Return `text` without its secrets; JSON by the names in it, and laid out anew."""
    data = _parse(text)
    if data is None:
        return redactor.redact_text(text)
    return json.dumps(redactor.redact_data(data), indent=2, ensure_ascii=False) + "\n"


def find(text: str, redactor: Redactor) -> Iterator[Finding]:
    """Yield what is hidden in `text`, in order."""
    look: Callable[[str, Redactor], Iterator[tuple[str, int, int]]]
    look = _in_text if _parse(text) is None else _in_json
    lines = [0, *(match.end() for match in re.finditer("\n", text))]
    for rule, start, end in look(text, redactor):
        line = bisect_right(lines, start)
        yield Finding(line, start - lines[line - 1] + 1, end - start, rule)


def _in_text(text: str, redactor: Redactor) -> Iterator[tuple[str, int, int]]:
    yield from redactor.explain_text(text)


def _in_json(text: str, redactor: Redactor) -> Iterator[tuple[str, int, int]]:
    for start, end, names in _scalars(text):
        value = json.loads(text[start:end])
        name = next((name for name in names if redactor.explain_name(name)), None)
        if name is not None:
            if redactor.redact_attribute(name, value) != value:
                yield redactor.explain_name(name) or "", start, end
        elif redactor.redact_data(value) != value:
            for rule, first, last in redactor.explain_text(str(value)):
                plain = len(str(value)) + 2 == end - start
                yield (rule, start + 1 + first, start + 1 + last) if plain else (rule, start, end)


def _scalars(text: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yield where each name and each value stands, and for a value the names that lead to it."""
    above: list[str | None] = []
    name: str | None = None
    tokens = list(_TOKEN.finditer(text))
    for token, after in zip(tokens, [*tokens[1:], None]):
        sign = token.group()
        if sign in "{[":
            above.append(name)
            name = None
        elif sign in "}]":
            above.pop()
        elif after is not None and after.group() == ":":
            name = str(json.loads(sign))
            yield (*token.span(), [])
        elif sign not in ":,":
            yield (*token.span(), [each for each in (*above, name) if each is not None])
            name = None


def _parse(text: str) -> Any:
    """Return the object or list that `text` is in JSON; None if it is anything else."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, (dict, list)) else None


def _redactor(mode: str | None, patterns: tuple[str, ...]) -> Redactor:
    """Return the redactor of the settings in force, as the options change them."""
    resolved = resolve_settings(os.environ, None, launched=True)
    config = resolved.config
    wanted = [*config.sensitive_data_patterns, *patterns]
    try:
        redactor = Redactor(mode or config.redaction_mode, wanted, config.hash_key)
    except PatternError as error:
        raise click.BadParameter(str(error), param_hint="--pattern") from None
    for problem in resolved.problems:
        click.echo(redactor.redact_text(f"lupis: {problem.severity}: {problem}"), err=True)
    if not config.filter_sensitive_data:
        click.echo("LUPIS_FILTER_SENSITIVE_DATA=false: programs send it all unfiltered", err=True)
    return redactor


def _describe(findings: list[Finding]) -> str:
    if not findings:
        return "Nothing is hidden."
    rows = [
        (f"{each.line}:{each.column}", each.rule, f"{each.length} characters", _reason(each.rule))
        for each in findings
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0])) for row in rows
    )


def _reason(rule: str) -> str:
    kind, _, rest = rule.partition(":")
    reasons = {
        "name": f"What {rest!r} names is hidden whatever it is.",
        "pattern": "A pattern of LUPIS_SENSITIVE_DATA_PATTERNS or --pattern.",
        "failed": "It could not be filtered, and so all of it is hidden.",
    }
    return REASONS.get(rule) or reasons.get(kind, "")
