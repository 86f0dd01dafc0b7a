"""Decides by fast looks for fixed parts which rules can match a text at all; mostly none can."""

from __future__ import annotations

import re
from typing import Generic, Iterable, Tuple, TypeVar

Finder = TypeVar("Finder")

# Keys are long: their fixed parts are looked up in runs of at least this many characters only.
RUN = 16
_TOKEN = b"abcdefghijklmnopqrstuvwxyz0123456789_-."
_SEPARATORS = b"_-."
_TO_RUNS = bytes(97 if bytes((code,)) in _TOKEN else 32 for code in range(256))
_TO_PIECES = bytes(32 if bytes((code,)) in _SEPARATORS else code for code in range(256))
_TO_ZEROS = bytes(48 if bytes((code,)).isdigit() else code for code in range(256))
_LONG = b"a" * RUN
_DIGITS = b"0" * 14
_SSN = b"000-00-0000"
_PIECE = re.compile(r"([a-z0-9]+)[_\-.]")


class Prefilter(Generic[Finder]):
    """Finders by the literals that must occur for them to find anything."""

    def __init__(self, entries: Iterable[Tuple[str, Finder]]) -> None:
        self._anywhere: list[tuple[bytes, bytes, list[Finder]]] = []
        self._starts: list[tuple[bytes, list[Finder]]] = []
        self._pieces: dict[bytes, list[tuple[bytes, Finder]]] = {}
        self._shapes: dict[bytes, list[Finder]] = {}
        places: dict[str, list[Finder]] = {}
        for literal, finder in entries:
            places.setdefault(literal, []).append(finder)
        for literal, finders in places.items():
            self._file(literal, finders)
        self._prefixes = frozenset(self._pieces)

    def _file(self, literal: str, finders: list[Finder]) -> None:
        data = literal.encode()
        piece = _PIECE.match(literal)
        if literal.startswith("#"):
            self._shapes[data] = finders
        elif literal.startswith(" "):
            self._starts.append((data, finders))
        elif piece:
            entries = self._pieces.setdefault(piece.group(1).encode(), [])
            entries += [(data, finder) for finder in finders]
        else:
            rare = re.search(r"[^a-z0-9 \-]", literal)
            self._anywhere.append((rare.group().encode() if rare else b"", data, finders))

    def choose(self, data: bytes) -> list[Finder]:
        """The finders that have to look at this text.

        Args:
            data: The text in UTF-8, its ASCII letters in lower case.
        """
        chosen = [f for rare, literal, found in self._anywhere if rare in data and literal in data for f in found]
        zeros = data.translate(_TO_ZEROS)
        if _SSN in zeros:
            chosen += self._shapes.get(b"#ssn", ())
        if _DIGITS in zeros.translate(None, b" -"):
            chosen += self._shapes.get(b"#digits", ())
        runs = _long_runs(data)
        if runs:
            chosen += self._choose_by_runs(runs)
        return chosen

    def _choose_by_runs(self, runs: list[bytes]) -> list[Finder]:
        joined = b" " + b" ".join(runs)
        pieces = joined.translate(_TO_PIECES)
        chosen = [f for literal, found in self._starts if literal in pieces for f in found]
        for piece in self._prefixes.intersection(pieces.split()):
            chosen += [f for literal, f in self._pieces[piece] if literal in joined]
        return chosen


def _long_runs(data: bytes) -> list[bytes]:
    """The unbroken runs of characters that keys are made of."""
    marked = data.translate(_TO_RUNS)
    runs = []
    start = marked.find(_LONG)
    while start >= 0:
        end = marked.find(b" ", start)
        runs.append(data[start : end if end >= 0 else None])
        start = marked.find(_LONG, end) if end >= 0 else -1
    return runs
