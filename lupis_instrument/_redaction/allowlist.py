"""Tells what under a secret's name needs no hiding: placeholders, counts, code, our own marks."""

from __future__ import annotations

import re

from lupis_instrument._redaction.modes import MARK, is_mark
from lupis_instrument._redaction.names import Name, NameList, split_words

# What ends a value that stands without quotes.
END = r"\s&;,\"'`<\\)\]}"
_CALL_IN_BRACES = r"\{[A-Za-z_][\w.]{0,40}\([^{}]{0,200}\}"
_PLACEHOLDER = (
    rf"{_CALL_IN_BRACES}|"
    r"\$\{[^{}]{0,80}\}|\$?\{\{[^{}]{0,80}\}\}|\{\w{0,40}\}|\$\([^()\n]{0,200}\)"
    r"|<[A-Za-z][A-Za-z _:\-]{0,40}>|\[[A-Z][A-Z_ ]{1,40}\]|%\(\w{1,40}\)s|%s"
    r"|\$[A-Z_][A-Z0-9_]{0,40}|\$[0-9]|\*+|[xX]{3,}|\.\.\."
)
# Our own marks, and what stands for a value yet to come.
NO_VALUE = re.compile(rf"(?:{MARK.pattern}|{_PLACEHOLDER})(?=[{END}]|$)")
_SCHEME = r"(?:bearer|basic|token|apikey|api-token|negotiate|digest)(?:\s|\+){1,4}"
SCHEME = re.compile(_SCHEME, re.IGNORECASE)
# Credentials that are yet to be computed, over several lines at times.
COMPUTED = re.compile(rf"{_SCHEME}{_CALL_IN_BRACES}(?=[\"'`])", re.IGNORECASE)
_NOTHING = re.compile(r"(?i:null|none|nil|true|false|undefined|nan)")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
_BRACKETS = re.compile(r"[()\[\]{}:;,]{1,3}")
_SMALL_NUMBER = 5
_MEMBER = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
# What is called or indexed; its names are words, as few passwords with brackets in them are.
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


def is_empty(value: str) -> bool:
    """Whether nothing of a value is a secret, even if it stands in quotes."""
    value = value.strip()
    return (
        not value
        or bool(_BRACKETS.fullmatch(value))
        or is_mark(value)
        or bool(NO_VALUE.fullmatch(SCHEME.sub("", value, 1)))
    )


def is_no_secret(value: str, row: Name, names: NameList, *, data: bool) -> bool:
    """Whether a value without quotes can't be a secret, as JSON's null, a count or another name.

    Args:
        value: The value.
        row: The name that would hide it.
        names: All names.
        data: Whether the name stands in quotes, as in JSON.
    """
    if not row.numbers and _NUMBER.fullmatch(value):
        return data or len(value) <= _SMALL_NUMBER
    if names.is_name(value):
        return True
    if row.value == "run" and len(value) == 1 and value.isdigit():
        return True
    if value[0] in "[{":
        return not re.search(r"\w", value) or (not row.numbers and not re.search("[\"']", value))
    return bool(_NOTHING.fullmatch(value))


def is_code(text: str, start: int, match: re.Match[str], names: NameList) -> bool:
    """Whether what starts here gets the secret elsewhere, as code in a stack trace does."""
    call = _CALL.match(text, start)
    if call and ("." in call.group() or text[start - 1] in " \t"):
        return True
    sign = match.group("sign") or ""
    if ":" in sign and "=" not in sign and _TYPE.match(text, start):
        return True
    return bool(_VARIABLE.match(text, start)) or _is_reference(text, start, match, names)


def _is_reference(text: str, start: int, match: re.Match[str], names: NameList) -> bool:
    """Whether this is a member that has such a name, or an argument passed on under its name."""
    member = _MEMBER.match(text, start)
    if member is None:
        return text.startswith((f"{match.group()[: match.start('sign') - match.start()]})",), start)
    value = member.group()
    return bool(
        re.match(rf"(?:\(\)?)?(?:[{END}]|$)", text[member.end() : member.end() + 4])
        and (
            value.startswith(("self.", "cls.", "os.", "this."))
            or names.find(value.rpartition(".")[2])
        )
        and split_words(value)
    )
