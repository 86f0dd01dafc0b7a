"""Finds every secret in a text and writes the text without them."""

from __future__ import annotations

import re
from typing import Iterable, Iterator, NamedTuple, Protocol

from .escapes import View, decode, has_escapes
from .hits import Hit, merge
from .modes import Mode, is_mark
from .names import NameList
from .prefilter import Prefilter
from .rules import RULES, Rule
from .values import build_finders

# Escapes within escapes (a URL in a URL in a JSON string) are undone this deep.
_LEVELS = 3
# Hiding one secret can bring another to light only where two touch; more rounds than this never
# come to rest, and a text that doesn't is given up.
_ROUNDS = 6


class Redaction(NamedTuple):
    """A secret found in a text: the rule that found it, where it begins, where it ends (exclusive)."""

    rule: str
    start: int
    end: int


class Finder(Protocol):
    """Anything that finds secrets in a text, given also with its ASCII letters in lower case."""

    def find(self, text: str, lowered: str) -> Iterator[Hit]: ...


class RuleFinder:
    """Applies one row of the rules."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._regex: re.Pattern[str] | None = None

    def find(self, text: str, lowered: str) -> Iterator[Hit]:  # noqa: ARG002 - the protocol's
        """All matches that pass the rule's check."""
        if self._regex is None:
            self._regex = re.compile(self._rule.regex, re.ASCII)
        check = self._rule.check
        group = "secret" if "secret" in self._regex.groupindex else 0
        for match in self._regex.finditer(text):
            secret = match.group(group)
            if not is_mark(secret) and (check is None or check(secret)):
                start, end = match.span(group)
                yield Hit(start, end, self._rule.id, self._rule.concealed)


class Unsettled(Exception):  # noqa: N818 - named for what happened
    """A text in which hiding secrets goes on making new ones."""


class Engine:
    """All rules together.

    Args:
        mode: How secrets are written.
        names: The names that hide their values.
        extra: Further finders, each with a literal that must occur for it to be asked ("" for always).
    """

    def __init__(
        self, mode: Mode, names: NameList, extra: Iterable[tuple[str, Finder]] = ()
    ) -> None:
        self.mode = mode
        entries: list[tuple[str, Finder]] = list(extra)
        for rule in RULES:
            finder = RuleFinder(rule)
            entries += [(literal, finder) for literal in rule.literals]
        entries += [(finder.anchor, finder) for finder in build_finders(names)]
        self._prefilter = Prefilter(entries)

    def choose(self, text: str) -> list[Finder]:
        """The finders that have to look at this text, as it is or with its escapes undone."""
        chosen = self._prefilter.choose(_lower_bytes(text))
        for view in _views(text):
            chosen += self._prefilter.choose(_lower_bytes(view[-1].text))
        return chosen

    def hits(self, text: str) -> list[Hit]:
        """The parts of the text that are to be hidden, in order, none overlapping another."""
        found = self._look(text)
        for views in _views(text):
            found += [_to_origin(hit, views) for hit in self._look(views[-1].text)]
        return merge(found)

    def redact(self, text: str) -> str:
        """The text with its secrets hidden; the same object if it has none.

        Raises:
            Unsettled: Hiding didn't come to an end.
        """
        for _ in range(_ROUNDS):
            hits = self.hits(text)
            if not hits:
                return text
            text = self._write(text, hits)
        raise Unsettled

    def covers(self, text: str) -> bool:
        """Whether one value rule matches all of the text, so that it may be shown as that rule does."""
        hits = self.hits(text)
        return len(hits) == 1 and hits[0][:2] == (0, len(text)) and not hits[0].concealed

    def _look(self, text: str) -> list[Hit]:
        data = _lower_bytes(text)
        finders = self._prefilter.choose(data)
        if not finders:
            return []
        lowered = data.decode("utf-8", "surrogatepass")
        return [hit for finder in dict.fromkeys(finders) for hit in finder.find(text, lowered)]

    def _write(self, text: str, hits: list[Hit]) -> str:
        pieces: list[str] = []
        done = 0
        for hit in hits:
            quotes = hit.quotes if hit.concealed and self.mode.name != "mask" else 0
            pieces += (text[done : max(done, hit.start - quotes)], self._mark(text, hit))
            done = hit.end + quotes
        pieces.append(text[done:])
        return "".join(pieces)

    def _mark(self, text: str, hit: Hit) -> str:
        if hit.concealed:
            return self.mode.named
        return self.mode.value(text[hit.start : hit.end])


def _lower_bytes(text: str) -> bytes:
    """UTF-8 with ASCII letters in lower case: `str.lower` would move characters (``İ``)."""
    return text.encode("utf-8", "surrogatepass").lower()


def _views(text: str) -> Iterator[list[View]]:
    """The text with its escapes undone, level by level; each with those it came through."""
    views: list[View] = []
    while len(views) < _LEVELS and has_escapes(text):
        view = decode(text)
        if view is None:
            return
        views.append(view)
        text = view.text
        yield views


def _to_origin(hit: Hit, views: list[View]) -> Hit:
    start, end = hit.start, hit.end
    for view in reversed(views):
        start, end = view.origin(start), view.origin(end)
    return Hit(start, end, hit.rule, hit.concealed)
