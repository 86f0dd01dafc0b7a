"""Chooses the rules that can match a text at all, by a fast search for fixed parts of them.

Every rule has literals, one of which occurs in each of its matches. Running all regexes over a text
is slow; looking for the literals is fast, and most texts hold none. Besides, keys are long: most
literals are looked up only in the long runs of letters, digits and ``_-.`` of a text.

The notation of a literal says where it is looked for. All are written in lower case:

- ``bearer``: anywhere, if the text also holds a character that can assign a value to a name;
- ``!q~``: anywhere, in any text;
- ``://&@``: anywhere, if the part behind the ``&``, which is rarer, occurs in the text, too;
- ``ghp_`` (letters or digits, then one of ``_-.``): in the long runs; ``ghp`` must be a whole piece
  between separators;
- ``20 akia``: in the long runs, at the start of a piece of at least 20 characters;
- ``40 sess-``: anywhere in a long run, before at least 40 letters and digits;
- ``+nral``: anywhere in a long run;
- ``=us6``: in the long runs, as a whole piece between separators;
- ``#digits``, ``#ssn``, ``#dotted``, ``#hex-groups``, ``#uuid-pair``: a shape without a fixed part.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Generic, Iterable, NamedTuple, TypeVar

FinderT = TypeVar("FinderT")

# The fewest characters of a long run.
MIN_RUN = 16

RUN_CHARACTERS = b"abcdefghijklmnopqrstuvwxyz0123456789_-."
_LETTERS, LETTERS_AND_DIGITS = RUN_CHARACTERS[:26], RUN_CHARACTERS[:36]
SEPARATORS = b"_-."


def build_table(translate: Callable[[int], int]) -> bytes:
    """Return a table for `bytes.translate` from a function of a character's code."""
    return bytes(translate(code) for code in range(256))


_A, _BLANK = ord("a"), ord(" ")
_TO_RUNS = build_table(lambda code: _A if code in RUN_CHARACTERS else _BLANK)
_TO_BLANKS = build_table(lambda code: code if code in RUN_CHARACTERS else _BLANK)
_TO_HEX = build_table(lambda code: _A if code in b"0123456789abcdef" else code)
_TO_LETTERS = build_table(lambda code: _A if code in _LETTERS else _BLANK)
_LONG_RUN = b"a" * MIN_RUN
# If more than one in so many characters begins a long run, splitting the text is faster than
# finding the runs one by one.
_DENSE = 256
# A run without a letter is no key. If fewer than one in so many characters are letters, the text
# consists of numbers, and finding the letters is faster than splitting the text.
_SPARSE = 64
# A UUID is no key by itself, and there are texts full of them.
_UUID = b"aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
# The end of a UUID before a colon, and the end of a Mailgun key, which are rare, so that the search
# is fast.
_HEX_SHAPES = ((b"-aaaaaaaaaaaa:", "#uuid-pair"), (b"-aaaaaaaa-aaaaaaaa", "#hex-groups"))

# Stands for the literal where a shape chose a finder.
SHAPE = "#"
_BLANK = ord(" ")
_TO_PIECES = build_table(lambda code: _BLANK if code in SEPARATORS else code)
# Kinds of characters: digits are 0; letters, "_" and ".", which join a digit to a longer number or
# name, are x; hyphens stay, and all others are blanks.
_KINDS = bytes.maketrans(RUN_CHARACTERS, b"x" * 26 + b"0" * 10 + b"x-x")
_TO_KINDS = build_table(lambda code: _KINDS[code] if code in RUN_CHARACTERS else _BLANK)

# Payment card numbers begin with four digits. The prefixes decide fast; the regex gives positions.
_FOUR_DIGITS = b" 0000"
_CARD_STARTS = (
    b" 00000000000000",
    b" 0000 0000 0000 00",
    b" 0000-0000-0000-00",
    b" 0000 000000 00",
    b" 0000-000000-00",
)
_CARD = re.compile(
    rb" 0000(?:0{10,12}|(?P<a>[ \-])0000(?P=a)0000(?P=a)00|(?P<b>[ \-])000000(?P=b)00)"
)
_SSN = b"000-00-0000"
# A text without any of these characters assigns no value to a name.
_ASSIGNING = re.compile(r"[ =:\"'>,(\n\t]")
_PIECE_LITERAL = re.compile(r"[a-z0-9]+[_\-.]")
_LENGTH_LITERAL = re.compile(r"([0-9]+) (.+)")
# Characters of literals, rare ones first. `re` finds such a character and tries all literals around
# it in the time in which `str.find` looks for a single literal.
_RARE_CHARACTERS = "~|$+@!jkwvcbupg:."
# A run with dots that is longer than this has the shape ``#dotted``.
_MAX_UNDOTTED = 48
# The first characters of a piece by which the literals with a length are looked up.
_START_LENGTH = 4


class _Group(NamedTuple):
    """Literals that share a character.

    Attributes:
        required: A text that occurs wherever one of the literals occurs.
        search: Searches for all literals at once; None if looking for each one is as fast.
        entries: The literals, each with its finders.
    """

    required: str
    search: Callable[[str], object] | None
    entries: list[tuple[str, list[Any]]]


class Prefilter(Generic[FinderT]):
    """Finders, indexed by the literals that must occur for them to find anything."""

    def __init__(self, finders: Iterable[tuple[str, FinderT]]) -> None:
        self._by_start: dict[bytes, list[tuple[int, bytes, list[FinderT]]]] = {}
        self._in_runs: list[tuple[str, list[FinderT]]] = []
        self._before_bodies: list[tuple[Callable[[str], object], str, list[FinderT]]] = []
        self._by_piece: dict[bytes, list[tuple[str, list[FinderT]]]] = {}
        self._by_shape: dict[str, list[FinderT]] = {}
        by_literal: dict[str, list[FinderT]] = {}
        for literal, finder in finders:
            by_literal.setdefault(literal, []).append(finder)
        anywhere = [
            (literal, literal_finders)
            for literal, literal_finders in by_literal.items()
            if not self._index_literal(literal, literal_finders)
        ]
        # By whether the text holds a character that can assign a value.
        self._groups = {
            True: _group_literals(anywhere),
            False: _group_literals([entry for entry in anywhere if _is_for_any_text(entry[0])]),
        }
        self._pieces = frozenset(self._by_piece)

    def choose_finders(self, lowered: str) -> list[tuple[str, FinderT]]:
        """Return the finders that can match a text, each with the literal that chose it.

        Args:
            lowered: The text, its ASCII letters in lower case.
        """
        chosen = []
        for required, search, entries in self._groups[_ASSIGNING.search(lowered) is not None]:
            if required in lowered and (search is None or search(lowered)):
                chosen += [entry for entry in entries if entry[0] in lowered]
        data = lowered.encode("utf-8", "surrogatepass")
        kinds = _map_to_kinds(data)
        if _SSN in kinds:
            chosen.append((SHAPE, self._by_shape.get("#ssn", [])))
        if _FOUR_DIGITS in kinds and any(start in kinds for start in _CARD_STARTS):
            chosen.append((SHAPE, self._by_shape.get("#digits", [])))
        runs = find_long_runs(data)
        if runs:
            chosen += self._choose_by_runs(runs)
            hexes = data.translate(_TO_HEX) if b"-" in data else b""
            chosen += [
                (SHAPE, self._by_shape.get(shape, []))
                for groups, shape in _HEX_SHAPES
                if groups in hexes
            ]
        return [(literal, finder) for literal, finders in chosen for finder in finders]

    def _choose_by_runs(self, runs: list[bytes]) -> list[tuple[str, list[FinderT]]]:
        """Return the entries whose literals occur in the long runs or their pieces."""
        joined = b" ".join(runs)
        text = joined.decode("ascii")
        pieces = joined.translate(_TO_PIECES).split()
        chosen = [entry for entry in self._in_runs if entry[0] in text]
        chosen += [
            (fixed, finders) for search, fixed, finders in self._before_bodies if search(text)
        ]
        for piece in self._pieces.intersection(pieces):
            chosen += [entry for entry in self._by_piece[piece] if entry[0] in text]
        by_start = self._by_start
        for piece in [piece for piece in pieces if piece[:_START_LENGTH] in by_start]:
            chosen += [
                (start.decode(), finders)
                for length, start, finders in by_start[piece[:_START_LENGTH]]
                if len(piece) >= length and piece.startswith(start)
            ]
        if "." in text and max(map(len, runs)) > _MAX_UNDOTTED:
            chosen.append((SHAPE, self._by_shape.get("#dotted", [])))
        return chosen

    def _index_literal(self, literal: str, finders: list[FinderT]) -> bool:
        """Index a literal that belongs to long runs or is a shape; return whether it is one."""
        length = _LENGTH_LITERAL.fullmatch(literal)
        if literal.startswith(SHAPE):
            self._by_shape[literal] = finders
        elif length and length.group(2).endswith("-"):
            count, fixed = length.groups()
            search = re.compile(f"{re.escape(fixed)}[a-z0-9]{{{count}}}").search
            self._before_bodies.append((search, fixed, finders))
        elif length:
            self._index_start(int(length.group(1)), length.group(2).encode(), finders)
        elif literal.startswith("+"):
            self._in_runs.append((literal[1:], finders))
        elif literal.startswith("=") or _PIECE_LITERAL.match(literal):
            fixed = literal.lstrip("=")
            piece = re.split("[_.-]", fixed)[0].encode()
            self._by_piece.setdefault(piece, []).append((fixed, finders))
        else:
            return False
        return True

    def _index_start(self, length: int, start: bytes, finders: list[FinderT]) -> None:
        for key in _complete_start(start):
            self._by_start.setdefault(key, []).append((length, start, finders))


def _complete_start(literal: bytes) -> list[bytes]:
    """Return all first characters, as many as are compared, of a piece that starts so."""
    if len(literal) >= _START_LENGTH:
        return [literal[:_START_LENGTH]]
    return [
        start for code in LETTERS_AND_DIGITS for start in _complete_start(literal + bytes((code,)))
    ]


def _is_for_any_text(literal: str) -> bool:
    """Return whether a literal counts in texts that assign no value, too."""
    return not literal or literal[0] == "!" or "&" in literal


def _group_literals(entries: list[tuple[str, list[FinderT]]]) -> list[_Group]:
    """Group the literals by the rarest character of each."""
    groups: dict[tuple[str, bool], list[tuple[str, list[FinderT]]]] = {}
    for literal, finders in entries:
        fixed, _, rarer = ("", "", "") if literal[:1] == "!" else literal.partition("&")
        fixed = fixed or literal[1:]
        character = next((rare for rare in _RARE_CHARACTERS if rare in fixed), "")
        key = (rarer or character or fixed, bool(character and not rarer))
        groups.setdefault(key, []).append((fixed, finders))
    return [
        _Group(
            required,
            _build_search(required, [fixed for fixed, _ in members]) if is_character else None,
            members,
        )
        for (required, is_character), members in groups.items()
    ]


def _build_search(character: str, literals: Iterable[str]) -> Callable[[str], object]:
    """Return a search for any of the literals that jumps from one such character to the next."""
    escaped = re.escape(character)
    alternatives = []
    for literal in literals:
        before, _, after = literal.partition(character)
        look_behind = f"(?<={re.escape(before)}{escaped})" if before else ""
        alternatives.append(look_behind + re.escape(after))
    return re.compile(f"{escaped}(?:{'|'.join(alternatives)})").search


def find_card_positions(lowered: str) -> list[int]:
    """Return the positions in an ASCII text at which a payment card number may begin."""
    return [match.start() for match in _CARD.finditer(_map_to_kinds(lowered.encode("ascii")))]


def _map_to_kinds(data: bytes) -> bytes:
    """Return the kinds of all characters, behind a blank that stands for the start of the text."""
    return b" " + data.translate(_TO_KINDS)


def find_long_runs(data: bytes) -> list[bytes]:
    """Return the unbroken runs of at least `MIN_RUN` characters in a text, without UUIDs.

    There are three ways to find them, and the text decides which one is the fastest.

    Args:
        data: The text in UTF-8, its ASCII letters in lower case.
    """
    # Characters of runs are "a" here, and all others are blanks.
    marked = data.translate(_TO_RUNS)
    if marked.count(_LONG_RUN) * _DENSE > len(marked):
        letters = data.translate(_TO_LETTERS)
        if letters.count(b"a") * _SPARSE < len(letters):
            runs = _find_runs_with_letters(letters, marked, data)
        else:
            runs = [run for run in data.translate(_TO_BLANKS).split() if len(run) >= MIN_RUN]
    else:
        runs = []
        start = marked.find(_LONG_RUN)
        while start >= 0:
            end = marked.find(b" ", start)
            runs.append(data[start : end if end >= 0 else None])
            start = marked.find(_LONG_RUN, end) if end >= 0 else -1
    length = len(_UUID)
    return [run for run in runs if len(run) != length or run.translate(_TO_HEX) != _UUID]


def _find_runs_with_letters(letters: bytes, marked: bytes, data: bytes) -> list[bytes]:
    """Return the long runs that hold a letter, by going from one letter to the next."""
    runs = []
    position = letters.find(b"a")
    while position >= 0:
        start, end = marked.rfind(b" ", 0, position) + 1, marked.find(b" ", position)
        end = end if end >= 0 else len(marked)
        if end - start >= MIN_RUN:
            runs.append(data[start:end])
        position = letters.find(b"a", end)
    return runs
