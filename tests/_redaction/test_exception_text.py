"""No content of a message stays; types, files, lines and functions do."""

from __future__ import annotations

import linecache
import sys
import traceback
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lupis_instrument._redaction.exception_phrases import PHRASES
from lupis_instrument._redaction.exception_text import (
    ExceptionFilter,
    filter_message,
    filter_status,
)

TEXT = "PLANTED the diagnosis is gout"
QUOTED = TEXT.encode()
THIS_FILE = __file__


def is_known_file(name):
    """Returns whether linecache has a file, as in the redact stage."""
    return name in linecache.cache


FILTER = ExceptionFilter(is_known_file)
SOURCE_FILTER = ExceptionFilter(is_known_file, keep_source=True)


def raise_chained(error, cause=None, *, handled=None):
    """Raises an error, caused by another, or while a third one is handled."""
    if handled is not None:
        try:
            raise handled  # noqa: TRY301
        except Exception:
            raise error  # noqa: B904 - the context is the point
    raise error from cause


def format_error(error, **options):
    """Returns the stack trace of an error that was raised."""
    try:
        raise_chained(error, **options)
    except BaseException as raised:
        return "".join(traceback.format_exception(type(raised), raised, raised.__traceback__))


def words_of(text):
    """Returns the words of the planted text that stand in a text."""
    return {word for word in ("PLANTED", "diagnosis", "gout") if word in text}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (f"got length {QUOTED!r}, 0 bytes read", "got length […] 0 bytes read"),
        (
            f"invalid literal for int() with base 16: {QUOTED!r}",
            "invalid literal for int() with base 16 […]",
        ),
        (f"illegal status line: {bytearray(QUOTED)!r}", "illegal status line […]"),
        (f"400, message='Bad status line:\\n  {TEXT}'", "400, message='Bad status line […]"),
        ("[Errno 111] Connection refused", "[Errno 111] Connection refused"),
        (TEXT, "[…]"),
        ("", ""),
        ("'PLANTED'", "[…]"),
        ("👍 :)", "[…]"),
        (
            "('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
            "('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
        ),
        ("'NoneType' object has no attribute 'PLANTED'", "[…] object has no attribute […]"),
    ],
)
def test_phrases_of_libraries_stay(message, expected):
    """The parts that a library quotes become a gap."""
    assert expected == filter_message(message)


def test_causes_inside_a_message_stay():
    """The host and the path do not; other attributes have them."""
    message = (
        "HTTPSConnectionPool(host='h', port=443): Max retries exceeded with url: /v1?q=PLANTED"
        " (Caused by NewConnectionError('h: Failed to establish a new connection: [Errno 111]"
        " Connection refused'))"
    )
    expected = (
        "HTTPSConnectionPool […] Max retries exceeded with url […] Caused by NewConnectionError"
        " […] Failed to establish a new connection: [Errno 111] Connection refused'))"
    )
    assert expected == filter_message(message)


@pytest.mark.parametrize(
    "message",
    ["the request timed out", "my Connection refused", "my\nConnection refused", "timed outside"],
)
def test_a_phrase_inside_a_sentence_goes(message):
    """A library writes a phrase at the start, or behind punctuation."""
    assert "[…]" == filter_message(message)


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("depth", range(4))
def test_quoted_bytes_go_with_phrases_in_them(depth, quote):
    """Also if a message quotes a message that quotes the bytes."""
    message = f"got length {f'{quote} Connection refused, timed out'.encode()!r}"
    for _ in range(depth):
        message = f"Connection broken: {ValueError(message)!r}"
    assert "refused" not in filter_message(message)
    assert "timed" not in filter_message(message)


def test_bytes_without_an_end_go():
    """OpenTelemetry may have cut the message."""
    assert "got length […]" == filter_message("got length b'PLANTED: Connection refused")


@given(
    st.lists(
        st.sampled_from([*PHRASES, TEXT, "'", "b'", '"', "\\", ", ", ": ", "(", "\n", "7", "[…]"])
    )
)
def test_only_words_of_the_table_stay(parts):
    """In every mixture of phrases and content; a second run of the filter changes nothing."""
    shown = filter_message("".join(parts))
    assert set() == words_of(shown)
    assert shown == filter_message(shown)


@given(st.text())
def test_any_text_is_filtered(text):
    """The filter does not fail, and a second run changes nothing."""
    shown = filter_message(text)
    assert shown == filter_message(shown)


def test_long_messages_are_read_up_to_a_limit():
    """A search in megabytes would hold the interpreter's lock."""
    assert "timed out […]" == filter_message("timed out: " + TEXT * 100_000 + ": timed out")


@pytest.mark.parametrize(
    ("status", "types", "expected"),
    [
        ("ValueError: " + TEXT, ["ValueError"], "ValueError: […]"),
        ("Failure: timed out", ["app.errors.Failure"], "Failure: timed out"),
        ("Failure", ["f.<locals>.Failure"], "Failure"),
        ("PLANTED: gout", ["ValueError"], "[…]"),
        (TEXT, [], "[…]"),
        (TEXT, [TEXT], "[…]"),
        ("ValueError: timed out", [], "ValueError: timed out"),
    ],
)
def test_statuses_keep_the_type(status, types, expected):
    """The type is one that the span reports, or one of Python's own."""
    assert expected == filter_status(status, types)


class TestStackTraces:
    """The texts of `traceback`, of this version of Python."""

    def test_files_lines_functions_and_type_stay(self):
        """The source line and the message do not."""
        shown = FILTER.filter_trace(format_error(ValueError(TEXT)))
        assert [
            "Traceback (most recent call last):",
            f'  File "{THIS_FILE}", line {format_error.__code__.co_firstlineno + 3}, in format_error',
            f'  File "{THIS_FILE}", line {raise_chained.__code__.co_firstlineno + 7}, in raise_chained',
            "ValueError: […]",
        ] == shown.split("\n")

    def test_source_lines_stay_if_wanted(self):
        """The setting LUPIS_STACKTRACE_SOURCE asks for them."""
        trace = format_error(ValueError(TEXT))
        assert "    raise error from cause" in SOURCE_FILTER.filter_trace(trace).split("\n")
        assert "raise error" not in FILTER.filter_trace(trace)

    @pytest.mark.parametrize("trace_filter", [FILTER, SOURCE_FILTER])
    @pytest.mark.parametrize(
        "options",
        [
            {"cause": KeyError(TEXT)},
            {"handled": LookupError(TEXT)},
            {"cause": ValueError(f"{TEXT}\n    {TEXT}\n{TEXT}: {TEXT}")},
        ],
    )
    def test_chains_have_no_messages(self, options, trace_filter):
        """Causes and contexts keep their types."""
        shown = trace_filter.filter_trace(format_error(RuntimeError(f"a\n{TEXT}"), **options))
        assert set() == words_of(shown)
        (inner,) = options.values()
        assert f"\n{type(inner).__name__}: […]\n\n" in f"\n{shown}"
        assert shown.endswith("\nRuntimeError: […]")

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 has exception groups")
    def test_groups_have_no_messages(self):
        """Groups inside of groups, notes included."""
        inner = ExceptionGroup(TEXT, [ValueError(TEXT), KeyError(f"{TEXT}\n{TEXT}: x")])  # noqa: F821
        inner.add_note(TEXT)
        outer = ExceptionGroup(TEXT, [inner, *map(ValueError, [TEXT] * 20)])  # noqa: F821
        shown = FILTER.filter_trace(format_error(outer, cause=OSError(TEXT)))
        assert set() == words_of(shown)
        lines = [line.strip(" |+") for line in shown.split("\n")]
        assert 2 == sum(line.startswith("ExceptionGroup: […]") for line in lines)
        assert 14 < lines.count("ValueError: […]")
        assert {"OSError: […]", "KeyError: […]", "and 6 more exceptions"} <= {*lines}

    def test_an_error_that_was_not_raised_keeps_its_type(self):
        """Its trace is a single line."""
        assert "ValueError: […]" == FILTER.filter_trace(f"ValueError: {TEXT}\n")
        assert "app.Failure: […]" == FILTER.filter_trace(f"app.Failure: {TEXT}", "app.Failure")
        assert "[…]" == FILTER.filter_trace("PLANTED: gout\nPLANTED: gout")

    def test_a_syntax_error_has_no_source(self):
        """Python prints the line that it cannot read."""
        try:
            compile(f"x = '{TEXT}", "PLANTED.py", "exec")
        except SyntaxError as error:
            shown = FILTER.filter_trace(
                "".join(traceback.format_exception(SyntaxError, error, error.__traceback__))
            )
        assert set() == words_of(shown)
        assert "SyntaxError: […]" in shown

    def test_functions_of_code_without_a_file_are_hidden(self):
        """An agent may run code of a completion, which names its functions."""
        code = "def PLANTED():\n    raise ValueError\nPLANTED()"
        try:
            exec(compile(code, "<string>", "exec"), {})
        except ValueError as error:
            trace = "".join(traceback.format_exception(ValueError, error, error.__traceback__))
        lines = FILTER.filter_trace(trace).split("\n")
        expected = ['  File "<string>", line 3, in <module>', '  File "<string>", line 2, in […]']
        assert [*expected, "ValueError"] == lines[2:]
        assert lines == FILTER.filter_trace("\n".join(lines)).split("\n")

    def test_recursion_is_shortened(self):
        """The number of the repeated lines stays."""

        def recurse():
            recurse()

        try:
            recurse()
        except RecursionError as error:
            trace = "".join(traceback.format_exception(RecursionError, error, error.__traceback__))
        shown = FILTER.filter_trace(trace)
        assert "more times]" in shown
        assert shown.split("\n")[-1].startswith("RecursionError: maximum recursion depth exceeded")

    PIECES = (
        "Traceback (most recent call last):",
        '  File "/PLANTED/gout.py", line 3, in PLANTED',
        '  File "PLANTED", line 3',
        "    PLANTED()",
        "PLANTED: gout",
        "  + Exception Group Traceback (most recent call last):",
        "  +-+---------------- 1 ----------------",
        "    | PLANTED: gout",
        "The above exception was the direct cause of the following exception:",
        "",
    )

    @pytest.mark.parametrize(
        "trace_filter", [FILTER, pytest.param(SOURCE_FILTER, marks=pytest.mark.slow)]
    )
    def test_a_message_in_the_form_of_a_trace_goes(self, trace_filter):
        """A completion may quote the stack trace of another program."""
        for pieces in permutations(self.PIECES, 4):
            shown = trace_filter.filter_trace(format_error(ValueError("\n".join(pieces))))
            assert "PLANTED" not in shown, pieces

    def test_a_second_run_changes_nothing(self):
        """Frames in unknown files become gaps, which stay."""
        shown = ExceptionFilter(lambda _: False).filter_trace(format_error(ValueError(TEXT)))
        assert "  File […]\n  File […]\n" in shown
        assert shown == ExceptionFilter(lambda _: False).filter_trace(shown)


def test_attributes_of_exceptions_are_filtered():
    """Also where a program sets them itself, and to values that are no texts."""
    attributes = {
        "exception.type": "app.Failure",
        "exception.message": TEXT,
        "exception.stacktrace": f"app.Failure: {TEXT}",
        "error.message": (TEXT,),
        "note": TEXT,
    }
    assert {
        "exception.type": "app.Failure",
        "exception.message": "[…]",
        "exception.stacktrace": "app.Failure: […]",
        "error.message": "[…]",
        "note": TEXT,
    } == FILTER.filter_attributes(attributes)


def test_a_sentence_is_no_type():
    """A program may set the attribute to any text."""
    assert {"exception.type": "[…]"} == FILTER.filter_attributes({"exception.type": TEXT})


def test_other_attributes_are_not_copied():
    """Few spans describe an exception."""
    attributes = {"note": TEXT}
    assert attributes is FILTER.filter_attributes(attributes)
