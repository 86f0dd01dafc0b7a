"""Finds the long runs of letters, digits and ``_-.`` in a text: keys and tokens are such runs."""

from __future__ import annotations

from typing import Callable

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
