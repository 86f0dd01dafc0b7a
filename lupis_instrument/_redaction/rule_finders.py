"""Applies the value rules to a text: each regex of a rule becomes a finder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Iterator, Protocol

from lupis_instrument._redaction.hits import Hit
from lupis_instrument._redaction.modes import is_mark
from lupis_instrument._redaction.prefilter import find_card_positions

if TYPE_CHECKING:
    from lupis_instrument._redaction.rules import Rule


class Finder(Protocol):
    """An object that finds secrets in a text."""

    def find_hits(self, text: str, lowered: str) -> Iterator[Hit]:
        """Yield the secrets of a text.

        Args:
            text: The text.
            lowered: The same text with its ASCII letters in lower case.
        """


class RuleFinder:
    """Finds the matches of one regex of a rule."""

    def __init__(self, rule: Rule, regex: str) -> None:
        self._rule = rule
        self._source = regex
        self._regex: re.Pattern[str] | None = None

    def find_hits(self, text: str, lowered: str) -> Iterator[Hit]:
        """Yield all matches that pass the rule's check."""
        matches = self._compile_regex().finditer(lowered if self._rule.lowercase else text)
        return (hit for match in matches for hit in self._check_match(text, match))

    def find_at(self, text: str, position: int) -> Iterator[Hit]:
        """Yield the match that begins at a position, if it passes the rule's check."""
        match = self._compile_regex().match(text, position)
        return self._check_match(text, match) if match else iter(())

    def _compile_regex(self) -> re.Pattern[str]:
        """Return the regex, compiled on its first use: most rules are never needed."""
        if self._regex is None:
            self._regex = re.compile(self._source, re.ASCII)
        return self._regex

    def _check_match(self, text: str, match: re.Match[str]) -> Iterator[Hit]:
        """Yield the secret part of a match, unless it is a mark or fails the rule's check."""
        groups = match.re.groupindex
        start, end = match.span("secret" if "secret" in groups else 0)
        if "head" in groups:
            start = match.start("head")
        secret, rule = text[start:end], self._rule
        if not is_mark(secret) and (rule.check is None or rule.check(secret)):
            yield Hit(start, end, rule.id, rule.fully_hidden)


class DigitFinder(RuleFinder):
    """Finds long numbers; of plain text it looks at the long runs of digits only."""

    def find_hits(self, text: str, lowered: str) -> Iterator[Hit]:
        """Yield all matches that pass the rule's check."""
        if not text.isascii():
            return super().find_hits(text, lowered)
        positions = find_card_positions(lowered)
        return (hit for position in positions for hit in self.find_at(text, position))


def build_rule_finders(rule: Rule) -> Iterator[tuple[str, RuleFinder]]:
    """Yield the finders of a rule, each with a literal that must occur for it to run."""
    if len(rule.regexes) == 1:
        finder_class = DigitFinder if rule.literals == ("#digits",) else RuleFinder
        finder = finder_class(rule, rule.regexes[0])
        yield from ((literal, finder) for literal in rule.literals)
    else:
        for literal, regex in zip(rule.literals, rule.regexes):
            yield literal, RuleFinder(rule, regex)
