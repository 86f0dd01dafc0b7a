"""Finds every secret in a text and writes the text without them.

1. The prefilter looks for the literals of all rules. Most texts hold none, and then no regex runs.
2. The finders whose literals occur search the text as it is, and again with its escapes decoded,
   level by level. Positions in a decoded text are mapped back to the original text.
3. Overlapping hits are merged, and a mark replaces each of them.
4. All of this is repeated until nothing is found, because a mark can join with its neighbours to a
   new match.
"""

from __future__ import annotations

import re
from secrets import token_bytes
from typing import TYPE_CHECKING, Callable, Iterable, Iterator, NamedTuple

from lupis_instrument._redaction.copies import find_copies
from lupis_instrument._redaction.escapes import (
    View,
    decode,
    decode_with_positions,
    find_escapes,
    keep_escaped_lines,
    stand_for_letters,
)
from lupis_instrument._redaction.hits import Hit, merge_hits
from lupis_instrument._redaction.prefilter import SHAPE, Prefilter
from lupis_instrument._redaction.rule_finders import Finder, build_rule_finders
from lupis_instrument._redaction.rules import RULES
from lupis_instrument._redaction.values import build_name_finders

if TYPE_CHECKING:
    from lupis_instrument._redaction.modes import Mode
    from lupis_instrument._redaction.names import NameList

# Escapes within escapes (a URL in a URL in a JSON string) are decoded to this depth.
_MAX_LEVELS = 5
# A mark makes a new match only where two secrets touch. A text that needs more rounds than this
# never settles and is given up.
_MAX_ROUNDS = 6
_MAX_KNOWN_MARKS = 256
# Finds whether a short text can have one of the shapes for which the prefilter has no literal.
_SHAPES = re.compile(r"[0-9]{4}[ \-]?[0-9]{4}[0-9 \-]{4}|[0-9]{3}-[0-9]{2}-[0-9]{4}|\S{49}")


class UnsettledError(Exception):
    """Every round of redacting a text made a new match."""


class DecodedLevel(NamedTuple):
    """The lines of a text that have escapes, decoded once more than in the level before.

    Attributes:
        separate: Whether escaped letters and digits were read as separators.
        escapes: The different escapes that were decoded in this level.
        text: The decoded lines.
    """

    separate: bool
    escapes: set[str]
    text: str


class Engine:
    """All rules together.

    Attributes:
        mode: How secrets are redacted.

    Args:
        mode: How secrets are redacted.
        names: The names that hide their values.
        custom_finders: Further finders, each with a literal that must occur for it to run ("" if
            it always runs).
    """

    def __init__(
        self, mode: Mode, names: NameList, custom_finders: Iterable[tuple[str, Finder]] = ()
    ) -> None:
        self.mode = mode
        finders: list[tuple[str, Finder]] = list(custom_finders)
        for rule in RULES:
            finders += build_rule_finders(rule)
        finders += [(finder.literal, finder) for finder in build_name_finders(names)]
        self._prefilter = Prefilter(finders)
        # Most calls of a program send the same credentials. No secret is kept: the keys are hashes
        # under a key of this process.
        self._hash_key = token_bytes(32)
        self._known_marks: dict[bytes, str] = {}

    def prefilter_texts(self, texts: list[str]) -> Callable[[str], bool] | None:
        """Look for the rules' literals in many texts at once, which is faster than one by one.

        Returns:
            A function that returns whether one of the texts may hold a secret; None if none does.
        """
        joined = "\n".join(texts)
        if _has_escapes(joined):
            joined = "\n".join([joined, *(level.text for level in _decode_levels(joined))])
        literals = {literal for literal, _ in self._prefilter.choose_finders(_lower_ascii(joined))}
        if not literals:
            return None
        has_shapes = SHAPE in literals
        literals.discard(SHAPE)
        return lambda text: (
            _contains_any(text, literals)
            or _has_escapes(text)
            or bool(has_shapes and _SHAPES.search(text))
        )

    def find_hits(self, text: str) -> list[Hit]:
        """Return the parts of the text that are to be redacted, in order and without overlaps."""
        levels = list(_decode_levels(text)) if _has_escapes(text) else []
        finders = self._choose_finders("\n".join([text, *(level.text for level in levels)]))
        if not finders:
            return []
        hits = _run_finders(finders, text)
        views: dict[bool, list[View]] = {False: [], True: []}
        for separate, escapes, _ in levels:
            chain = views[separate]
            encoded = chain[-1].text if chain else text
            chain.append(decode_with_positions(encoded, escapes, separate=separate))
            hits += [_map_to_original(hit, chain) for hit in _run_finders(finders, chain[-1].text)]
        return merge_hits([*hits, *find_copies(text, hits)]) if hits else []

    def redact_text(self, text: str) -> str:
        """Return the text with its secrets redacted; the same object if it has none.

        Raises:
            UnsettledError: Every round made a new match.
        """
        for _ in range(_MAX_ROUNDS):
            hits = self.find_hits(text)
            if not hits:
                return text
            text = self._write_marks(text, hits)
        raise UnsettledError

    def mark_named_value(self, value: str) -> str:
        """Return the mark of a value that is redacted for its name.

        If a value rule matches all of the value, its mark tells more: the ends, or a hash.
        """
        # Lists such as cookies and parameters: no value rule that shows ends matches across these.
        if self.mode.name == "remove" or ";" in value or "," in value:
            return self.mode.full_mark
        key = self._hash_value(value)
        mark = self._known_marks.get(key)
        if mark is None:
            if len(self._known_marks) >= _MAX_KNOWN_MARKS:
                self._known_marks.clear()
            mark = self._known_marks[key] = self._choose_value_mark(value)
        return mark

    def _hash_value(self, value: str) -> bytes:
        # Imported here because it loads OpenSSL, which a program without secrets never needs.
        from hashlib import sha256

        return sha256(self._hash_key + value.encode("utf-8", "surrogatepass")).digest()

    def _choose_value_mark(self, value: str) -> str:
        hits = merge_hits(_run_finders(self._choose_finders(value), value))
        is_whole = len(hits) == 1 and hits[0][:2] == (0, len(value)) and not hits[0].fully_hidden
        return self.mode.mark_secret(value) if is_whole else self.mode.full_mark

    def _choose_finders(self, text: str) -> dict[Finder, None]:
        """Return the finders whose literals occur: each once, in a fixed order."""
        chosen = self._prefilter.choose_finders(_lower_ascii(text))
        return dict.fromkeys(finder for _, finder in chosen)

    def _write_marks(self, text: str, hits: list[Hit]) -> str:
        """Return the text with a mark instead of each hit.

        Modes ``remove`` and ``hash`` also replace the quotation marks around a fully hidden value.
        """
        pieces: list[str] = []
        done = 0
        for hit in hits:
            quotes = hit.quotes if hit.fully_hidden and self.mode.name != "mask" else 0
            pieces += (text[done : max(done, hit.start - quotes)], self._choose_mark(text, hit))
            done = hit.end + quotes
        pieces.append(text[done:])
        return "".join(pieces)

    def _choose_mark(self, text: str, hit: Hit) -> str:
        if hit.fully_hidden:
            return self.mode.full_mark
        return self.mode.mark_secret(text[hit.start : hit.end])


def _has_escapes(text: str) -> bool:
    """Return whether a text may have escapes: a cheap test that is sometimes wrong with True."""
    if "%" in text or "\\" in text or ("&" in text and ";" in text):
        return True
    return "\x1b" in text or "\x00" in text or (not text.isascii() and _has_homoglyphs(text))


def _has_homoglyphs(text: str) -> bool:
    # Imported here because most programs send plain ASCII and never load Unicode's data.
    from lupis_instrument._redaction.homoglyphs import has_homoglyphs

    return has_homoglyphs(text)


def _decode_levels(text: str) -> Iterator[DecodedLevel]:
    """Decode the lines of a text that have escapes, level by level, until no escape is left.

    An escaped letter or digit is ambiguous. It may belong to the word around it (``%70assword``),
    or it may end something else, so that a key begins behind it (``%51sk-…``). A text with such
    escapes is decoded in both readings.
    """
    escaped = keep_escaped_lines(text)
    has_letters = False
    for separate in (False, True):
        plain = escaped
        for _ in range(_MAX_LEVELS):
            escapes = find_escapes(plain)
            if not escapes:
                break
            has_letters = has_letters or stand_for_letters(escapes)
            plain = decode(plain, escapes, separate=separate)
            yield DecodedLevel(separate, escapes, plain)
            if not _has_escapes(plain):
                break
        if not has_letters:
            return


def _lower_ascii(text: str) -> str:
    """Return the text with its ASCII letters in lower case.

    `str.lower` would change the length of other characters (``İ``) and so move positions.
    """
    if text.isascii():
        return text.lower()
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def _contains_any(text: str, literals: Iterable[str]) -> bool:
    """Return whether one of the literals occurs in the text, in any case."""
    lowered = _lower_ascii(text)
    return any(literal in lowered for literal in literals)


def _run_finders(finders: Iterable[Finder], text: str) -> list[Hit]:
    if not finders:
        return []
    lowered = _lower_ascii(text)
    return [hit for finder in finders for hit in finder.find_hits(text, lowered)]


def _map_to_original(hit: Hit, views: list[View]) -> Hit:
    """Return a hit in the last view with its positions in the original text."""
    start, end = hit.start, hit.end
    for view in reversed(views):
        start, end = view.map_position(start), view.map_position(end)
    return Hit(start, end, hit.rule, hit.fully_hidden)
