"""Reduces the texts of exceptions to words that cannot be a prompt or a completion.

HTTP clients quote the bytes that they cannot read, and a program's own exceptions may quote a
prompt. Of a message, only the phrases of `exception_phrases` stay. Of a stack trace, the files,
line numbers, functions and types of exceptions stay. Anything else becomes `[…]`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Callable, Collection, Iterable, Mapping

from lupis_instrument import _semconv
from lupis_instrument._redaction.exception_phrases import CLASSES, PHRASES

GAP = "[…]"
"""Stands for the parts of a text that were left out."""

_MAX_MESSAGE = 4096
"""Characters of a message that are read: a search for phrases holds the interpreter's lock."""
_MAX_TRACE = 256 * 1024
"""Characters of a stack trace that are read."""

# The quotes have backslashes where a message quotes another message.
_BYTES = re.compile(r"\bb(\\*)(['\"]).*?(?:(?<!\\)\1\2|\Z)", re.DOTALL)
# Punctuation between two phrases, as in "('Connection aborted.', RemoteDisconnected('Remote end".
_PUNCTUATION = re.compile(r"[\s()\[\]'\",:.=]{0,8}")
_TYPE_NAME = re.compile(r"[^\W\d][\w.<>]*")

_MARGIN = re.compile(r"(?: *[|+] )?")
_HEADERS = (
    "Traceback (most recent call last):",
    "Exception Group Traceback (most recent call last):",
)
_FRAME = re.compile(r'(  File "([^"]+)", line \d{1,9}, in )([\w.<>]+|\[…\])')
_HIDDEN_FRAME = f"  File {GAP}"
_FROZEN_FILE = re.compile(r"<frozen [\w.]+>")
# An agent may run code that a model wrote: its functions have names from a completion.
_CODE_WITHOUT_FILE = frozenset(("<string>", "<stdin>", "<console>"))
_UNNAMED_CODE = re.compile(r"<\w+>")
_REPEATED = re.compile(r"  \[Previous line repeated \d{1,9} more times?\]")
_GROUP_RULE = re.compile(r" *\+(?:-\+)?-{3,40}(?: (?:\d{1,3}|\.\.\.) -{3,40})?")
_GROUP_REST = re.compile(r"and \d{1,9} more exceptions?")
_SEPARATORS = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_SOURCE_INDENT = "    "


class ExceptionFilter:
    """Removes content from the attributes and the status that describe an exception."""

    def __init__(self, is_known_file: Callable[[str], bool], *, keep_source: bool = False) -> None:
        """Create a filter.

        Args:
            is_known_file: returns whether a name belongs to a file of code. A message may contain
                lines that look like lines of a stack trace.
            keep_source: whether stack traces keep lines of source code.
        """
        self._is_known_file = is_known_file
        self._keep_source = keep_source

    def filter_attributes(self, attributes: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return attributes whose texts of exceptions have no content.

        Args:
            attributes: the attributes of a span, a span event, a link or an event; the same object
                is returned if they describe no exception.
        """
        if not attributes or NAMES.isdisjoint(attributes):
            return attributes or {}
        filtered = dict(attributes)
        error_type = filtered.get(_semconv.EXCEPTION_TYPE)
        for name in NAMES.intersection(filtered):
            text = filtered[name]
            if not isinstance(text, str):
                filtered[name] = GAP
            elif name == _semconv.EXCEPTION_TYPE:
                filtered[name] = text if _TYPE_NAME.fullmatch(text) else GAP
            elif name == _semconv.EXCEPTION_STACKTRACE:
                filtered[name] = self.filter_trace(text, str(error_type))
            else:
                filtered[name] = filter_message(text)
        return filtered

    def filter_trace(self, text: str, error_type: str = "") -> str:
        """Return a stack trace without messages; with source lines only if the settings say so.

        Args:
            text: the trace in the format of the module `traceback`, exception groups included.
            error_type: the type of the exception, as in `exception.type`.
        """
        trace = _Trace(
            self._is_known_file, self._keep_source, _short_names([error_type]).union(CLASSES)
        )
        for line in text[:_MAX_TRACE].split("\n"):
            trace.add_line(line)
        return "\n".join(trace.lines)


NAMES = frozenset(
    (
        _semconv.EXCEPTION_MESSAGE,
        _semconv.EXCEPTION_STACKTRACE,
        _semconv.EXCEPTION_TYPE,
        _semconv.ERROR_MESSAGE,
    )
)
"""The attributes that describe an exception."""


class _Trace:
    """The lines of a stack trace that are kept.

    A message can have lines that look like any line of a trace. Such a line does no harm: a file
    has to be known, and a type follows a known file or is known itself.

    Attributes:
        lines: the lines so far.
    """

    def __init__(
        self, is_known_file: Callable[[str], bool], keep_source: bool, types: Collection[str]
    ) -> None:
        self.lines: list[str] = []
        self._is_known_file = is_known_file
        self._keep_source = keep_source
        self._types = types
        self._in_frames = False
        self._margin = ""
        self._awaits_type = True
        self._after_known_frame = False
        self._source_follows = False

    def add_line(self, line: str) -> None:
        """Read the next line, and keep it if it cannot be content."""
        margin = self._margin if self._in_frames else _read_margin(line)
        if not line.startswith(margin):
            return
        text = line[len(margin) :]
        if text in _HEADERS:
            self._begin_part(line, in_frames=True)
            self._margin = margin.replace("+", "|")
        elif text in _SEPARATORS:
            self.lines += [margin.rstrip(), line, margin.rstrip()]
            self._begin_part()
        elif _GROUP_RULE.fullmatch(line) or _GROUP_REST.fullmatch(text):
            self._begin_part(line)
        elif self._in_frames and text.startswith("  "):
            self._add_frame_line(margin, text)
        elif self._awaits_type and text.strip():
            self._add_type(margin, text)

    def _begin_part(self, line: str | None = None, *, in_frames: bool = False) -> None:
        """Begin the part of another exception, with a line of fixed text."""
        if line is not None:
            self.lines.append(line)
        self._in_frames = in_frames
        self._awaits_type = True
        self._after_known_frame = self._source_follows = False

    def _add_frame_line(self, margin: str, text: str) -> None:
        """Add a frame, or a line below it; `margin` is the drawing of exception groups."""
        frame = _FRAME.fullmatch(text)
        if frame is not None:
            shown = self._filter_frame(*frame.groups())
            self.lines.append(margin + (shown or _HIDDEN_FRAME))
            self._after_known_frame = self._after_known_frame or bool(shown)
            self._source_follows = bool(shown) and self._keep_source
        elif text.startswith(_SOURCE_INDENT):
            if self._source_follows:
                self.lines.append(margin + text)
        else:
            self._source_follows = False
            if text == _HIDDEN_FRAME or _REPEATED.fullmatch(text):
                self.lines.append(margin + text)

    def _filter_frame(self, start: str, file: str, function: str) -> str:
        """Return the line of a frame; "" if its file is not known.

        Args:
            start: the line up to the function.
            file: the name of the file.
            function: the name of the function.
        """
        if file in _CODE_WITHOUT_FILE:
            return start + (function if _UNNAMED_CODE.fullmatch(function) else GAP)
        is_known = _FROZEN_FILE.fullmatch(file) or self._is_known_file(file)
        return start + function if is_known else ""

    def _add_type(self, margin: str, text: str) -> None:
        """Add the line `type: message`; further lines of the message are dropped."""
        name, colon, message = text.partition(": ")
        is_known = self._after_known_frame or name in self._types
        if not (is_known and _TYPE_NAME.fullmatch(name)):
            self.lines.append(margin + GAP)
        else:
            self.lines.append(f"{margin}{name}{colon}{filter_message(message)}")
        self._in_frames = self._awaits_type = False


def _read_margin(line: str) -> str:
    """Return the drawing in front of a line of an exception group; "" outside of groups."""
    match = _MARGIN.match(line)
    return match.group() if match is not None else ""


def filter_message(text: str) -> str:
    """Return a message's phrases that are known; `[…]` stands for the rest.

    Args:
        text: the message of an exception. A repetition of the filter changes nothing.
    """
    shown = re.sub(r"\s+", " ", _BYTES.sub(GAP, text[:_MAX_MESSAGE]))
    parts: list[str] = []
    end = 0
    for match in _compile_phrases().finditer(shown):
        parts += [_filter_gap(shown[end : match.start()]), match.group()]
        end = match.end()
    if not parts:
        return GAP if text else ""
    rest = shown[end:] if len(text) <= _MAX_MESSAGE else GAP
    return "".join([*parts, _filter_gap(rest)]).strip()


def filter_status(text: str, types: Iterable[str]) -> str:
    """Return the description of a status without content.

    Args:
        text: the description, often `type: message`.
        types: the types of the exceptions that the span reports; they may have a module.
    """
    names = _short_names(types)
    if text in names:
        return text
    name, colon, message = text.partition(": ")
    return f"{name}{colon}{filter_message(message)}" if name in names else filter_message(text)


def _filter_gap(text: str) -> str:
    """Return the text between two phrases, if it is punctuation."""
    return text if _PUNCTUATION.fullmatch(text) else f" {GAP} "


def _short_names(types: Iterable[str]) -> set[str]:
    """Return the names of types, with and without their modules."""
    names = {name for name in types if _TYPE_NAME.fullmatch(name)}
    return names | {name.rpartition(".")[2] for name in names}


@lru_cache(maxsize=None)
def _compile_phrases() -> re.Pattern[str]:
    """Return the pattern of all phrases; a phrase does not begin inside a sentence."""
    longest_first = sorted(PHRASES, key=len, reverse=True)
    words = "|".join(re.escape(phrase).replace(r"\#", r"\d{1,9}") for phrase in longest_first)
    start = r"(?<!\w)(?:(?<=Caused by )|(?<![^\W\d_] ))"
    return re.compile(rf"{start}(?:{words})(?!\w)")
