"""A custom pattern is searched for in linear time, and its matches are the matches of `re`."""

from __future__ import annotations

import os
import random
import re
import sys
from pathlib import Path

import pytest
from servers.slow import slow_except

from lupis_instrument._redaction import PatternError, compile_pattern
from lupis_instrument._redaction.pattern_search import PatternSearch

sys.path.insert(0, str(Path(__file__).parent))

from regex_steps import CountingRegex, TooManyStepsError

# By the way of the search: patterns that `re` alone searches for in quadratic time.
AT_RUNS = [
    r"\s+$", r"[0-9a-f]+$", r"\w+@\w+\.com", r"[A-Za-z0-9._-]+@corp\.example", r"(\w+)@(\w+)\.com",
    r"[\w.]+@[\w.]+\.[a-z]+", r".*password", r".+?password", r".+@corp\.example", r"\d+\d?x",
    r"[a-z]{200,}!", r"\w*\d", r"\w+\d$", r"\s*secret", r"[^,]+,secret", r"[a-z]+[0-9]+[a-z]+!",
    r"(?P<user>[a-z]+)@", r"(?:[a-z]+)@", r"[]a]+!", r"[^]a]+!", r"a+!", r"\-+!", r"[a-z]+(?!\w)!",
]  # fmt: skip
IN_WINDOWS = [
    r"x?\s+$", r"x?[a-z]+y", r"\d+x|[a-z]+y", r"(\w+\.)+example", r"\b[\w.]+@x", r"foo.*bar",
    r"a.*b", r"[a-z]{1,1000}!", r"x?[a-z]{200,}!", r"a(?:[a-z]+\d)?", r"a[a-z]*(?=!)",
    r"x?[a-z]{300}!", r"-?\d+\.\d+$", r"(?:ab)+c", r"(?:[a-z]+-)*[a-z]", r"(?:\s|x)+y",
    r"<[^>]+>x", r"(?:a|b|c)+d", r"(abc|abd)+x", r"BEGIN .*END", r"(?:[a-c][a-c])+d",
    r"([a-z]+|!)@", r"a?b*c+!", r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\b",
    r"\d{1,16}\d{1,16}x", r"[a-z]{1,200}!", r"\s{1,200}-*!",
]  # fmt: skip
# Patterns that are linear as they are.
AT_ONCE = [
    r"internal-[a-z0-9]{8}", r"EMP\d{6}", r"acct_\w+", r"secret\s*=\s*\S+", r"[a-z]{1,64}!",
    r"https?://[^\s/]+/private/\S+", r"(?:\d{4}[- ]?){3}\d{4}", r"\"[^\"]*\"!",
    r"(?m)^.*secret$", r"^\s+x", r"^[^x]*secret", r"[0-9a-f]{256}", r"key=(?:[0-9a-f]{2}:)+[0-9a-f]{2}", r"(\d{1,3}\.){3}\d{1,3}", r"[a-z]+", r"xy+",
]  # fmt: skip
REFUSED = [
    r"(\S+)\s+$", r"\S+\s*=\s*\S+;", r"(?:\d+,)+\d+x", r"\w+\s\w+\s\w+!", r"\d{1,64}\d{1,64}x",
    r"(?:[a-z]{100}){50}!", r"(?=.+x)y", r"(?![a-z]+!)[a-z]{3}", r"(?:a{1,99}b?){9}c",
]  # fmt: skip
PIECES = (
    "a", "0", " ", "x", "0a", "a.", "a@", "1,", "1.", "ab", "abc", "abd", "foo ", "password", "a1",
    "<", '"a', "BEGIN ", "secret", "a-", "a\n", "-", "é", "a!", "b", "c",
)  # fmt: skip
SIZE = 1200
TEST_ALL = bool(os.environ.get("LUPIS_TEST_ALL"))
PATTERN_COUNT = 2000 if TEST_ALL else 25
# Steps for each character; a quadratic search takes more than a thousand.
MAX_STEPS = 800


def prepare_search(pattern):
    return PatternSearch(re.compile(pattern))


def count_steps(pattern, text):
    """Return the steps for each character of the text."""
    search = prepare_search(pattern)
    search._regex = CountingRegex(search._regex, MAX_STEPS * len(text))
    search._first = CountingRegex(search._first, MAX_STEPS * len(text))
    list(search.find_matches(text))
    return (search._regex.steps + search._first.steps) / len(text)


@pytest.fixture
def deep_stack():
    """A stack for the thousands of calls by which a regex counts its steps."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.slow
def test_steps_of_a_quadratic_search_are_too_many(deep_stack):
    """The count of steps is able to find a quadratic pattern."""
    text = "0a" * (SIZE // 2) + "!"
    with pytest.raises(TooManyStepsError):
        CountingRegex(re.compile("[0-9a-f]+$"), MAX_STEPS * SIZE).search(text)


LINEAR = AT_RUNS + IN_WINDOWS + AT_ONCE


@pytest.mark.parametrize("pattern", slow_except(LINEAR[::6], LINEAR))
def test_steps_are_linear_in_the_text(pattern, deep_stack):
    """No text takes more than a fixed number of steps for each of its characters."""
    pieces = PIECES if TEST_ALL else random.Random(pattern).sample(PIECES, 5)
    for piece in pieces:
        text = (piece * SIZE)[:SIZE] + "! me@corp.example me@mail.com"
        assert count_steps(pattern, text) <= MAX_STEPS, piece


@pytest.mark.parametrize("piece", ["a", "1."])
@pytest.mark.parametrize("seconds", [1e-7, 1e-6, 1e-5])
def test_search_ends_when_its_time_is_used_up(piece, seconds):
    """However long a step takes, 50,000 characters take less than 50 ms; the rest is hidden."""
    text = piece * (50_000 // len(piece)) + "!"
    search = prepare_search(r"x?(?:\w|\.)+y")
    regex = search._regex
    taken = 0.0

    class SlowRegex:
        """Takes some time for each character of a window."""

        def search(self, text, start, limit):
            nonlocal taken
            taken += seconds * (limit - start)
            return regex.search(text, start, start + 1)

    search._regex, search._clock = SlowRegex(), lambda: taken
    matches = list(search.find_matches(text))
    assert taken < 0.05
    assert all(end == len(text) for _, end in matches)
    assert bool(matches) == (seconds > 2e-7)


def test_one_pause_hides_nothing():
    """A pause, as by the garbage collector, is not the time of the search."""
    search = prepare_search("foo.*bar")
    times = iter([0.0, 0.0, 0.0, 5.0])
    search._clock = lambda: next(times, 5.0)
    assert list(search.find_matches("y" * 5000 + "foo-bar")) == [(5000, 5007)]


@pytest.mark.parametrize("pattern", AT_RUNS + AT_ONCE)
def test_text_is_searched_as_a_whole(pattern):
    """A pattern needs no windows if few starts read the same characters."""
    assert prepare_search(pattern).window == 0


@pytest.mark.parametrize("pattern", IN_WINDOWS)
def test_text_is_searched_in_windows(pattern):
    """A pattern that many starts could read in vain is searched for in windows."""
    assert prepare_search(pattern).window >= 160


@pytest.mark.parametrize("pattern", REFUSED)
def test_pattern_that_is_slow_at_a_single_start_is_refused(pattern):
    """Windows do not help if the time grows faster than the text that one start reads."""
    with pytest.raises(PatternError, match="could stall"):
        compile_pattern(pattern)


def make_text(source, size):
    pieces = [*PIECES, "bar", "example", "@", ".com", "END", "!", "y", "d", "12345678"]
    text = ""
    while len(text) < size:
        text += source.choice(pieces) * source.choice((1, 1, 2, 9))
    return text[:size]


@pytest.mark.parametrize("pattern", AT_RUNS + AT_ONCE)
def test_matches_are_the_matches_of_re(pattern):
    """A search at the starts of runs gives the matches that `re` gives."""
    source = random.Random(pattern)
    for _ in range(100):
        text = make_text(source, 300)
        expected = [match.span() for match in re.finditer(pattern, text)]
        assert expected == list(prepare_search(pattern).find_matches(text)), text


@pytest.mark.parametrize("pattern", IN_WINDOWS)
def test_short_matches_in_windows_are_found(pattern):
    """Matches of up to 80 characters are redacted wherever the borders of the windows are."""
    source = random.Random(pattern)
    for _ in range(50):
        # Line breaks keep the matches short.
        text = "\n".join(make_text(source, 40).replace("\n", "") for _ in range(40))
        expected = [match.span() for match in re.finditer(pattern, text)]
        expected = [(start, end) for start, end in expected if end - start <= 80]
        covered = list(prepare_search(pattern).find_matches(text))
        for start, end in expected:
            assert any(first <= start and end <= last for first, last in covered), text[start:end]


def make_pattern(source, depth=2):
    """Return a random pattern of the usual constructs."""
    atoms = ("a", "b", "0", "-", r"\.", r"\d", r"\w", r"\s", "[a-c]", "[^,]", ".", "[0-9a-f]")
    repeats = ("", "", "", "+", "*", "?", "{1,9}", "{3}", "{2,}", "+?", "{1,200}")
    nodes = []
    for _ in range(source.randint(1, 4)):
        atom = source.choice(atoms)
        if depth and source.random() < 0.3:
            inner = [make_pattern(source, depth - 1) for _ in range(source.randint(1, 2))]
            atom = f"({'|'.join(inner)})"
        nodes.append(atom + source.choice(repeats))
    return (
        source.choice(("", "", "", r"\b"))
        + "".join(nodes)
        + source.choice(("", "", "$", r"\b", "!"))
    )


@pytest.mark.parametrize("seed", slow_except(range(4, 12), range(PATTERN_COUNT)))
def test_made_pattern_is_refused_or_linear(seed, deep_stack):
    """A random pattern is refused, or takes a bounded number of steps for each character."""
    source = random.Random(seed)
    pattern = make_pattern(source)
    try:
        compile_pattern(pattern)
    except PatternError:
        return
    for piece in ("a", "0", "a.", " ", "-a", "0a,", "b\n"):
        assert count_steps(pattern, (piece * SIZE)[:SIZE] + "~") <= MAX_STEPS, (pattern, piece)


@pytest.mark.parametrize(
    ("pattern", "secret"),
    [
        (r"x?[0-9a-f]{400}(?![0-9a-f])", "0a" * 200),
        (r"[0-9a-f]{256}", "0a" * 128),
        (r"(?m)^id: .*;$", "id: " + "abc " * 500 + ";"),
        (r"[0-9a-f]{300,}!", "0a" * 5000 + "!"),
        (r"foo.{480}bar", "foo" + "-" * 480 + "bar"),
    ],
)
@pytest.mark.parametrize("before", [0, 100, 300, 999])
def test_long_secret_is_found(pattern, secret, before):
    """A pattern whose matches are long finds them wherever they are."""
    text = "y\n" * before + secret + "\nend"
    assert [(2 * before, 2 * before + len(secret))] == list(
        prepare_search(pattern).find_matches(text)
    )
