"""Custom patterns are names or regular expressions; unsafe ones are refused."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction import PatternError, Redactor, compile_pattern

EXPONENTIAL = [
    "(a+)+$", "(a|aa)+b", "(.*)*x", r"^(\w+\s?)*x$", "(x+x+)+y", "([a-z]+)*@", "(a|b|ab)+c",
    r"(?:\w{1,3})+x", "(.+)+", r"(\d+|\w+)+!", "((ab)*)*c", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*a){20}",
    "(?:a*b?)+c", "(a|a?)+x", "(?:(?:a{1,9}){1,9}){1,9}b",
]  # fmt: skip
POLYNOMIAL = [r"\d+\d+x", ".*.*=.*", r"\s+\s*x", ".*?,.*?,.*?,x", "(?=.*x)y*.*z", r"\w+-?\w+!"]
BACK_REFERENCES = [r"(\w+)\s\1", r"(a)(?:\1)+b"]
EMPTY = ["x*", "", "a|", r"\b", "^", "$", "(?:)", "(a?){2}", "(a*)*", "(?=x)"]
BROKEN = ["(", "[a-", "a{2,1}", "(?P<1>x)", "*x", "(?<=a+)b"]
USABLE = [
    r"internal-[a-z0-9]{8}", r"EMP\d{6}", r"[\w.]+@[\w.]+\.[a-z]+",
    r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Z|a-z]{2,}\b", "(?:[a-z]+-)*[a-z]+",
    r"(\d{1,3}\.){3}\d{1,3}", r"acct_\w+", r"secret\s*=\s*\S+", r"(?i)cust-\d+", r"ticket #\d+",
    r"[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){3,7}", "(?:foo|bar)+x", r"https?://[^\s/]+/private/\S+",
    r".+@corp\.example", r"(?:\d{4}[- ]?){3}\d{4}", "key=(?:[0-9a-f]{2}:)+[0-9a-f]{2}",
    r"(?<!\d)\d{9}(?!\d)", "(?P<a>x)y+", r"\d+\d?x", "foo.*bar", "(abc|abd)+x",
]  # fmt: skip


@pytest.mark.parametrize("pattern", EXPONENTIAL + POLYNOMIAL + BACK_REFERENCES)
def test_unbounded_backtracking_is_refused(pattern):
    """The error names a pattern that could stall the program, and says why."""
    with pytest.raises(PatternError, match="could stall the program") as refused:
        compile_pattern(pattern)
    assert repr(pattern) in str(refused.value)


@pytest.mark.parametrize("pattern", EMPTY)
def test_empty_match_is_refused(pattern):
    """A pattern that matches everywhere is refused."""
    with pytest.raises(PatternError, match="empty string"):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", BROKEN)
def test_broken_pattern_is_refused(pattern):
    """A pattern that does not compile is refused with the reason."""
    with pytest.raises(PatternError, match="does not compile"):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", USABLE)
def test_usable_pattern_is_compiled(pattern):
    """An ordinary regular expression is accepted."""
    assert not compile_pattern(pattern).name


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"foo&bar=\d+", "x foo&bar=12"),
        (r"!id!\d{4}", "!id!1234"),
        (r"#ref\d{4}", "#ref1234"),
        (r"~usr~\d{4}", "~usr~1234"),
        (r"\+49\d{8}", "call +4912345678"),
        (r"12 monkeys\d", "the 12 monkeys3"),
        (r"=abc\d\d", "=abc12"),
        (r"abc_\d\d", "abc_12"),
    ],
)
def test_pattern_with_a_sign_of_the_prefilter(pattern, text):
    """The notation of the prefilter's literals has no meaning in a pattern."""
    assert "[REDACTED]" in Redactor("remove", patterns=[pattern]).redact_text(text)


def test_name_without_a_word_is_refused():
    """A plain name needs a word."""
    with pytest.raises(PatternError, match="without a word"):
        compile_pattern("__")


def test_error_is_a_value_error():
    """Callers that do not know the package can catch a ValueError."""
    assert issubclass(PatternError, ValueError)


def test_redactor_refuses_an_unsafe_pattern():
    """A Redactor raises the error of its patterns."""
    with pytest.raises(PatternError):
        Redactor(patterns=["(a+)+$"])


def test_pattern_adds_to_the_built_in_rules():
    """The matches of custom patterns are redacted, and the built-in rules still apply."""
    redactor = Redactor("remove", patterns=[r"acct_\w+", r"\d{3}/\d{3}"])
    assert (
        redactor.redact_text("acct_one 123/456 token=x") == "[REDACTED] [REDACTED] token=[REDACTED]"
    )


@pytest.mark.parametrize("before", [0, 100, 1500, 2040, 2048, 4000, 10_000])
@pytest.mark.parametrize("size", [5, 100, 3000, 20_000])
def test_long_matches_in_long_texts(before, size):
    """A match is found whole even if it crosses the windows of the search."""
    text = "x " * before + "acct_" + "a" * size + " end"
    assert "x " * before + "[REDACTED] end" == Redactor(
        "remove", patterns=[r"acct_a+"]
    ).redact_text(text)
    assert "x " * before + "[REDACTED] end" == Redactor(
        "remove", patterns=["[b-c]?acct_a+"]
    ).redact_text(text)


def test_explain_names_the_pattern():
    """An explanation names the pattern and the position of its match."""
    (redaction,) = Redactor(patterns=[r"EMP\d{6}"]).explain_text("see EMP123456")
    assert (r"pattern:EMP\d{6}", 4, 13) == redaction


@pytest.mark.parametrize("mode", ["mask", "remove", "hash"])
@pytest.mark.parametrize(
    "pattern", [r"\S", r"\w", "[A-Z]{3}", r"[\w*\[\]:]", ".{5,}", r"\S+", "[0-9a-f]{4}", r"\w+\]"]
)
def test_marks_do_not_match(pattern, mode):
    """A pattern that matches a mark would else replace the marks, and make more of them."""
    redactor = Redactor(mode, [pattern])
    shown = redactor.redact_text("ABC x1 abcd0123abcd [DEF] " * 40)
    assert len(shown) < 40 * 100
    assert shown == redactor.redact_text(shown)


def test_touching_matches_have_one_mark():
    """The marks would be longer than the text."""
    assert "id [REDACTED] x" == Redactor("remove", [r"\d"]).redact_text("id 12345 x")


def test_a_match_is_cut_at_a_mark():
    """The rest of the match is hidden."""
    assert "[REDACTED][REDACTED]" == Redactor("remove", [r"x\[RED"]).redact_text("x[REDACTED]")
