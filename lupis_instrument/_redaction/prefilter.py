"""Decides by fast looks for fixed parts which rules can match a text at all; mostly none can.

How a literal is written says where it is looked for; each in lower case:

- ``bearer``: anywhere in a text in which something leads from a name to a value;
- ``!q~``: anywhere, whatever else stands in the text;
- ``://&@``: the same, if that behind the ``&``, which is rarer, occurs, too;
- ``ghp_``: letters or digits, then one of ``_-.``: in the long runs of characters that keys consist
  of, where ``ghp`` stands between such separators;
- ``20 akia``: in the long runs, where a piece between separators has as many characters and begins
  so; the first four characters decide where to look closer;
- ``+nral``: anywhere in a long run;
- ``=us6``: in the long runs, a whole piece between separators;
- ``#digits``, ``#ssn``, ``#dotted``: shapes without a fixed part.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Generic, Iterable, NamedTuple, TypeVar

Finder = TypeVar("Finder")

# Keys are long: their fixed parts are looked up in runs of at least this many characters only.
RUN = 16
_TOKEN = b"abcdefghijklmnopqrstuvwxyz0123456789_-."
_ALNUM = _TOKEN[:36]
_SEPARATORS = b"_-."
_TO_RUNS = bytes(97 if bytes((code,)) in _TOKEN else 32 for code in range(256))
_TO_BLANKS = bytes(code if bytes((code,)) in _TOKEN else 32 for code in range(256))
_TO_PIECES = bytes(32 if bytes((code,)) in _SEPARATORS else code for code in range(256))
_TO_HEX = bytes(97 if bytes((code,)) in b"0123456789abcdef" else code for code in range(256))
_TO_LETTERS = bytes(97 if bytes((code,)) in _TOKEN[:26] else 32 for code in range(256))
_LONG = b"a" * RUN
# Where one character in so many begins a long run, splitting all is quicker than finding each.
_DENSE = 256
# Runs without a letter can't be keys. In a text with fewer letters than one in so many characters,
# which is one of numbers, finding the letters is quicker than splitting all.
_SPARSE = 64
# UUIDs can't be keys by themselves, and there are texts full of them.
_UUID = b"aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
# Kinds of characters: digits, what makes them part of a longer number or name, others.
_TO_KINDS = bytes.maketrans(_TOKEN, b"x" * 26 + b"0" * 10 + b"x-x")
_TO_KINDS = bytes(_TO_KINDS[code] if bytes((code,)) in _TOKEN else 32 for code in range(256))
# What the number of a payment card begins with; all begin with four digits.
_FOUR = b" 0000"
_CARDS = (
    b" 00000000000000",
    b" 0000 0000 0000 00",
    b" 0000-0000-0000-00",
    b" 0000 000000 00",
    b" 0000-000000-00",
)
_CARD = re.compile(
    rb" 0000(?:0{10,12}|(?P<a>[ \-])0000(?P=a)0000(?P=a)00|(?P<b>[ \-])000000(?P=b)00)"
)
# Stands for the literal where a shape called for a rule.
SHAPE = "#"
_SSN = b"000-00-0000"
# Without one of these nothing leads from a name to a value.
_LEADS = re.compile(r"[ =:\"'>,(\n\t]")
_PIECE = re.compile(r"[a-z0-9]+[_\-.]")
# Characters, rare ones first: `re` finds one of them, and tries all literals around it, in the time
# that `str.find` takes for a single literal.
_MARKS = "~|$@!jkwvcbupg:."
_LENGTH = re.compile(r"([0-9]+) (.+)")
_DOTTED = 56
_BEGINNING = 4


class _Group(NamedTuple):
    """Literals with one character in common.

    Attributes:
        mark: What occurs in every text that holds one of them.
        search: Tells whether one of them occurs; None if to look for each is as quick.
        entries: The literals, each with its finders.
    """

    mark: str
    search: Callable[[str], object] | None
    entries: list[tuple[str, list[Any]]]


class Prefilter(Generic[Finder]):
    """Finders by the literals that must occur for them to find anything."""

    def __init__(self, entries: Iterable[tuple[str, Finder]]) -> None:
        self._starts: dict[bytes, list[tuple[int, bytes, list[Finder]]]] = {}
        self._inside: list[tuple[str, list[Finder]]] = []
        self._pieces: dict[bytes, list[tuple[str, list[Finder]]]] = {}
        self._shapes: dict[str, list[Finder]] = {}
        places: dict[str, list[Finder]] = {}
        for literal, finder in entries:
            places.setdefault(literal, []).append(finder)
        anywhere = [
            (lit, finders) for lit, finders in places.items() if not self._file(lit, finders)
        ]
        # By whether something in the text leads from a name to a value.
        self._groups = {
            True: _group(anywhere),
            False: _group([entry for entry in anywhere if _is_certain(entry[0])]),
        }
        self._prefixes = frozenset(self._pieces)

    def _file(self, literal: str, finders: list[Finder]) -> bool:
        """Keep what is looked for in long runs or as a shape; tells whether this was one."""
        length = _LENGTH.fullmatch(literal)
        if literal.startswith(SHAPE):
            self._shapes[literal] = finders
        elif length:
            self._file_start(int(length.group(1)), length.group(2).encode(), finders)
        elif literal.startswith("+"):
            self._inside.append((literal[1:], finders))
        elif literal.startswith("=") or _PIECE.match(literal):
            fixed = literal.lstrip("=")
            piece = re.split("[_.-]", fixed)[0].encode()
            self._pieces.setdefault(piece, []).append((fixed, finders))
        else:
            return False
        return True

    def _file_start(self, length: int, start: bytes, finders: list[Finder]) -> None:
        for beginning in _beginnings(start):
            self._starts.setdefault(beginning, []).append((length, start, finders))

    def choose(self, lowered: str) -> list[tuple[str, Finder]]:
        """The finders that have to look at this text, each with the literal that calls for it.

        Args:
            lowered: The text, its ASCII letters in lower case.
        """
        found = []
        for mark, search, entries in self._groups[_LEADS.search(lowered) is not None]:
            if mark in lowered and (search is None or search(lowered)):
                found += [entry for entry in entries if entry[0] in lowered]
        data = lowered.encode("utf-8", "surrogatepass")
        kinds = _kinds(data)
        if _SSN in kinds:
            found.append((SHAPE, self._shapes.get("#ssn", [])))
        if _FOUR in kinds and any(card in kinds for card in _CARDS):
            found.append((SHAPE, self._shapes.get("#digits", [])))
        runs = long_runs(data)
        if runs:
            found += self._choose_by_runs(runs)
        return [(literal, finder) for literal, finders in found for finder in finders]

    def _choose_by_runs(self, runs: list[bytes]) -> list[tuple[str, list[Finder]]]:
        joined = b" ".join(runs)
        text = joined.decode("ascii")
        pieces = joined.translate(_TO_PIECES).split()
        found = [entry for entry in self._inside if entry[0] in text]
        for piece in self._prefixes.intersection(pieces):
            found += [entry for entry in self._pieces[piece] if entry[0] in text]
        starts = self._starts
        for piece in [each for each in pieces if each[:_BEGINNING] in starts]:
            found += [
                (start.decode(), finders)
                for length, start, finders in starts[piece[:_BEGINNING]]
                if len(piece) >= length and piece.startswith(start)
            ]
        if "." in text and max(map(len, runs)) > _DOTTED:
            found.append((SHAPE, self._shapes.get("#dotted", [])))
        return found


def _beginnings(literal: bytes) -> list[bytes]:
    """All beginnings of the length compared that a piece with this start can have."""
    if len(literal) >= _BEGINNING:
        return [literal[:_BEGINNING]]
    return [start for one in _ALNUM for start in _beginnings(literal + bytes((one,)))]


def _is_certain(literal: str) -> bool:
    """Whether a literal is looked for in texts without anything that leads to a value, too."""
    return not literal or literal[0] == "!" or "&" in literal


def _group(places: list[tuple[str, list[Finder]]]) -> list[_Group]:
    """The literals by the rarest character that each holds."""
    groups: dict[tuple[str, bool], list[tuple[str, list[Finder]]]] = {}
    for literal, finders in places:
        fixed, _, rarer = ("", "", "") if literal[:1] == "!" else literal.partition("&")
        fixed = fixed or literal[1:]
        held = next((mark for mark in _MARKS if mark in fixed), "")
        key = (rarer or held or fixed, bool(held and not rarer))
        groups.setdefault(key, []).append((fixed, finders))
    return [
        _Group(mark, _around(mark, [fixed for fixed, _ in entries]) if held else None, entries)
        for (mark, held), entries in groups.items()
    ]


def _around(mark: str, literals: Iterable[str]) -> Callable[[str], object]:
    """A search for any of the literals that goes from one occurrence of the mark to the next."""
    sign = re.escape(mark)
    ways = []
    for literal in literals:
        before, _, after = literal.partition(mark)
        behind = f"(?<={re.escape(before)}{sign})" if before else ""
        ways.append(behind + re.escape(after))
    return re.compile(f"{sign}(?:{'|'.join(ways)})").search


def long_runs(data: bytes) -> list[bytes]:
    """The unbroken runs of characters that keys are made of, UUIDs left out."""
    marked = data.translate(_TO_RUNS)
    if marked.count(_LONG) * _DENSE > len(marked):
        letters = data.translate(_TO_LETTERS)
        if letters.count(b"a") * _SPARSE < len(letters):
            runs = _runs_with(letters, marked, data)
        else:
            runs = [run for run in data.translate(_TO_BLANKS).split() if len(run) >= RUN]
    else:
        runs = []
        start = marked.find(_LONG)
        while start >= 0:
            end = marked.find(b" ", start)
            runs.append(data[start : end if end >= 0 else None])
            start = marked.find(_LONG, end) if end >= 0 else -1
    length = len(_UUID)
    return [run for run in runs if len(run) != length or run.translate(_TO_HEX) != _UUID]


def _runs_with(letters: bytes, marked: bytes, data: bytes) -> list[bytes]:
    """The long runs that hold a letter, found from these."""
    runs = []
    place = letters.find(b"a")
    while place >= 0:
        start, end = marked.rfind(b" ", 0, place) + 1, marked.find(b" ", place)
        end = end if end >= 0 else len(marked)
        if end - start >= RUN:
            runs.append(data[start:end])
        place = letters.find(b"a", end)
    return runs


def card_places(lowered: str) -> list[int]:
    """Where a text in ASCII may have the number of a payment card."""
    return [match.start() for match in _CARD.finditer(_kinds(lowered.encode("ascii")))]


def _kinds(data: bytes) -> bytes:
    """The kinds of its characters, after a blank that stands for the start."""
    return b" " + data.translate(_TO_KINDS)
