"""Finds names in a text and the values assigned to them: ``name=value``, ``"name": "value"``.

For each anchor - a word such as ``password`` or ``key`` that all names of a group contain - one
`NameFinder` searches the text. Around each occurrence it

1. takes the whole name, and checks that an assignment follows (`assignments`);
2. looks the name up in the list of names (`names`);
3. finds where the value ends (`value_ends`);
4. skips values that need no redaction: placeholders, counts, code (`allowlist`).
"""

from __future__ import annotations

import re
from typing import Iterator

from lupis_instrument._redaction.allowlist import (
    COMPUTED,
    NO_VALUE,
    is_code,
    is_placeholder,
    is_plain_data,
)
from lupis_instrument._redaction.assignments import (
    ASSIGNMENTS,
    QUOTES,
    has_options,
    is_assignment,
    looks_random,
    needs_random_value,
)
from lupis_instrument._redaction.hits import Hit
from lupis_instrument._redaction.names import PLURAL_WORDS, Extent, NameList, NameRule
from lupis_instrument._redaction.value_ends import Value, find_value_end

_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
# Characters before an anchor in which its name may begin.
_MAX_NAME_BEFORE = 64
_MAX_KNOWN_NAMES = 1024
# The first characters of a value that decide whether it is redacted.
_WEAK_PREVIEW, _PREVIEW = 64, 512

_ANNOTATION = re.compile(r"&?(?:'?\w{1,16} )?[\w.\[\]<>*]{1,32}\s{0,4}=\s{0,4}(?=[bru]{0,2}[\"'])")
_BYTE_LIST = re.compile(
    r"(?:new )?(?:\[\d{0,4}\]\s?)?(?:bytes?|uint8(?:_t)?|u8|char|uint8array(?:\.from)?)"
    r"(?:\[\d{0,4}\])?\s{0,2}\(?(?=[{\[])",
    re.IGNORECASE,
)
# A lookup with a default: `getenv("NAME", "…")`, `environ["NAME"] or "…"`, `env.NAME ?? "…"`.
_LOOKUP = re.compile(
    r"[\w.]{0,64}(?:get|env)[\w.]{0,64}(?:[(\[]\s{0,4}[\"'][\w.\-]{1,64}[\"']\s{0,4}(?:,|[)\]]))?"
    r"\s{0,4}(?:(?<=,)\s{0,4}|(?:or|\|\||\?\?)\s{1,4})(?=[bru]{0,2}[\"'])",
    re.IGNORECASE,
)
_LAST_WORD = re.compile(r"[A-Za-z]+$")

# Anchors that share a shorter literal with other finders: the prefilter looks for fewer literals.
_SHARED_LITERALS = {
    "authorization": "auth",
    "credential": "cred",
    "credit": "cred",
    "pasword": "pasw",
    "paswd": "pasw",
    "paswrd": "pasw",
    "psswd": "pssw",
    "psswrd": "pssw",
    "pssword": "pssw",
    "pswd": "psw",
    "psword": "psw",
    "pswrd": "psw",
}


class NameFinder:
    """Finds the values of all names that contain one word, the anchor.

    Attributes:
        literal: The lower-case text without which none of the names can occur.
    """

    def __init__(self, anchor: str, pattern: str, names: NameList) -> None:
        self.literal = _SHARED_LITERALS.get(anchor, anchor)
        self._pattern = pattern
        self._regexes: dict[bool, re.Pattern[str]] = {}
        self._names = names
        self._known_names: dict[str, NameRule | None] = {}

    def find_hits(self, text: str, lowered: str) -> Iterator[Hit]:
        """Yield all values that are redacted because of a name with this anchor."""
        options = has_options(lowered)
        if options not in self._regexes:
            self._regexes[options] = re.compile(self._pattern + ASSIGNMENTS[options], re.ASCII)
        done = 0
        for match in self._regexes[options].finditer(lowered):
            if match.start() < done:
                continue
            hit = self._check_match(text, match)
            if hit:
                done = hit.end
                yield hit

    def _check_match(self, text: str, match: re.Match[str]) -> Hit | None:
        """Return the value behind a possible name as a hit; None if it needs no redaction."""
        start = _find_name_start(text, match.start())
        if not is_assignment(text, start, match):
            return None
        name_rule = self._find_name_rule(text, start, match)
        if name_rule is None:
            return None
        value = self._find_value(text, start, match, name_rule)
        if value is None:
            return None
        # A quoted name is data, JSON mostly: a mark without quotation marks would break the syntax.
        quotes = 0 if match.group("close") else value.quotes
        rule = f"name:{name_rule.words}"
        return Hit(value.start, value.end, rule, fully_hidden=True, quotes=quotes)

    def _find_name_rule(self, text: str, start: int, match: re.Match[str]) -> NameRule | None:
        """Return the rule of the name, or of it and the word before: ``API key: …``."""
        name = text[start : match.end("suffix")]
        if name not in self._known_names:
            if len(self._known_names) > _MAX_KNOWN_NAMES:
                self._known_names.clear()
            self._known_names[name] = self._names.find_rule(name)
        name_rule = self._known_names[name]
        if name_rule is None and start and text[start - 1] == " ":
            before = _LAST_WORD.search(text[max(0, start - _MAX_NAME_BEFORE) : start - 1])
            name_rule = self._names.find_rule(f"{before.group()} {name}") if before else None
        if name_rule is None and match.group("loose") is not None:
            name_rule = self._names.find_glued_rule(name)
        return name_rule

    def _find_value(
        self, text: str, start: int, match: re.Match[str], name_rule: NameRule
    ) -> Value | None:
        """Return the position of the value; None if there is none that needs redaction.

        The first characters decide. If every value were read to its end before it is rejected, the
        time would grow with the square of a text that is full of names.
        """
        position = match.end()
        # Behind a header's name stands a scheme, no type annotation.
        if name_rule.extent is not Extent.LINE:
            position = _skip_code(text, position)
        if self._is_no_value(text, position, match):
            return None
        is_weak = name_rule.extent is Extent.RANDOM_RUN or needs_random_value(text, start, match)
        preview = _WEAK_PREVIEW if is_weak or not name_rule.hides_numbers else _PREVIEW
        limit = min(position + preview, len(text))
        value = find_value_end(text, start, position, match, name_rule, limit)
        is_whole = value is not None and value.end < limit
        if value is None or self._is_allowed(text, value, match, name_rule, is_whole=is_whole):
            return None
        if is_weak and not looks_random(text[value.start : value.end]):
            return None
        if is_whole:
            return value
        return find_value_end(text, start, position, match, name_rule, len(text))

    def _is_no_value(self, text: str, position: int, match: re.Match[str]) -> bool:
        """Return whether a placeholder or code stands where the value would begin."""
        return bool(
            NO_VALUE.match(text, position)
            or COMPUTED.match(text, position)
            or (
                text[position : position + 1] not in QUOTES
                and is_code(text, position, match, self._names)
            )
        )

    def _is_allowed(
        self, text: str, value: Value, match: re.Match[str], name_rule: NameRule, *, is_whole: bool
    ) -> bool:
        """Return whether the value needs no redaction.

        Args:
            text: The text.
            value: The value, or its first characters.
            match: The match of the name and the assignment.
            name_rule: The rule of the name.
            is_whole: Whether `value` ends where the value does.
        """
        characters = text[value.start : value.end].strip()
        if is_placeholder(characters):
            return is_whole or value.end == len(text)
        if value.quotes:
            return False
        in_data = bool(match.group("close"))
        return is_plain_data(characters, name_rule, self._names, in_data=in_data)


def build_name_finders(names: NameList) -> list[NameFinder]:
    """Return one finder for each anchor of the list."""
    patterns: dict[str, list[str]] = {}
    for name_rule in names.rules:
        words = name_rule.words.split()
        ends_with_anchor = len(words) > 1 and words[-1] in {"key", "pass", "token"}
        anchor = words[-1] if ends_with_anchor else words[0]
        patterns.setdefault(anchor, []).append(_build_context(words, ends_with_anchor))
    # An anchor that begins with another one is found by the finder of the shorter one.
    anchors = [
        anchor
        for anchor in patterns
        if not any(anchor != other and anchor.startswith(other) for other in patterns)
    ]
    return [NameFinder(anchor, _build_pattern(anchor, patterns), names) for anchor in anchors]


def _build_context(words: list[str], ends_with_anchor: bool) -> str:
    """Return a regex for the words around the anchor; empty if any words may stand there."""
    if ends_with_anchor and words[-1] == "key":
        word = re.escape(words[-2])
        return rf"(?:(?<={word}.key)|(?<={word}key))"
    return "" if ends_with_anchor else "".join(rf"[ _.\-]?{re.escape(word)}" for word in words[1:])


def _build_pattern(anchor: str, patterns: dict[str, list[str]]) -> str:
    """Return the regex of an anchor and the words around it.

    The anchor stands first, as a literal: `re` searches for it as fast as `str.find` does.
    """
    contexts = patterns[anchor]
    has_longer = any(other != anchor and other.startswith(anchor) for other in patterns)
    context = "" if has_longer or "" in contexts else f"(?:{'|'.join(sorted(set(contexts)))})"
    if context and anchor == "key":  # before most keys stands nothing: one test decides for all
        context = f"(?:(?<=[a-z0-9][ _.\\-]key)|(?<=[a-z0-9]key)){context}"
    has_plural = f"{anchor}s" in patterns or anchor.endswith("s") or anchor in PLURAL_WORDS
    no_plural = "" if has_plural else "(?!s(?![a-z]))"
    return f"{re.escape(anchor)}{context}{no_plural}"


def _find_name_start(text: str, position: int) -> int:
    """Return where the name around a position begins; an escape before it is no part of it."""
    before = text[max(0, position - _MAX_NAME_BEFORE) : position]
    start = position - (len(before) - len(before.rstrip(_NAME_CHARACTERS)))
    if start < position and start and text[start - 1] == "\\":
        start += 1
    return start


def _skip_code(text: str, position: int) -> int:
    """Return the position behind a type or a lookup, of which the default counts.

    Examples are ``password: str = "…"``, ``secret := []byte{…}`` and ``pwd = getenv("PWD", "…")``.
    """
    matches = (skipped.match(text, position) for skipped in (_ANNOTATION, _BYTE_LIST, _LOOKUP))
    return next((match.end() for match in matches if match), position)
