"""Decides from the structure of a regular expression whether its matching time is bounded.

`re` tries every division of a text among the parts of a pattern. The number of divisions explodes
where two repeats can match the same characters: nested (``(a+)+``), side by side (``a+a+b``), or as
branches of an alternation under a repeat (``(a|aa)+``).

`_PatternWalker` turns the parsed pattern into a list of `Part`s. A part says which characters it
can match and in how many lengths. Two parts that share characters multiply their lengths; if the
product exceeds a budget, and a later part can still fail, the pattern is refused. A construct that
cannot be judged is refused, too.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Iterable, Sequence

from lupis_instrument._redaction.pattern_parts import (
    ALL_CHARACTERS,
    ASCII,
    MANY_LENGTHS,
    NEWLINE,
    Part,
    add_lengths,
    fold_case,
    join_characters,
    multiply_lengths,
    read_class,
)

# A repeat of more lengths counts as one of so many lengths.
_MAX_LENGTHS = 129
# So many divisions are still tried quickly at each character of a text: two for each length.
_MAX_DIVISIONS = 2 * _MAX_LENGTHS
# A flag by which a dot also matches a line break.
_DOT_ALL = re.compile(r"\(\?[a-z]*s")
# A shorter literal is in so many texts that looking for it saves no time.
_MIN_LITERAL = 3


class UnsafePatternError(Exception):
    """A pattern could backtrack without bound; the message says which part of it."""


def read_parts(pattern: str) -> list[Part]:
    """Check a pattern that is known to compile, and return its parts.

    Raises:
        UnsafePatternError: The time of a match at one position may grow faster than the text.
    """
    any_characters = ALL_CHARACTERS if _DOT_ALL.search(pattern) else ALL_CHARACTERS - {NEWLINE}
    return _PatternWalker(any_characters).visit_nodes(parse_pattern(pattern))


def matches_empty(pattern: str) -> bool:
    """Return whether the pattern can match an empty string."""
    return measure_shortest(pattern) == 0


def measure_shortest(pattern: str) -> int:
    """Return the fewest characters of a match."""
    return int(parse_pattern(pattern).getwidth()[0])


def find_literal(pattern: str) -> str:
    """Return the longest run of plain characters that every match contains, in lower case.

    The result is written in the notation of the prefilter: ``!`` means "anywhere in a text". It is
    empty if there is no run that is long enough.
    """
    longest = run = ""
    try:
        nodes = list(parse_pattern(pattern))
    except UnsafePatternError:
        return ""
    for operation, argument in nodes:
        is_plain = str(operation) == "LITERAL" and argument < len(ASCII)
        run = run + chr(argument).lower() if is_plain else ""
        longest = max(longest, run, key=len)
    return f"!{longest}" if len(longest) >= _MIN_LITERAL else ""


def parse_pattern(pattern: str) -> Any:
    """Return the pattern as `re` parses it.

    The parser has no public name and may be missing: it is `re._parser` from Python 3.11 on and
    `sre_parse` before.
    """
    try:
        try:
            from re import _parser as parser  # type: ignore[attr-defined]
        except ImportError:
            import sre_parse as parser
        return parser.parse(pattern)
    except (ImportError, AttributeError):
        raise UnsafePatternError("this interpreter doesn't show how it reads patterns") from None


class _PatternWalker:
    """Walks over a parsed pattern.

    Each ``visit_…`` method is named for an operation of `re`'s parser. It gets the operation's
    argument and returns the parts that the node consists of.

    Args:
        any_characters: The characters that a dot can match.
    """

    def __init__(self, any_characters: frozenset[int]) -> None:
        self._any_characters = any_characters

    def visit_nodes(self, nodes: Iterable[tuple[Any, Any]]) -> list[Part]:
        """Return the parts of a sequence of nodes, after checking its neighbouring repeats."""
        parts: list[Part] = []
        for operation, argument in nodes:
            visit: Callable[[Any], list[Part]] | None = getattr(
                self, f"visit_{str(operation).lower()}", None
            )
            if visit is None:
                raise UnsafePatternError(f"{operation} is not understood")
            parts += visit(argument)
        _refuse_neighbours(parts)
        return parts

    def visit_literal(self, code: int) -> list[Part]:
        return [Part(fold_case(code), 1, 1)]

    def visit_not_literal(self, code: int) -> list[Part]:
        return [Part(ALL_CHARACTERS - {code}, 1, 1)]

    def visit_any(self, _: Any) -> list[Part]:
        return [Part(self._any_characters, 1, 1)]

    def visit_in(self, items: Any) -> list[Part]:
        return [Part(read_class(items), 1, 1)]

    def visit_at(self, kind: Any) -> list[Part]:
        return [Part(frozenset(), 1, 1, is_line_start=str(kind).startswith("AT_BEGINNING"))]

    def visit_max_repeat(self, argument: Any) -> list[Part]:
        min_count, max_count, body = int(argument[0]), int(argument[1]), argument[2]
        parts = self.visit_nodes(body)
        counts = min(max_count - min_count + 1, _MAX_LENGTHS)
        max_length = min(MANY_LENGTHS, max_count * add_lengths(parts))
        if len(parts) == 1 and parts[0].is_single_character:
            return [Part(parts[0].characters, min_count, counts, max_length)]
        if max_count > 1:
            _refuse_nested(parts, min(max_count, _MAX_LENGTHS))
        characters = join_characters(parts)
        if max_count <= 1:
            if min_count:
                return parts
            return [Part(characters, 0, multiply_lengths(parts) + 1, max_length, is_simple=False)]
        lengths = min(MANY_LENGTHS, counts * multiply_lengths(parts))
        return [Part(characters, min(1, min_count), lengths, max_length, is_simple=False)]

    visit_min_repeat = visit_possessive_repeat = visit_max_repeat

    def visit_subpattern(self, argument: Any) -> list[Part]:
        return self.visit_nodes(argument[-1])

    def visit_atomic_group(self, argument: Any) -> list[Part]:
        return self.visit_nodes(argument)

    def visit_branch(self, argument: Any) -> list[Part]:
        branches = [self.visit_nodes(branch) for branch in argument[1]]
        characters = join_characters([part for parts in branches for part in parts])
        if all(len(parts) == 1 and parts[0].lengths == 1 for parts in branches):
            return [Part(characters, 1, 1)]
        lengths = len(branches) if _share_starts(branches) else 1
        lengths = max(lengths, *(multiply_lengths(parts) for parts in branches))
        max_length = max(add_lengths(parts) for parts in branches)
        if not all(_always_consume(parts) for parts in branches):
            return [Part(characters, 0, max(lengths, 2), max_length, is_simple=False)]
        return [Part(characters, 1, lengths, max_length, is_simple=False)]

    def visit_assert(self, argument: Any) -> list[Part]:
        parts = self.visit_nodes(argument[1])
        if any(part.is_long for part in parts) or multiply_lengths(parts) > _MAX_DIVISIONS:
            raise UnsafePatternError("a look-around contains an unbounded repeat")
        return [Part(frozenset(), 1, 1)]

    visit_assert_not = visit_assert

    def visit_groupref(self, _: Any) -> list[Part]:
        raise UnsafePatternError("back-references can't be bounded")

    visit_groupref_exists = visit_groupref


def _refuse_neighbours(parts: Sequence[Part]) -> None:
    """Refuse two repeats in a row that share characters, if a part behind them can fail."""
    for index, part in enumerate(parts):
        if part.lengths <= 1:
            continue
        lengths = part.lengths
        between: list[frozenset[int]] = []
        for last, other in enumerate(parts[index + 1 :], index + 1):
            shared = part.characters & other.characters
            # A part between the repeats that only one of them can match marks the border.
            has_border = not all(characters & other.characters for characters in between)
            if other.lengths > 1 and shared and not has_border:
                lengths *= other.lengths
                can_fail = any(later.min_length for later in parts[last + 1 :])
                if lengths > _MAX_DIVISIONS and can_fail:
                    raise UnsafePatternError("two unbounded repeats can match the same characters")
            if other.consumes:
                if not shared:
                    break
                between.append(other.characters)


def _refuse_nested(parts: list[Part], max_count: int) -> None:
    """Refuse a repeat whose body can match the same text in several ways, or match nothing.

    The repeated body follows itself. If no part marks where one round ends and the next begins,
    each round multiplies the divisions.
    """
    if not _always_consume(parts):
        raise UnsafePatternError("the repeated part can be empty")
    twice = parts + parts
    for index, part in enumerate(parts):
        if part.lengths == 1:
            continue
        round_trip = twice[index + 1 : index + 1 + len(parts)]
        if any(other.consumes and not part.characters & other.characters for other in round_trip):
            continue
        if _raise_lengths(part.lengths, max_count) > _MAX_DIVISIONS:
            raise UnsafePatternError("a repeat within a repeat can match the same characters")


def _share_starts(branches: Sequence[list[Part]]) -> bool:
    """Return whether two branches can begin with the same character."""
    starts: frozenset[int] = frozenset()
    for parts in branches:
        start = _find_start(parts)
        if start & starts or not _always_consume(parts):
            return True
        starts |= start
    return False


def _find_start(parts: Sequence[Part]) -> frozenset[int]:
    """Return the characters with which a match of the parts can begin."""
    start: frozenset[int] = frozenset()
    for part in parts:
        start |= part.characters
        if part.consumes:
            break
    return start


def _always_consume(parts: Sequence[Part]) -> bool:
    """Return whether every match of the parts has at least one character."""
    return any(part.consumes for part in parts)


def _raise_lengths(lengths: int, power: int) -> int:
    """Return `lengths` to the power, up to a maximum; a large power is never computed."""
    if power > _MAX_DIVISIONS.bit_length():
        return MANY_LENGTHS
    return min(MANY_LENGTHS, int(lengths**power))
