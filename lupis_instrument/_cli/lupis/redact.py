"""`lupis redact`: shows how redaction changes a text or JSON, and which rule hides each piece."""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_right
from typing import Any, Iterator, NamedTuple, Tuple

import click

from lupis_instrument._cli.lupis.tables import is_terminal
from lupis_instrument._config.config import resolve_settings
from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._redaction import MODES, RULES, PatternError, Redactor
from lupis_instrument._redaction.named_values import find_named_field, list_pair_names

_RULE_DESCRIPTIONS = {rule.id: rule.description for rule in RULES}
# A string, a punctuation mark, or a number or literal.
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_RuleMatch = Tuple[str, int, int]  # the rule, and the start and end of the text it hides


class Redaction(NamedTuple):
    """A hidden piece of the input.

    Attributes:
        line: the line, counted from 1.
        column: the column of the first character, counted from 1.
        length: the length in the input, in characters.
        rule: the id of the rule that hides it.
    """

    line: int
    column: int
    length: int
    rule: str


@click.command()
@click.option(
    "--explain",
    is_flag=True,
    help="List each hidden piece, and the rule that hides it, instead of the text.",
)
@click.option(
    "--mode", type=click.Choice(MODES), help="The redaction mode; default: LUPIS_REDACTION_MODE."
)
@click.option(
    "--pattern",
    "patterns",
    multiple=True,
    help="A name or regular expression to add to LUPIS_SENSITIVE_DATA_PATTERNS; repeatable.",
)
@click.argument("file", type=click.File("rb"), default="-")
def redact(explain: bool, mode: str | None, patterns: tuple[str, ...], file: Any) -> None:
    """Show a text or JSON as it would leave your program.

    Reads FILE, or standard input without FILE.
    """
    text = file.read().decode("utf-8", "surrogateescape")
    redactor = _make_redactor(mode, patterns)
    if explain:
        click.echo(_describe_redactions(list(find_redactions(text, redactor))))
    else:
        redacted = redact_text(text, redactor)
        shown = _escape_lines(redacted) if is_terminal() else redacted
        click.echo(shown.encode("utf-8", "surrogateescape"), nl=False)


def _escape_lines(text: str) -> str:
    """Return a text of many lines as a terminal may get it; a file or pipe gets the text itself."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(escape_controls(line.expandtabs()) for line in lines)


def redact_text(text: str, redactor: Redactor) -> str:
    """Return `text` without its secrets; JSON is redacted by its names too, and indented anew."""
    data = _parse_json(text)
    if data is None:
        return redactor.redact_text(text)
    return json.dumps(redactor.redact_data(data), indent=2, ensure_ascii=False) + "\n"


def find_redactions(text: str, redactor: Redactor) -> Iterator[Redaction]:
    """Yield the hidden pieces of `text`, in order."""
    is_plain = _parse_json(text) is None
    matches = redactor.explain_text(text) if is_plain else _explain_json(text, redactor)
    line_starts = [0, *(newline.end() for newline in re.finditer("\n", text))]
    for rule, start, end in matches:
        line = bisect_right(line_starts, start)
        yield Redaction(line, start - line_starts[line - 1] + 1, end - start, rule)


def _explain_json(text: str, redactor: Redactor) -> Iterator[_RuleMatch]:
    scalars = list(_scan_scalars(text))
    structure = list(_list_structure_names(json.loads(text), ()))
    if len(structure) != len(scalars):  # a name occurs twice in an object
        structure = [()] * len(scalars)
    for (start, end, path), further in zip(scalars, structure):
        names = [*path, *further]
        value = json.loads(text[start:end])
        name = next((name for name in names if redactor.explain_name(name)), None)
        if name is not None:
            if redactor.redact_attribute(name, value) != value:
                yield redactor.explain_name(name) or "", start, end
        elif redactor.redact_data(value) != value:
            yield from _explain_scalar(value, start, end, redactor)


def _explain_scalar(value: Any, start: int, end: int, redactor: Redactor) -> Iterator[_RuleMatch]:
    """Yield the secrets in one JSON value: their exact place, or the whole value.

    A string without escapes is two quotes longer in the file than its value. In any other value,
    places in the value are no places in the file.
    """
    is_unescaped = len(str(value)) + 2 == end - start
    for rule, first, last in redactor.explain_text(str(value)):
        if is_unescaped:
            yield rule, start + 1 + first, start + 1 + last
        else:
            yield rule, start, end


def _scan_scalars(text: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yield start and end of each name and each value; for a value also the names above it."""
    names_above: list[str | None] = []
    name: str | None = None
    tokens = list(_JSON_TOKEN.finditer(text))
    for token, next_token in zip(tokens, [*tokens[1:], None]):
        sign = token.group()
        if sign in "{[":
            names_above.append(name)
            name = None
        elif sign in "}]":
            names_above.pop()
        elif next_token is not None and next_token.group() == ":":
            name = str(json.loads(sign))
            yield (*token.span(), [])
        elif sign not in ":,":
            path = [*names_above, name]
            yield (*token.span(), [part for part in path if part is not None])
            name = None


def _list_structure_names(data: Any, names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the names that pairs and name fields give to each name and value, in their order."""
    if isinstance(data, dict):
        given, value_field = find_named_field(data) or ("", None)
        for key, item in data.items():
            yield ()
            all_names = (*names, given) if key == value_field else names
            yield from _list_structure_names(item, all_names)
    elif isinstance(data, list):
        pair_names = list_pair_names(data)
        for index, item in enumerate(data):
            if pair_names is None:
                yield from _list_structure_names(item, names)
            else:
                yield from _list_structure_names(item[0], names)
                yield from _list_structure_names(item[1], (*names, pair_names[index]))
    else:
        yield names


def _parse_json(text: str) -> Any:
    """Return the object or list that `text` holds as JSON; None if it is anything else."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, (dict, list)) else None


def _make_redactor(mode: str | None, patterns: tuple[str, ...]) -> Redactor:
    """Return the redactor of the current settings, changed by the options."""
    resolved = resolve_settings(os.environ, None, launched=True)
    config = resolved.config
    all_patterns = [*config.sensitive_data_patterns, *patterns]
    try:
        redactor = Redactor(mode or config.redaction_mode, all_patterns, config.hash_key)
    except PatternError as error:
        raise click.BadParameter(str(error), param_hint="--pattern") from None
    for problem in resolved.problems:
        click.echo(redactor.redact_text(f"lupis: {problem.severity}: {problem}"), err=True)
    if not config.filter_sensitive_data:
        warning = "LUPIS_FILTER_SENSITIVE_DATA=false: your programs send everything unfiltered"
        click.echo(warning, err=True)
    return redactor


def _describe_redactions(redactions: list[Redaction]) -> str:
    if not redactions:
        return "Nothing is hidden."
    rows = [
        (
            f"{redaction.line}:{redaction.column}",
            escape_controls(redaction.rule),
            f"{redaction.length} characters",
            _explain_rule(redaction.rule),
        )
        for redaction in redactions
    ]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _explain_rule(rule: str) -> str:
    kind, _, detail = rule.partition(":")
    reasons = {
        "name": f"Any value under the name {detail!r} is hidden.",
        "pattern": "A pattern of LUPIS_SENSITIVE_DATA_PATTERNS or --pattern matches.",
        "failed": "Redaction failed here, and so the whole value is hidden.",
    }
    return _RULE_DESCRIPTIONS.get(rule) or reasons.get(kind, "")
