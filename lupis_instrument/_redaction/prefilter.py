"""Decides by fast looks for fixed parts which rules can match a text at all; mostly none can.

How a literal is written says where it is looked for; each in lower case:

- ``bearer``: a word, anywhere in the text;
- ``!q~``: anywhere, where its rarest character occurs; ``@&://``: where that before the ``&`` does;
- ``ghp_``: letters or digits, then one of ``_-.``: in the long runs of characters that keys consist
  of, where ``ghp`` stands between such separators;
- `` akia``, with a blank before: in the long runs, at the start or after a separator; of longer ones
  the first four characters count;
- ``=us6``: in the long runs, a whole piece between separators;
- ``+_mmk``: anywhere in a long run;
- ``#digits``, ``#ssn``, ``#dotted``: shapes without a fixed part.
"""

from __future__ import annotations

import re
from typing import Generic, Iterable, Tuple, TypeVar

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
_SSN = b"000-00-0000"
_PIECE = re.compile(r"[a-z0-9]+[_\-.]")
_DOTTED = 56
_BEGINNING = 4
_LEADS = (b" ", b"=", b":", b'"', b"'", b">", b"\n", b"\t")


class Prefilter(Generic[Finder]):
    """Finders by the literals that must occur for them to find anything."""

    def __init__(self, entries: Iterable[Tuple[str, Finder]]) -> None:
        self._words: list[tuple[bytes, list[Finder]]] = []
        self._marked: list[tuple[bytes, bytes, list[Finder]]] = []
        self._starts: dict[bytes, list[Finder]] = {}
        self._inside: list[tuple[bytes, list[Finder]]] = []
        self._pieces: dict[bytes, list[tuple[bytes, Finder]]] = {}
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
            self._marked.append((b"", b"", finders))
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
            self._pieces.setdefault(piece, []).extend((fixed, finder) for finder in finders)
        elif literal[1:2] == "&" and literal[0] != "!":
            self._marked.append((data[:1], data[2:], finders))
        elif literal[:1] == "!":
            self._marked.append((_rarest(data[1:]), data[1:], finders))
        else:
            self._words.append((data, finders))

    def choose(self, data: bytes) -> list[tuple[bytes, Finder]]:
        """The finders that have to look at this text, each with the literal that calls for it.

        Args:
            data: The text in UTF-8, its ASCII letters in lower case.
        """
        found = [entry for entry in self._words if entry[0] in data] if _leads(data) else []
        found += [entry[1:] for entry in self._marked if entry[0] in data and entry[1] in data]
        chosen = [(literal, finder) for literal, finders in found for finder in finders]
        zeros = data.translate(TO_ZEROS)
        if _SSN in zeros:
            chosen += self._by_shape("#ssn")
        if any(digits in zeros for digits in DIGITS):
            chosen += self._by_shape("#digits")
        runs = long_runs(data)
        if runs:
            chosen += self._choose_by_runs(runs)
        return chosen

    def _choose_by_runs(self, runs: list[bytes]) -> list[tuple[bytes, Finder]]:
        joined = b" ".join(runs)
        pieces = joined.translate(_TO_PIECES).split()
        chosen = [(part, f) for part, finders in self._inside if part in joined for f in finders]
        for piece in self._prefixes.intersection(pieces):
            chosen += [entry for entry in self._pieces[piece] if entry[0] in joined]
        for start in self._beginnings.intersection([piece[:_BEGINNING] for piece in pieces]):
            chosen += [(start, finder) for finder in self._starts[start]]
        if b"." in joined and any(len(run) > _DOTTED and b"." in run for run in runs):
            chosen += self._by_shape("#dotted")
        return chosen

    def _by_shape(self, shape: str) -> list[tuple[bytes, Finder]]:
        """Shapes have no literal: the empty one occurs in every text."""
        return [(b"", finder) for finder in self._shapes.get(shape, ())]


def _beginnings(literal: bytes) -> list[bytes]:
    """All beginnings of the length compared that a piece with this start can have."""
    if len(literal) >= _BEGINNING:
        return [literal[:_BEGINNING]]
    return [start for one in _ALNUM for start in _beginnings(literal + bytes((one,)))]


def _leads(data: bytes) -> bool:
    """Whether anything can lead from a name to a value: a sign of assignment, a quote, a blank."""
    return any(sign in data for sign in _LEADS)


def _rarest(literal: bytes) -> bytes:
    """The character of the literal to look for first: searching for one takes almost no time."""
    signs = re.findall(rb"[^a-z0-9 ]", literal)
    return min(signs, key=b"-._:/=".find) if signs else literal[:1]


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
