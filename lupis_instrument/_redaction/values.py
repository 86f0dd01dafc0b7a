"""Finds names in a text and the values that they hide: ``name=value``, ``"name": "value"``."""

from __future__ import annotations

import re
from typing import Iterator, NamedTuple

from .hits import Hit
from .modes import MARK, is_mark
from .names import PLURAL, Name, NameList, split_words

_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
_REACH = 64
_QUOTES = "\"'`"
_LONGEST_QUOTED = 8192
_LONGEST_NESTED = 4096

_QUOTE = r"\\{0,8}[\"'`]"
# After a name: the rest of it, its closing quote, and what leads over to the value: an assignment
# in the notations of programs, logs and data; the end of an XML tag; the "value" of a name-value
# object; the comma of a header pair; the blank after an option or, in SQL, before a string.
_TAIL = (
    rf"[\w.\-]{{0,48}}(?P<close>{_QUOTE})?(?:\[?\])?(?:"
    r"(?P<sign>\s{0,8}(?:[:|?.+]{0,3}={1,3}>?|:)(?:[ \t]{0,8}(?=\S)|\s{0,8}(?=\\{0,8}[\"'])))"
    r"|(?P<tag>>\s{0,8})"
    rf"|(?(close)\s{{0,4}},\s{{0,4}}(?:{_QUOTE}value{_QUOTE}\s{{0,4}}:\s{{0,8}}|(?P<pair>(?=[\"'bu])))"
    r"|(?P<blank>"
)
# Only texts with "--" have options; elsewhere, there are too many blanks after such words.
_BLANKS = {True: r"\s{1,4})))", False: r"\s{1,4}(?=')(?!'\S{0,2}'))))"}
_END = r"\s&;,\"'`<\\)\]}"
_RUN = re.compile(rf"(?:[^{_END}]|[)\]}}](?=[^{_END}])|[\"'](?=\w)|\\(?![\\\"'`\s]|$))+", re.ASCII)
_SCHEME = re.compile(r"(?:bearer|basic|token|apikey|negotiate|digest)(?:\s|\+){1,4}", re.IGNORECASE)
_DIGITS = re.compile(r"\d[\d .\-]{1,30}\d", re.ASCII)
_PLACEHOLDER = (
    r"\$\{[^{}]{0,80}\}|\{\{[^{}]{0,80}\}\}|\{\w{0,40}\}|<[A-Za-z][A-Za-z _\-]{0,40}>"
    r"|%\(\w{1,40}\)s|%s|\$[A-Z_][A-Z0-9_]{0,40}|\*+"
)
# What needs no hiding: our own marks, and what stands for a value yet to come.
_NO_VALUE = re.compile(rf"(?:{MARK.pattern}|{_PLACEHOLDER})(?=[{_END}]|$)")
_ANNOTATION = re.compile(r"[\w.\[\]]{1,32}\s{0,4}=\s{0,4}(?=[bru]{0,2}[\"'])")
_OPENING = re.compile(r"[bBrRuUfF@]{0,2}(\\{0,8}[\"'`])")
_LINE = re.compile(r"[^\r\n]*")
_BRACKET = re.compile(r"[\[\]{}]")
_NOTHING = re.compile(r"(?i:null|none|nil|true|false|undefined|nan)")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
_SMALL_NUMBER = 5
_MEMBER = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)


# Finders may share a shorter literal to look for: fewer looks at every text.
_GATES = {
    "authorization": "auth",
    "credential": "cred",
    "credit": "cred",
}


class _Place(NamedTuple):
    """Where a name's value stands in a text."""

    start: int
    end: int
    quotes: int = 0


class NameFinder:
    """Looks for the names that contain one word, the anchor, and hides what they hide.

    Attributes:
        literal: The lower-case text without which none of the names can occur.
    """

    def __init__(self, anchor: str, pattern: str, names: NameList) -> None:
        self.literal = _GATES.get(anchor, anchor)
        self.rule = f"name:{anchor}"
        self._pattern = pattern
        self._regexes: dict[bool, re.Pattern[str]] = {}
        self._names = names
        self._known: dict[str, Name | None] = {}

    def find(self, text: str, lowered: str) -> Iterator[Hit]:
        """All values in the text that are hidden because of a name with this anchor."""
        options = "--" in lowered
        if options not in self._regexes:
            self._regexes[options] = re.compile(self._pattern + _BLANKS[options], re.ASCII)
        done = 0
        for match in self._regexes[options].finditer(lowered):
            if match.start() < done:
                continue
            hit = self._hit(text, match)
            if hit:
                done = hit.end
                yield hit

    def _hit(self, text: str, match: re.Match[str]) -> Hit | None:
        start = _name_start(text, match.start())
        if not _leads_to_value(text, start, match):
            return None
        row = self._row(text, start, match)
        if row is None:
            return None
        place = _find_value(text, start, match, row)
        if place is None or _is_harmless(text, place, match, row, self._names):
            return None
        # A quoted name is data, JSON mostly: without its quotes the value would break the syntax.
        quotes = 0 if match.group("close") else place.quotes
        return Hit(place.start, place.end, self.rule, concealed=True, quotes=quotes)

    def _row(self, text: str, start: int, match: re.Match[str]) -> Name | None:
        """The row for this name, or for it and the word before: ``API key: …``."""
        name = text[start : match.end()]
        if name not in self._known:
            if len(self._known) > 1024:  # noqa: PLR2004 - a bound, no more
                self._known.clear()
            self._known[name] = self._names.find(name)
        row = self._known[name]
        if row is None and start and text[start - 1] == " ":
            before = text[max(0, start - _REACH) : start - 1].rpartition(" ")[2]
            row = self._names.find(f"{before} {name}") if before.isalpha() else None
        return row


def build_finders(names: NameList) -> list[NameFinder]:
    """One finder for each anchor of the list."""
    patterns: dict[str, list[str]] = {}
    for row in names.rows:
        words = row.words.split()
        by_last = len(words) > 1 and words[-1] in {"key", "pass", "token"}
        anchor = words[-1] if by_last else words[0]
        patterns.setdefault(anchor, []).append(_around(words, by_last))
    shortest = [a for a in patterns if not any(a != b and a.startswith(b) for b in patterns)]
    return [NameFinder(a, _pattern(a, patterns), names) for a in shortest]


def _around(words: list[str], by_last: bool) -> str:
    if by_last and words[-1] == "key":
        first = re.escape(words[-2])
        return rf"(?:(?<={first}.key)|(?<={first}key))"
    return "" if by_last else "".join(rf"[ _.\-]?{re.escape(word)}" for word in words[1:])


def _pattern(anchor: str, patterns: dict[str, list[str]]) -> str:
    """The literal first: `re` then searches for it as fast as `str.find` does."""
    ways = patterns[anchor]
    longer = any(other != anchor and other.startswith(anchor) for other in patterns)
    around = "" if longer or "" in ways else f"(?:{'|'.join(sorted(set(ways)))})"
    if around and anchor == "key":  # most keys have nothing before them: one look for all
        around = f"(?:(?<=[a-z0-9][ _.\\-]key)|(?<=[a-z0-9]key)){around}"
    plural = f"{anchor}s" in patterns or anchor.endswith("s") or anchor in PLURAL
    single = "" if plural else "(?!s(?![a-z]))"
    return f"{re.escape(anchor)}{around}{single}{_TAIL}"


def _name_start(text: str, position: int) -> int:
    """Where the name around a position begins; an escape before it is no part of it."""
    head = text[max(0, position - _REACH) : position]
    start = position - (len(head) - len(head.rstrip(_NAME_CHARACTERS)))
    if start < position and start and text[start - 1] == "\\":
        start += 1
    return start


def _leads_to_value(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether what stands around a name makes what follows it its value."""
    before = text[start - 1] if start else ""
    if match.group("tag"):
        return before in "<:/" and bool(before)
    if match.group("pair") is not None:
        opener = text[max(0, start - 12) : start].rstrip(_QUOTES + "\\").rstrip("bBuU")
        return opener.endswith(("(", "["))
    if match.group("blank"):
        in_sql = match.group().startswith(("pass", "pwd")) and text.startswith("'", match.end())
        return in_sql or text.startswith("--", start)
    return True


def _find_value(text: str, start: int, match: re.Match[str], row: Name) -> _Place | None:
    position = match.end()
    annotation = _ANNOTATION.match(text, position)
    if annotation:
        position = annotation.end()
    if _NO_VALUE.match(text, position):
        return None
    opening = _OPENING.match(text, position)
    if opening:
        return _quoted(text, opening)
    if text[position : position + 1] in {"[", "{"}:
        return _nested(text, position)
    if row.value == "line" and match.group("sign") and "=" not in match.group("sign"):
        return _rest_of_line(text, start, position)
    return _unquoted(text, position, row)


def _quoted(text: str, opening: re.Match[str]) -> _Place:
    """Up to the same quotation mark, one escaped more deeply being part of the value."""
    mark = opening.group(1)
    start = opening.end()
    escapes = len(mark) - 1
    position = text.find(mark[-1], start, start + _LONGEST_QUOTED)
    while position >= 0:
        slashes = position - len(text[start:position].rstrip("\\")) - start
        if slashes <= escapes or (not escapes and slashes % 2 == 0):
            return _Place(start, position - min(slashes, escapes), len(mark))
        position = text.find(mark[-1], position + 1, start + _LONGEST_QUOTED)
    line = _LINE.match(text, start)
    return _Place(start, line.end() if line else start)


def _nested(text: str, start: int) -> _Place:
    """A list or object up to its closing bracket, or to the end of the line if there is none."""
    depth = 0
    for match in _BRACKET.finditer(text, start, start + _LONGEST_NESTED):
        depth += 1 if match.group() in "[{" else -1
        if depth == 0:
            return _Place(start, match.end())
    line = _LINE.match(text, start)
    return _Place(start, line.end() if line else start)


def _rest_of_line(text: str, start: int, position: int) -> _Place:
    """A header field's value; it ends before the quotation mark that stands before the name."""
    line = _LINE.match(text, position)
    end = line.end() if line else position
    if start and text[start - 1] in _QUOTES:
        close = text.find(text[start - 1], position, end)
        end = close if close >= 0 else end
    return _Place(position, position + len(text[position:end].rstrip("\\ \t")))


def _unquoted(text: str, position: int, row: Name) -> _Place | None:
    if row.value == "digits":
        digits = _DIGITS.match(text, position)
        if digits:
            return _Place(position, digits.end())
    scheme = _SCHEME.match(text, position) if row.value == "line" else None
    run = _RUN.match(text, scheme.end() if scheme else position)
    return _Place(position, run.end()) if run else None


def _is_harmless(
    text: str, place: _Place, match: re.Match[str], row: Name, names: NameList
) -> bool:
    """Whether there is nothing to hide: no value, a placeholder, our own mark, a count."""
    value = text[place.start : place.end].strip()
    if not value or is_mark(value) or _NO_VALUE.fullmatch(value):
        return True
    if place.quotes:
        return False
    if not row.numbers and _NUMBER.fullmatch(value):
        return bool(match.group("close")) or len(value) <= _SMALL_NUMBER
    if value[0] in "[{":
        return not re.search(r"\w", value) or (not row.numbers and not re.search("[\"']", value))
    return bool(_NOTHING.fullmatch(value)) or _is_reference(value, names)


def _is_reference(value: str, names: NameList) -> bool:
    """Whether this is code that fetches the secret, as in a stack trace: ``self.api_key``."""
    member = _MEMBER.match(value)
    return bool(
        member
        and value[member.end() :] in {"", "()", "("}
        and (value.startswith(("self.", "cls.", "os.")) or names.find(value.rpartition(".")[2]))
        and split_words(value)
    )
