"""Tells from a regular expression's structure whether its matching time is bounded.

`re` tries every way in which a text can be split among a pattern's parts. That explodes where two
repeats can share the same characters: nested (``(a+)+``), side by side (``a+a+b``), or as branches
of an alternation under a repeat (``(a|aa)+``). Here the parsed pattern is walked and each such pair
is looked for; what can't be told is refused.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Iterable, NamedTuple, Sequence

# Patterns are searched for in windows of a text, so no repeat takes more than this.
WINDOW = 2048
# Ways of splitting a window that are still quick to try: two for each length.
_BUDGET = 2 * WINDOW
_MANY = 1 << 20
_ASCII = range(128)
_ANY: frozenset[int] = frozenset((*_ASCII, -1))


class UnsafePattern(Exception):  # noqa: N818 - the verdict, not a fault
    """Why a pattern is refused."""


class Part(NamedTuple):
    """One step of a pattern: characters that it takes, and how often it may.

    Attributes:
        characters: Codes it can take; -1 stands for all beyond ASCII. Empty for an assertion.
        least: The fewest it takes.
        ways: How many different lengths it can take.
    """

    characters: frozenset[int]
    least: int
    ways: int


def refuse_backtracking(pattern: str) -> None:
    """Check a pattern that is known to compile.

    Raises:
        UnsafePattern: It may take time that grows faster than the text, and why.
    """
    parsed = _parse(pattern)
    _Walk().sequence(parsed)


def can_be_empty(pattern: str) -> bool:
    """Whether the pattern can match without taking a character."""
    return bool(_parse(pattern).getwidth()[0] == 0)


def find_literal(pattern: str) -> str:
    """The longest run of plain characters that every match contains, in lower case."""
    longest = run = ""
    try:
        nodes = list(_parse(pattern))
    except UnsafePattern:
        return ""
    for name, argument in ((str(op), arg) for op, arg in nodes):
        letter = chr(argument) if name == "LITERAL" and argument < len(_ASCII) else ""
        run = run + letter.lower() if letter else ""
        longest = max(longest, run, key=len)
    # A short one saves nothing, and one that looks like the prefilter's own notation would mislead.
    return f"!{longest}" if len(longest) > 2 else ""  # noqa: PLR2004 - as the comment says


def _parse(pattern: str) -> Any:
    """The pattern as `re` itself reads it; no public name for that exists, so it may be missing."""
    try:
        try:
            from re import _parser as parser  # type: ignore[attr-defined]
        except ImportError:
            import sre_parse as parser
        return parser.parse(pattern)
    except (ImportError, AttributeError):
        raise UnsafePattern("this interpreter doesn't show how it reads patterns") from None


class _Walk:
    """One walk over a parsed pattern; each method gives the parts that a node consists of."""

    def sequence(self, nodes: Iterable[tuple[Any, Any]]) -> list[Part]:
        parts: list[Part] = []
        for operation, argument in nodes:
            handler: Callable[[str, Any], list[Part]] | None = getattr(
                self, f"_{str(operation).lower()}", None
            )
            if handler is None:
                raise UnsafePattern(f"{operation} is not understood")
            parts += handler(str(operation), argument)
        _refuse_shared(parts)
        return parts

    def _literal(self, _: str, code: int) -> list[Part]:
        return [Part(_both_cases(code), 1, 1)]

    def _not_literal(self, _: str, code: int) -> list[Part]:
        return [Part(_ANY - {code}, 1, 1)]

    def _any(self, _: str, __: Any) -> list[Part]:
        return [Part(_ANY, 1, 1)]

    def _in(self, _: str, items: Any) -> list[Part]:
        return [Part(_characters(items), 1, 1)]

    def _at(self, _: str, __: Any) -> list[Part]:
        return [Part(frozenset(), 1, 1)]

    def _max_repeat(self, _: str, argument: Any) -> list[Part]:
        least, most, body = argument
        parts = self.sequence(body)
        most = min(int(most), WINDOW)
        ways = most - int(least) + 1
        if len(parts) == 1 and parts[0].least == parts[0].ways == 1:
            return [Part(parts[0].characters, int(least), ways)]
        if most > 1:
            _refuse_nested(parts, most)
        everything: frozenset[int] = frozenset().union(*(part.characters for part in parts))
        if most <= 1:
            return [Part(everything, 0, _product(parts) + 1)] if least == 0 else parts
        return [Part(everything, min(1, int(least)), min(_MANY, ways * _product(parts)))]

    _min_repeat = _possessive_repeat = _max_repeat

    def _subpattern(self, _: str, argument: Any) -> list[Part]:
        return self.sequence(argument[-1])

    def _atomic_group(self, _: str, argument: Any) -> list[Part]:
        return self.sequence(argument)

    def _branch(self, _: str, argument: Any) -> list[Part]:
        branches = [self.sequence(branch) for branch in argument[1]]
        if all(len(parts) == 1 and parts[0].ways == 1 for parts in branches):
            return [Part(frozenset().union(*(parts[0].characters for parts in branches)), 1, 1)]
        ways = len(branches) if _share_starts(branches) else 1
        ways = max(ways, *(_product(parts) for parts in branches))
        everything: frozenset[int] = frozenset().union(
            *(part.characters for parts in branches for part in parts)
        )
        least = 0 if any(not _takes(parts) for parts in branches) else 1
        return [Part(everything, least, max(ways, 2) if least == 0 else ways)]

    def _assert(self, _: str, argument: Any) -> list[Part]:
        parts = self.sequence(argument[1])
        if _product(parts) > _BUDGET // 2:
            raise UnsafePattern("a look-around contains an unbounded repeat")
        return [Part(frozenset(), 1, 1)]

    _assert_not = _assert

    def _groupref(self, _: str, __: Any) -> list[Part]:
        raise UnsafePattern("back-references can't be bounded")

    _groupref_exists = _groupref


def _refuse_shared(parts: Sequence[Part]) -> None:
    """Refuse neighbouring repeats that can take the same characters, if anything after can fail."""
    for index, part in enumerate(parts):
        ways = part.ways
        between: list[frozenset[int]] = []
        for last, other in enumerate(parts[index + 1 :] if ways > 1 else (), index + 1):
            shared = part.characters & other.characters
            # What stands between and only one of the two can take shows where the other one ends.
            if other.ways > 1 and shared and all(step & other.characters for step in between):
                ways *= other.ways
                if ways > _BUDGET and any(later.least for later in parts[last + 1 :]):
                    raise UnsafePattern("two unbounded repeats can match the same characters")
            if other.least and other.characters:
                if not shared:
                    break
                between.append(other.characters)


def _refuse_nested(parts: list[Part], most: int) -> None:
    """Refuse a repeat whose body can take the same text in several ways, or nothing at all."""
    if not _takes(parts):
        raise UnsafePattern("what is repeated can be empty")
    twice = parts + parts
    for index, part in enumerate(parts):
        if part.ways == 1:
            continue
        for other in twice[index + 1 : index + 1 + len(parts)]:
            if other.least and other.characters and not (part.characters & other.characters):
                break
        else:
            if _power(part.ways, most) > _BUDGET:
                raise UnsafePattern("a repeat within a repeat can match the same characters")


def _share_starts(branches: Sequence[list[Part]]) -> bool:
    """Whether two branches can begin with the same character."""
    seen: frozenset[int] = frozenset()
    for parts in branches:
        start = _start(parts)
        if start & seen or not _takes(parts):
            return True
        seen |= start
    return False


def _start(parts: Sequence[Part]) -> frozenset[int]:
    start: frozenset[int] = frozenset()
    for part in parts:
        start |= part.characters
        if part.least and part.characters:
            break
    return start


def _takes(parts: Sequence[Part]) -> bool:
    """Whether the parts always take a character."""
    return any(part.least and part.characters for part in parts)


def _product(parts: Sequence[Part]) -> int:
    product = 1
    for part in parts:
        product = min(_MANY, product * part.ways)
    return product


def _power(ways: int, times: int) -> int:
    return _MANY if times > _BUDGET.bit_length() else min(_MANY, ways**times)


def _both_cases(code: int) -> frozenset[int]:
    """A character as the part of a set; in either case, since flags may ignore it."""
    if code not in _ASCII:
        return frozenset({-1})
    return frozenset(ord(letter) for letter in (chr(code).lower(), chr(code).upper()))


_CATEGORIES = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}


def _characters(items: Any) -> frozenset[int]:
    """What a character class takes."""
    found: frozenset[int] = frozenset()
    negated = False
    for operation, argument in items:
        name = str(operation)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            found |= _both_cases(argument)
        elif name == "RANGE":
            found |= _range(*argument)
        else:
            found |= _category(str(argument))
    return (_ANY - found) | {-1} if negated else found


def _range(first: int, last: int) -> frozenset[int]:
    beyond = frozenset({-1}) if last >= len(_ASCII) else frozenset()
    codes = range(first, min(last, len(_ASCII) - 1) + 1)
    return beyond.union(*(_both_cases(code) for code in codes))


def _category(name: str) -> frozenset[int]:
    """``CATEGORY_NOT_DIGIT`` and its like, as `re` itself decides them."""
    kind = _CATEGORIES.get(name.rsplit("_", 1)[-1])
    if kind is None:
        return _ANY
    inside = {code for code in _ASCII if re.match(kind, chr(code))}
    return frozenset(_ASCII) - inside | {-1} if "_NOT_" in name else frozenset(inside | {-1})
