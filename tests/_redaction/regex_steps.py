"""A regular expression that counts its steps, as `re` would take them: time, but exact."""

from __future__ import annotations

import re
from typing import NamedTuple

from lupis_instrument._redaction.backtracking import parse_pattern


class TooManyStepsError(Exception):
    """The search took more steps than allowed."""


class Span(NamedTuple):
    """The part of a match that a search looks at."""

    first: int
    last: int

    def span(self):
        return self.first, self.last

    def start(self):
        return self.first

    def end(self):
        return self.last


class CountingRegex:
    """Matches as `re` does, by trying one branch after the other, and counts each try.

    Args:
        regex: The compiled pattern.
        max_steps: The steps after which a search fails.
    """

    def __init__(self, regex, max_steps):
        self.max_steps = max_steps
        self.steps = 0
        self._flags = regex.flags
        self._nodes = list(parse_pattern(regex.pattern))
        self._text, self._limit = "", 0
        self._tests = {}

    def search(self, text, position=0, limit=None):
        limit = len(text) if limit is None else limit
        for start in range(position, limit + 1):
            match = self.match(text, start, limit)
            if match:
                return match
        return None

    def match(self, text, position, limit=None):
        self._text = text
        self._limit = len(text) if limit is None else limit
        for end in self._match_nodes(self._nodes, 0, position):
            return Span(position, end)
        return None

    def _match_nodes(self, nodes, index, position):
        """Yield each position at which a match of the nodes can end, in the order of `re`."""
        self._count_step()
        if index == len(nodes):
            yield position
            return
        for end in self._match_node(*nodes[index], position):
            yield from self._match_nodes(nodes, index + 1, end)

    def _match_node(self, operation, argument, position):
        name = str(operation)
        if name in {"LITERAL", "NOT_LITERAL", "IN", "ANY"}:
            if self._test_character(name, argument, position):
                yield position + 1
        elif name == "AT":
            if self._test_position(str(argument), position):
                yield position
        elif name == "SUBPATTERN":
            yield from self._match_nodes(list(argument[-1]), 0, position)
        elif name == "BRANCH":
            for branch in argument[1]:
                yield from self._match_nodes(list(branch), 0, position)
        elif name in {"ASSERT", "ASSERT_NOT"}:
            direction, body = argument
            start = position if direction > 0 else position - 1
            ends = self._match_nodes(list(body), 0, start) if start >= 0 else iter(())
            if (next(ends, None) is not None) == (name == "ASSERT"):
                yield position
        else:
            yield from self._match_repeat(name, argument, position)

    def _match_repeat(self, name, argument, position):
        min_count, max_count, body = argument
        body = list(body)
        if len(body) == 1 and str(body[0][0]) in {"LITERAL", "NOT_LITERAL", "IN", "ANY"}:
            yield from self._repeat_character(name, (min_count, max_count), body[0], position)
        else:
            yield from self._repeat_group(body, min_count, max_count, position)

    def _repeat_character(self, name, counts, node, position):
        kind, value = str(node[0]), node[1]
        min_count, max_count = counts
        count = 0
        while True:
            self._count_step()
            if name == "MIN_REPEAT" and count >= min_count:
                yield position + count
            if count >= max_count or not self._test_character(kind, value, position + count):
                break
            count += 1
        if name != "MIN_REPEAT":
            for length in range(count, min_count - 1, -1):
                yield position + length

    def _repeat_group(self, body, min_count, max_count, position):
        if max_count:
            for end in self._match_nodes(body, 0, position):
                if end > position:
                    yield from self._repeat_group(body, max(0, min_count - 1), max_count - 1, end)
        if not min_count:
            yield position

    def _test_character(self, kind, value, position):
        if not 0 <= position < self._limit:
            return False
        character = self._text[position]
        key = kind, str(value), character
        if key not in self._tests:
            self._tests[key] = _matches_character(kind, value, character)
        return self._tests[key]

    def _test_position(self, kind, position):
        words = [
            0 <= index < self._limit and bool(re.match(r"\w", self._text[index]))
            for index in (position - 1, position)
        ]
        if kind == "AT_END":
            return position == self._limit or self._text[position : self._limit] == "\n"
        return {"AT_BOUNDARY": words[0] != words[1], "AT_BEGINNING": position == 0}[kind]

    def _count_step(self):
        self.steps += 1
        if self.steps > self.max_steps:
            raise TooManyStepsError


def _matches_character(kind, value, character):
    if kind == "ANY":
        return character != "\n"
    if kind in {"LITERAL", "NOT_LITERAL"}:
        return (chr(value) == character) == (kind == "LITERAL")
    is_negated, matches = False, False
    for operation, argument in value:
        name = str(operation)
        if name == "NEGATE":
            is_negated = True
        elif name == "LITERAL":
            matches = matches or chr(argument) == character
        elif name == "RANGE":
            matches = matches or argument[0] <= ord(character) <= argument[1]
        else:
            category = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[str(argument).split("_")[-1]]
            matches = matches or bool(re.match(category, character)) != ("_NOT_" in str(argument))
    return matches != is_negated
