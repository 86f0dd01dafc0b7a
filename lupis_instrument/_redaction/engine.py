"""Finds every secret in a text and writes the text without them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Callable, Iterable, Iterator, NamedTuple, Protocol

from lupis_instrument._redaction.escapes import (
    View,
    decode,
    decode_with_places,
    find_escapes,
    has_escapes,
    has_letters,
    keep_escaped,
)
from lupis_instrument._redaction.hits import Hit, merge
from lupis_instrument._redaction.modes import Mode, is_mark
from lupis_instrument._redaction.prefilter import SHAPE, Prefilter, card_places
from lupis_instrument._redaction.rules import RULES, Rule
from lupis_instrument._redaction.values import build_finders

if TYPE_CHECKING:
    from lupis_instrument._redaction.names import NameList

# Escapes within escapes (a URL in a URL in a JSON string) are undone this deep.
_LEVELS = 5
# Hiding one secret can bring another to light only where two touch; more rounds than this never
# come to rest, and a text that doesn't is given up.
_ROUNDS = 6
# Whether a short text can have one of the shapes for which there is no literal.
_SHAPES = re.compile(r"[0-9]{4}[ \-]?[0-9]{4}[0-9 \-]{4}|[0-9]{3}-[0-9]{2}-[0-9]{4}|\S{57}")


class Redaction(NamedTuple):
    """A secret found in a text: the rule that found it, its start and its end (exclusive)."""

    rule: str
    start: int
    end: int


class Finder(Protocol):
    """Anything that finds secrets in a text, given also with its ASCII letters in lower case."""

    def find(self, text: str, lowered: str) -> Iterator[Hit]: ...


class RuleFinder:
    """Applies one row of the rules, or one of its prefixes."""

    def __init__(self, rule: Rule, regex: str) -> None:
        self._rule = rule
        self._source = regex
        self._regex: re.Pattern[str] | None = None

    def find(self, text: str, lowered: str) -> Iterator[Hit]:
        """All matches that pass the rule's check."""
        matches = self._compiled().finditer(lowered if self._rule.fold else text)
        return (hit for match in matches for hit in self._hit(text, match))

    def find_at(self, text: str, place: int) -> Iterator[Hit]:
        """The match that begins at this place, if there is one that passes the rule's check."""
        match = self._compiled().match(text, place)
        return self._hit(text, match) if match else iter(())

    def _compiled(self) -> re.Pattern[str]:
        if self._regex is None:
            self._regex = re.compile(self._source, re.ASCII)
        return self._regex

    def _hit(self, text: str, match: re.Match[str]) -> Iterator[Hit]:
        groups = match.re.groupindex
        start, end = match.span("secret" if "secret" in groups else 0)
        if "head" in groups:
            start = match.start("head")
        secret, rule = text[start:end], self._rule
        if not is_mark(secret) and (rule.check is None or rule.check(secret)):
            yield Hit(start, end, rule.id, rule.concealed)


class DigitFinder(RuleFinder):
    """Applies a rule for long numbers, at the places only where there are some."""

    def find(self, text: str, lowered: str) -> Iterator[Hit]:
        """As any rule, but of plain text only the long runs of digits are looked at."""
        if not text.isascii():
            return super().find(text, lowered)
        return (hit for place in card_places(lowered) for hit in self.find_at(text, place))


def find_by_rule(rule: Rule) -> Iterator[tuple[str, RuleFinder]]:
    """The finders of a rule, each with the literal that calls for it."""
    if len(rule.regexes) == 1:
        kind = DigitFinder if rule.literals == ("#digits",) else RuleFinder
        finder = kind(rule, rule.regexes[0])
        yield from ((literal, finder) for literal in rule.literals)
    else:
        for literal, regex in zip(rule.literals, rule.regexes):
            yield literal, RuleFinder(rule, regex)


class Unsettled(Exception):  # noqa: N818 - named for what happened
    """A text in which hiding secrets goes on making new ones."""


class Engine:
    """All rules together.

    Args:
        mode: How secrets are written.
        names: The names that hide their values.
        extra: Further finders, each with a literal that must occur for it to be asked ("" for
            always).
    """

    def __init__(
        self, mode: Mode, names: NameList, extra: Iterable[tuple[str, Finder]] = ()
    ) -> None:
        self.mode = mode
        entries: list[tuple[str, Finder]] = list(extra)
        for rule in RULES:
            entries += find_by_rule(rule)
        entries += [(finder.literal, finder) for finder in build_finders(names)]
        self._prefilter = Prefilter(entries)

    def sift(self, texts: list[str]) -> Callable[[str], bool] | None:
        """Look at many texts at once, as one.

        Returns:
            What tells of each of them whether it has to be redacted; None if none has.
        """
        joined = "\n".join(texts)
        if has_escapes(joined):
            joined = "\n".join([joined, *(plain for _, _, plain in _plain(joined))])
        literals = {literal for literal, _ in self._prefilter.choose(_lower(joined))}
        if not literals:
            return None
        shapes = SHAPE in literals
        literals.discard(SHAPE)
        return lambda text: (
            _holds(text, literals) or has_escapes(text) or bool(shapes and _SHAPES.search(text))
        )

    def hits(self, text: str) -> list[Hit]:
        """The parts of the text that are to be hidden, in order, none overlapping another."""
        plain = list(_plain(text))
        finders = self._choose("\n".join([text, *(each for _, _, each in plain)]))
        if not finders:
            return []
        found = _find(finders, text)
        views: dict[bool, list[View]] = {False: [], True: []}
        for apart, escapes, _ in plain:
            chain = views[apart]
            last = chain[-1].text if chain else text
            chain.append(decode_with_places(last, escapes, apart=apart))
            found += [_to_origin(hit, chain) for hit in _find(finders, chain[-1].text)]
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

    def mark_hidden(self, text: str) -> str:
        """What stands for a text hidden for its name, unless a value rule matches all of it."""
        # Cookies, parameters: no rule for a value that may be shown matches across these.
        if self.mode.name == "remove" or ";" in text or "," in text:
            return self.mode.named
        hits = merge(self._look(text))
        whole = len(hits) == 1 and hits[0][:2] == (0, len(text)) and not hits[0].concealed
        return self.mode.value(text) if whole else self.mode.named

    def _look(self, text: str) -> list[Hit]:
        return _find(self._choose(text), text)

    def _choose(self, text: str) -> dict[Finder, None]:
        return dict.fromkeys(finder for _, finder in self._prefilter.choose(_lower(text)))

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


def _lower(text: str) -> str:
    """The text, ASCII letters in lower case: for others `str.lower` may move characters (``İ``)."""
    if text.isascii():
        return text.lower()
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def _holds(text: str, literals: Iterable[str]) -> bool:
    lowered = _lower(text)
    return any(literal in lowered for literal in literals)


def _plain(text: str) -> Iterator[tuple[bool, set[str], str]]:
    """The lines of a text that have escapes, with these undone, level by level.

    Where letters or digits are escaped, there are two ways of reading it: as what is written so
    (``%70assword``), and as the end of something else, behind which a key may begin.

    Yields:
        Whether they are read in the second way, the escapes of the level, the text without them.
    """
    if not has_escapes(text):
        return
    escaped = keep_escaped(text)
    letters = False
    for apart in (False, True):
        plain = escaped
        for _ in range(_LEVELS):
            escapes = find_escapes(plain)
            if not escapes:
                break
            letters = letters or has_letters(escapes)
            plain = decode(plain, escapes, apart=apart)
            yield apart, escapes, plain
            if not has_escapes(plain):
                break
        if not letters:
            return


def _find(finders: Iterable[Finder], text: str) -> list[Hit]:
    if not finders:
        return []
    lowered = _lower(text)
    return [hit for finder in finders for hit in finder.find(text, lowered)]


def _to_origin(hit: Hit, views: list[View]) -> Hit:
    start, end = hit.start, hit.end
    for view in reversed(views):
        start, end = view.origin(start), view.origin(end)
    return Hit(start, end, hit.rule, hit.concealed)
