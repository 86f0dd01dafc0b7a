"""Decides by fast looks for fixed parts which rules can match a text at all; mostly none can.

How a literal is written says where it is looked for; each in lower case:

- ``bearer``: a word, anywhere in the text; one within another is looked for first;
- ``!q~``: anywhere, where its rarest character occurs; ``@&://``: where that before the ``&`` does;
- ``ghp_``: letters or digits, then one of ``_-.``: in the long runs of characters that keys consist
  of, where ``ghp`` stands between such separators;
- `` aiza``, with a blank before: in the long runs;
- ``20 akia``: in the long runs, where a piece between separators has as many characters and begins
  so; the first four characters count;
- ``=us6``: in the long runs, a whole piece between separators;
- ``#digits``, ``#ssn``, ``#dotted``: shapes without a fixed part.
"""

from __future__ import annotations

import re
from typing import Generic, Iterable, TypeVar

Finder = TypeVar("Finder")

# Keys are long: their fixed parts are looked up in runs of at least this many characters only.
RUN = 16
_TOKEN = b"abcdefghijklmnopqrstuvwxyz0123456789_-."
_ALNUM = _TOKEN[:36]
_SEPARATORS = b"_-."
_TO_RUNS = bytes(97 if bytes((code,)) in _TOKEN else 32 for code in range(256))
_TO_PIECES = bytes(32 if bytes((code,)) in _SEPARATORS else code for code in range(256))
TO_ZEROS = bytes(48 if bytes((code,)).isdigit() else code for code in range(256))
_LONG = b"a" * RUN
DIGITS = (b"0" * 14, b"0000 0000 0000 ", b"0000-0000-0000-", b"0000 000000 0", b"0000-000000-0")
_FOUR = b"0000"
# Stands for the literal where a shape called for a rule.
SHAPE = "#"
_SSN = b"000-00-0000"
# Without one of these nothing leads from a name to a value.
_LEADS = re.compile(r"[ =:\"'>\n\t]")
_PIECE = re.compile(r"[a-z0-9]+[_\-.]")
_DOTTED = 56
_BEGINNING = 4


class Prefilter(Generic[Finder]):
    """Finders by the literals that must occur for them to find anything."""

    def __init__(self, entries: Iterable[tuple[str, Finder]]) -> None:
        # Looked for in `str`, whose `in` costs a tenth of that of `bytes`.
        self._words: list[tuple[str, list[Finder]]] = []
        self._marked: list[tuple[str, str, list[Finder]]] = []
        self._starts: dict[bytes, list[Finder]] = {}
        self._inside: list[tuple[bytes, list[Finder]]] = []
        self._pieces: dict[bytes, list[tuple[bytes, list[Finder]]]] = {}
        self._shapes: dict[str, list[Finder]] = {}
        places: dict[str, list[Finder]] = {}
        for literal, finder in entries:
            places.setdefault(literal, []).append(finder)
        for literal, finders in places.items():
            self._file(literal, finders)
        self._prefixes = frozenset(self._pieces)
        self._beginnings = frozenset(self._starts)

    def _file(self, literal: str, finders: list[Finder]) -> None:
        data = literal.encode()
        if not literal:
            self._marked.append(("", "", finders))
        elif literal[:1] == "#":
            self._shapes[literal] = finders
        elif literal[:1] == " ":
            for start in _beginnings(data[1:]):
                self._starts.setdefault(start, []).extend(finders)
        elif literal[:1] == "+":
            self._inside.append((data[1:], finders))
        elif literal[:1] == "=" or _PIECE.match(literal):
            piece = data[1:] if literal[:1] == "=" else re.split(b"[_.-]", data)[0]
            fixed = piece if literal[:1] == "=" else data
            self._pieces.setdefault(piece, []).append((fixed, finders))
        elif literal[1:2] == "&" and literal[0] != "!":
            self._marked.append((literal[0], literal[2:], finders))
        elif literal[:1] == "!":
            self._marked.append((_rarest(literal[1:]), literal[1:], finders))
        else:
            self._words.append((literal, finders))

    def choose(self, lowered: str) -> list[tuple[str, Finder]]:
        """The finders that have to look at this text, each with the literal that calls for it.

        Args:
            lowered: The text, its ASCII letters in lower case.
        """
        found = [e for e in self._words if e[0] in lowered] if _LEADS.search(lowered) else []
        found += [e[1:] for e in self._marked if e[0] in lowered and e[1] in lowered]
        chosen = [(literal, finder) for literal, finders in found for finder in finders]
        data = lowered.encode("utf-8", "surrogatepass")
        zeros = data.translate(TO_ZEROS)
        if _SSN in zeros:
            chosen += self._by_shape("#ssn")
        if _FOUR in zeros and any(digits in zeros for digits in DIGITS):
            chosen += self._by_shape("#digits")
        runs = long_runs(data)
        if runs:
            chosen += self._choose_by_runs(runs)
        return chosen

    def _choose_by_runs(self, runs: list[bytes]) -> list[tuple[str, Finder]]:
        joined = b" ".join(runs)
        pieces = joined.translate(_TO_PIECES).split()
        found = [entry for entry in self._inside if entry[0] in joined]
        for piece in self._prefixes.intersection(pieces):
            found += [entry for entry in self._pieces[piece] if entry[0] in joined]
        for start in self._beginnings.intersection([piece[:_BEGINNING] for piece in pieces]):
            found.append((start, self._starts[start]))
        chosen = [(literal.decode(), finder) for literal, finders in found for finder in finders]
        if b"." in joined and any(len(run) > _DOTTED and b"." in run for run in runs):
            chosen += self._by_shape("#dotted")
        return chosen

    def _by_shape(self, shape: str) -> list[tuple[str, Finder]]:
        return [(SHAPE, finder) for finder in self._shapes.get(shape, ())]


def _beginnings(literal: bytes) -> list[bytes]:
    """All beginnings of the length compared that a piece with this start can have."""
    if len(literal) >= _BEGINNING:
        return [literal[:_BEGINNING]]
    return [start for one in _ALNUM for start in _beginnings(literal + bytes((one,)))]


def _rarest(literal: str) -> str:
    """The character of the literal to look for first: searching for one takes almost no time."""
    signs = re.findall(r"[^a-z0-9 ]", literal)
    return min(signs, key="-._:/=".find) if signs else literal[:1]


def long_runs(data: bytes) -> list[bytes]:
    """The unbroken runs of characters that keys are made of."""
    marked = data.translate(_TO_RUNS)
    runs = []
    start = marked.find(_LONG)
    while start >= 0:
        end = marked.find(b" ", start)
        runs.append(data[start : end if end >= 0 else None])
        start = marked.find(_LONG, end) if end >= 0 else -1
    return runs
