"""What leads from a name in a text to its value, in the notations of programs, data and people."""

from __future__ import annotations

import re

from lupis_instrument._redaction.names import split_words

QUOTES = "\"'`"
QUOTE = r"\\{0,16}[\"'`]"

_SIGN = (
    # The type that Go has before the assignment; the assignments themselves; a block in YAML.
    r"(?P<sign>(?:\s\*?(?:string|str|char|text)(?!\w))?\s{0,8}"
    r"(?:[:|?.+!]{0,3}={1,3}>?|:|-{1,2}>|<-{1,2}(?=\s))"
    r"(?:[ \t]{0,8}[|>][+\-]?[ \t]{0,8}\r?\n\s{0,32}(?=\S)"
    # In a query, a plus sign stands for the blank.
    r"|[\s+]{0,8}(?=\\{0,16}[\"'])|[ \t]{0,8}(?=\S)))"
)
_TAG = (
    r"(?P<tag>(?<!-)(?:\s{1,4}[\w:\-]{1,32}=[\"'][^\"'<>\n]{0,64}[\"']){0,4}\s{0,2}>\s{0,32}"
    r"(?:<!\[cdata\[)?(?=\S))"
)
# After a quoted name: the "value" of a name-value object or tag; the comma of a pair.
_PAIR = (
    rf"(?:(?:\s{{0,4}},\s{{0,32}}|\s{{1,32}})(?:{QUOTE})?value(?:{QUOTE})?\s{{0,4}}[:=]\s{{0,8}}"
    r"|\s{0,4},\s{0,8}(?P<pair>(?=[\"'bu])))"
)
_SAID = (
    r"(?P<said>\s(?:is|was)\s{1,2}(?=\S)"
    r"|\s(?:for|of)\s{1,2}[\w.@\-]{1,40}(?:\s{0,2}[:=]\s{0,4}|\s(?:is|was)\s{1,2})(?=\S))"
)
_LOOSE = r"(?P<loose>[ \t]{0,4}[(,]?[ \t]{0,4}(?=[\"'`]))"
# Only texts with options have a blank before any value; elsewhere, too many follow such words.
_BLANKS = {
    True: r"(?P<blank>[\s+]{1,4})",
    False: r"(?P<blank>[\s+]{1,4})(?=')(?!'\S{0,2}')",
}
# By whether the text has options: all that may stand between a name and its value.
TAILS = {
    options: rf"(?P<rest>[\w.\-]{{0,48}})(?P<close>{QUOTE})?(?:\[?\])?"
    rf"(?:{_SIGN}|{_TAG}|(?(close){_PAIR}|(?:{_SAID}|{blank}|{_LOOSE})))"
    for options, blank in _BLANKS.items()
}
_ELEMENT = 1024
_OPTION = re.compile(r"(?:\A|[\s+\"'`,(\[])-{1,2}[A-Za-z]")
_READS = frozenset(
    ("get", "read", "load", "fetch", "find", "has", "is", "check", "validate", "parse", "lookup")
)
_DRAWN = re.compile(r"(?=.{0,200}[A-Za-z])(?=.{0,200}[0-9!@#$%^&*~+=?])\S{6,}")


def has_options(lowered: str) -> bool:
    """Whether a text may have options of a command line."""
    return "--" in lowered or " -" in lowered or "+-" in lowered


def leads_to_value(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether what stands around a name that starts here makes what follows it its value."""
    before = text[start - 1] if start else ""
    if match.group("tag"):
        if before == ":":  # `<ns:password>`, but no `<user:password>` of a manual
            return "</" in text[match.end() : match.end() + _ELEMENT]
        return before in {"<", "/"}
    if match.group("pair") is not None:
        opener = text[max(0, start - 12) : start].rstrip(QUOTES + "\\").rstrip("bBuU")
        return opener.endswith(("(", "[", "{"))
    if match.group("blank"):
        in_sql = match.group().startswith(("pass", "pwd")) and text.startswith("'", match.end())
        return in_sql or _is_option(text, start) or _is_loose(text, start, match)
    return match.group("loose") is None or _is_loose(text, start, match)


def must_look_drawn(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether what leads over is so weak that only a value that is no word counts."""
    if match.group("pair") is not None:
        return text[max(0, start - 12) : start].rstrip(QUOTES + "\\").endswith("{")
    if match.group("blank"):
        in_sql = match.group().startswith(("pass", "pwd")) and text.startswith("'", match.end())
        return not in_sql and not _is_option(text, start)
    return match.group("loose") is not None or match.group("said") is not None


def looks_drawn(value: str) -> bool:
    """Whether this is no word: long enough, letters mixed with digits or signs."""
    return bool(_DRAWN.fullmatch(value))


def _is_option(text: str, start: int) -> bool:
    return text.startswith("-", start) and bool(_OPTION.match(text, max(0, start - 1)))


def _is_loose(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a quotation mark follows, and what comes before is no function that looks it up."""
    if text[match.end() : match.end() + 1] not in QUOTES:
        return False
    words = split_words(text[start : match.end("rest")])
    return not (words and words[0] in _READS)
