"""Recognises the assignment between a name and its value, in the notations of code, data and prose.

`ASSIGNMENTS` are regexes that continue behind a name: ``=`` and ``:``, a tag (``<password>…``), a
pair (``("password", "…")``), a verb (``password is …``), an option (``--password …``) or just a
quotation mark. The weak ones also occur where no value is assigned, so `is_assignment` checks the
context, and `needs_random_value` says where only a random value counts.
"""

from __future__ import annotations

import re

from lupis_instrument._redaction.names import split_words

QUOTES = "\"'`"
QUOTE = r"\\{0,16}[\"'`]"

_SIGN = (
    # The type that Go writes before the assignment; the assignments; a block in YAML.
    r"(?P<sign>(?:\s\*?(?:string|str|char|text)(?!\w))?\s{0,8}"
    r"(?:[:|?.+!]{0,3}={1,3}>?|:|-{1,2}>|<-{1,2}(?=\s))"
    r"(?:[ \t]{0,8}[|>][+\-]?[ \t]{0,8}\r?\n\s{0,32}(?=\S)"
    # In a query, a plus sign stands for the blank.
    r"|[\s+]{0,8}(?=\\{0,16}[\"'])|[ \t]{0,32}(?=\S)))"
)
_TAG = (
    r"(?P<tag>(?<!-)(?:\s{1,4}[\w:\-]{1,32}=[\"'][^\"'<>\n]{0,64}[\"']){0,4}\s{0,2}>\s{0,32}"
    r"(?:<!\[cdata\[)?(?=\S))"
)
# A field between the name and the value of an object: ``"type": "string"``.
_FIELD = (
    rf"(?:\s{{0,4}},\s{{0,32}}{QUOTE}[\w.\-]{{1,24}}{QUOTE}\s{{0,4}}:\s{{0,4}}"
    rf"(?:{QUOTE}[^\"'`\\\n]{{0,64}}{QUOTE}|[\w.\-]{{1,24}}))"
)
# Behind a quoted name: the "value" of a name-value object or tag, the comma of a pair, or the
# default of a lookup: `get("password") or "…"`.
_PAIR = (
    rf"(?:{_FIELD}{{0,2}}(?:\s{{0,4}},\s{{0,32}}|\s{{1,32}})(?:{QUOTE})?value(?:{QUOTE})?\s{{0,4}}[:=]\s{{0,8}}"
    r"|\s{0,4},\s{0,8}(?P<pair>(?=[\"'bu\[]))"
    rf"|\s{{0,4}}\)\s{{0,4}}(?:or|\|\||\?\?)\s{{0,8}}(?={QUOTE}))"
)
_VERB = (
    r"(?P<verb>\s(?:is|was)\s{1,2}(?=\S)"
    r"|\s(?:for|of|in)\s{1,2}[\w.@\-]{1,40}(?:\s{0,2}[:=]\s{0,4}|\s(?:is|was)\s{1,2})(?=\S))"
)
_LOOSE = rf"(?P<loose>[ \t]{{0,4}}[(,]?[ \t]{{0,4}}(?={QUOTE}))"
# A blank counts before any value only in texts with options of a command line or with directives
# that define names. In other texts, words such as "password" are mostly followed by a word that is
# no value.
_BLANKS = {
    True: r"(?P<blank>[\s+]{1,4})",
    False: r"(?P<blank>[\s+]{1,4})(?=')(?!'\S{0,2}')",
}
# By whether the text has options: everything that may stand between a name and its value.
ASSIGNMENTS = {
    options: rf"(?P<suffix>[\w.\-]{{0,48}})(?P<close>{QUOTE})?(?:\[?\]|(?P<bracket>\)))?"
    rf"(?:{_SIGN}|{_TAG}|(?(close){_PAIR}|(?:{_VERB}|{blank}|{_LOOSE})))"
    for options, blank in _BLANKS.items()
}
# Characters behind a tag in which its end tag must follow.
_MAX_ELEMENT = 1024
# Characters before a name in which the bracket of a pair opens.
_BEFORE_PAIR = 12
# The directives of C, Docker, Windows and csh that define a name: `#define password "…"`.
_DIRECTIVE = re.compile(r"(?:# ?define|\bENV|\b(?:setx|SETX)|\bsetenv)[ \t]{1,4}\Z")
_MAX_DIRECTIVE = 16
_OPTION = re.compile(r"(?:\A|[\s+\"'`,(\[])-{1,2}[A-Za-z]")
# A function whose name begins so looks the secret up: ``get_secret("prod/db")``.
_LOOKUP_VERBS = frozenset(
    ("get", "read", "load", "fetch", "find", "has", "is", "check", "validate", "parse", "lookup")
)
_QUOTE = re.compile(QUOTE)
_RANDOM = re.compile(r"(?=.{0,200}[A-Za-z])(?=.{0,200}[0-9!@#$%^&*~+=?])\S{6,}")


def has_options(lowered: str) -> bool:
    """Return whether a text may have options of a command line, or directives."""
    return (
        "--" in lowered
        or " -" in lowered
        or "+-" in lowered
        or any(directive in lowered for directive in ("define", "env ", "setx ", "setenv "))
    )


def is_assignment(text: str, start: int, match: re.Match[str]) -> bool:
    """Return whether the text behind a name is assigned to it as its value.

    Args:
        text: The text.
        start: Where the name begins.
        match: A match of a name and one of `ASSIGNMENTS`.
    """
    if match.group("tag"):
        return _is_tag(text, start, match)
    if match.group("pair") is not None:
        return _text_before_pair(text, start).rstrip("bBuU").endswith(("(", "[", "{"))
    if match.group("blank"):
        return (
            _is_sql(text, match) or _is_option(text, start) or _is_quoted_value(text, start, match)
        )
    return match.group("loose") is None or _is_quoted_value(text, start, match)


def needs_random_value(text: str, start: int, match: re.Match[str]) -> bool:
    """Return whether the assignment is so weak that a word behind it is no value.

    The arguments are the same as for `is_assignment`.
    """
    if match.group("pair") is not None:
        return _text_before_pair(text, start).endswith("{")
    if match.group("blank"):
        return not _is_sql(text, match) and not _is_option(text, start)
    return any(match.group(weak) is not None for weak in ("loose", "verb", "bracket"))


def looks_random(value: str) -> bool:
    """Return whether a value is no word: long enough, letters mixed with digits or signs."""
    return bool(_RANDOM.fullmatch(value))


def _is_tag(text: str, start: int, match: re.Match[str]) -> bool:
    before = text[start - 1] if start else ""
    if before == ":":  # `<ns:password>…</ns:password>`, but not the `<user:password>` of a manual
        return "</" in text[match.end() : match.end() + _MAX_ELEMENT]
    return before in {"<", "/"}


def _text_before_pair(text: str, start: int) -> str:
    """Return the text before a name and its quotation mark."""
    return text[max(0, start - _BEFORE_PAIR) : start].rstrip(QUOTES + "\\")


def _is_sql(text: str, match: re.Match[str]) -> bool:
    """Return whether this is SQL's ``PASSWORD 'value'``."""
    return match.group().startswith(("pass", "pwd")) and text.startswith("'", match.end())


def _is_option(text: str, start: int) -> bool:
    """Return whether the name is an option or follows a directive: ``--password value``."""
    if text.startswith("-", start):
        return bool(_OPTION.match(text, max(0, start - 1)))
    return bool(_DIRECTIVE.search(text[max(0, start - _MAX_DIRECTIVE) : start]))


def _is_quoted_value(text: str, start: int, match: re.Match[str]) -> bool:
    """Return whether a quotation mark follows, and the name is no function that looks it up."""
    if not _QUOTE.match(text, match.end()):
        return False
    words = split_words(text[start : match.end("suffix")])
    return not (words and words[0] in _LOOKUP_VERBS)
