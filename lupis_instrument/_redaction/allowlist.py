"""Recognises values that need no redaction though their name says so: placeholders, counts, code.

Redacting these would hide nothing and would make stack traces and configuration hard to read.
"""

from __future__ import annotations

import re

from lupis_instrument._redaction.modes import MARK, is_mark
from lupis_instrument._redaction.names import Extent, NameList, NameRule, split_words

# The contents of a character class: characters that end a value without quotes.
VALUE_END = r"\s&;,\"'`<\\)\]}"
_CALL_IN_BRACES = r"\{[A-Za-z_][\w.]{0,40}\([^{}]{0,200}\}"
_PLACEHOLDER = (
    rf"{_CALL_IN_BRACES}|"
    r"\$\{[^{}]{0,80}\}|\$?\{\{[^{}]{0,80}\}\}|\{\w{0,40}\}|\$\([^()\n]{0,200}\)"
    r"|<[A-Za-z][A-Za-z _:\-]{0,40}>|\[[A-Z][A-Z_ ]{1,40}\]|%\(\w{1,40}\)s|%s"
    r"|\$[A-Z_][A-Z0-9_]{0,40}|\$[0-9]|\*+|[xX]{3,}|\.\.\."
)
# A mark of a Redactor, or a placeholder for a value: ``${PASSWORD}``, ``<your key>``, ``****``.
NO_VALUE = re.compile(rf"(?:{MARK.pattern}|{_PLACEHOLDER})(?=[{VALUE_END}]|$)")
_SCHEME = r"(?:bearer|basic|token|apikey|api-token|negotiate|digest)(?:\s|\+){1,4}"
# The scheme of an Authorization header.
SCHEME = re.compile(_SCHEME, re.IGNORECASE)
# Credentials that code computes inside a text, over several lines at times.
COMPUTED = re.compile(rf"{_SCHEME}{_CALL_IN_BRACES}(?=[\"'`])", re.IGNORECASE)
_CONSTANT = re.compile(r"(?i:null|none|nil|true|false|undefined|nan)")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
# Numbers outside of data are counts up to this length.
_MAX_COUNT = 5
_BRACKETS = re.compile(r"[()\[\]{}:;,]{1,3}")
_MEMBER = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
# A call or an index. The names in it consist of letters; few passwords with brackets look so.
_CALL = re.compile(
    r"(?:await |new |yield |\$)?(?:[A-Za-z_]{2,}(?:\.[A-Za-z_]{2,})+[(\[]"
    r"|[A-Za-z_]{2,}(?:\([^\n]{0,400}\)|\[[\w\"']))"
)
_TYPE = re.compile(
    r"(?:str|bytes|string|int|bool|Any|SecretStr|Optional\[[\w.]{1,24}\]|Union\[[\w., ]{1,48}\])"
    r"(?=\s{0,2}(?:[),|]|= ?[A-Z]|$))",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\$[a-z_]\w{0,40}(?:->\w{1,40})?(?=[;,)])", re.IGNORECASE)
_OBJECTS = ("self.", "cls.", "os.", "this.")


def is_placeholder(value: str) -> bool:
    """Return whether a value, quoted or not, is empty, a mark, or a placeholder."""
    value = value.strip()
    return (
        not value
        or bool(_BRACKETS.fullmatch(value))
        or is_mark(value)
        or bool(NO_VALUE.fullmatch(SCHEME.sub("", value, 1)))
    )


def is_plain_data(value: str, rule: NameRule, names: NameList, *, in_data: bool) -> bool:
    """Return whether a value without quotes can be no secret: null, a count, the kind of a key.

    Args:
        value: The value.
        rule: The name rule that would redact it.
        names: All names.
        in_data: Whether the name stands in quotes, as in JSON.
    """
    if not rule.hides_numbers and _NUMBER.fullmatch(value):
        return in_data or len(value) <= _MAX_COUNT
    if names.names_key_kind(value):
        return True
    if rule.extent is Extent.RUN and len(value) == 1 and value.isdigit():
        return True
    if value[0] in "[{":
        has_strings = re.search("[\"']", value)
        return not re.search(r"\w", value) or (not rule.hides_numbers and not has_strings)
    return bool(_CONSTANT.fullmatch(value))


def is_code(text: str, position: int, match: re.Match[str], names: NameList) -> bool:
    """Return whether code follows that gets the secret elsewhere, as in a stack trace.

    Args:
        text: The text.
        position: Where the value would begin.
        match: The match of the name and the assignment.
        names: All names.
    """
    call = _CALL.match(text, position)
    if call and ("." in call.group() or text[position - 1] in " \t"):
        return True
    sign = match.group("sign") or ""
    if ":" in sign and "=" not in sign and _TYPE.match(text, position):
        return True
    return bool(_VARIABLE.match(text, position)) or _is_reference(text, position, match, names)


def _is_reference(text: str, position: int, match: re.Match[str], names: NameList) -> bool:
    """Return whether a member with a secret's name follows, or an argument under its own name."""
    member = _MEMBER.match(text, position)
    if member is None:
        name = match.group()[: match.start("sign") - match.start()]
        return text.startswith(f"{name})", position)
    value = member.group()
    return bool(
        re.match(rf"(?:\(\)?)?(?:[{VALUE_END}]|$)", text[member.end() : member.end() + 4])
        and (value.startswith(_OBJECTS) or names.find_rule(value.rpartition(".")[2]))
        and split_words(value)
    )
