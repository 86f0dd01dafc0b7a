"""Removes the content of prompts and answers from spans that libraries and the program make.

The tables `CONTENT_ATTRIBUTES` and `CONTENT_EVENTS` in `_semconv` name attributes and events of the
conventions that libraries follow. In the spans of libraries, words that stand for content are a
second line of defence, for other names.
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import is_
from typing import TYPE_CHECKING, Any, Callable

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import report_fault

if TYPE_CHECKING:
    Selector = Callable[[str, Any], bool]

_WORDS = (
    "answer args arguments backstory body completion completions content contents conversation"
    " description descriptions document documents goal goals history input inputs instruction"
    " instructions kwargs message messages output outputs parameters params payload prompt"
    " prompts query question request result results response task text thought transcript"
)
_CONTENT_WORDS = frozenset(_WORDS.split())
"""Words in the name of an attribute whose text may be content."""
_ENDS = (
    "code count duration format id ids index kind language length method mode model name names"
    " number reason reasons role size source status tier tokens type url version"
)
_SAFE_ENDS = frozenset(_ENDS.split())
"""Last words of the names of attributes that hold no content, whatever words come before."""
_CONVENTIONS = (
    "client.", "cloud.", "code.", "db.", "error.", "exception.", "faas.", "http.", "lupis.",
    "gen_ai.request.", "messaging.", "net.", "network.", "peer.", "rpc.", "server.", "service.",
    "session.", "thread.", "url.", "user.", "user_agent.",
)  # fmt: skip
"""Beginnings of names in OpenTelemetry's conventions that hold no content but for the table's."""
_MAX_TEXT = 8_192
"""Characters of an attribute that is not in the table; a longer text is likely to be content."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_MAX_NAMES = 4_096

_PLAIN_TYPES = (bool, int, float)


def remove_content(span: ReadableSpan) -> ReadableSpan:
    """Return a finished span without content; the span itself if it has none.

    If that fails, nothing but ids, times, kind and status code are left.
    """
    try:
        scope = span.instrumentation_scope
        scope_name = "" if scope is None else scope.name
        select = choose_selector(scope_name)
        name = find_name(scope_name, span.name)
        all_attributes = span.attributes  # a new proxy each time
        attributes = _filter_attributes(all_attributes, select)
        events = [_filter_event(event, select) for event in span.events]
        links = [_filter_link(link, select) for link in span.links]
        is_same = name == span.name and attributes is all_attributes
        is_same = is_same and all(map(is_, events, span.events))
        if is_same and all(map(is_, links, span.links)):
            return span
        return _copy_span(
            span,
            name=name,
            attributes=attributes or {},
            events=tuple(filter(None, events)),
            links=tuple(links),
            status=span.status,
        )
    except Exception as fault:
        report_fault("removing the content of a span", fault)
        return _copy_span(span, name="[REDACTED]", status=Status(span.status.status_code))


def choose_selector(scope: str) -> Selector:
    """Return the function that says which attributes of a scope's spans are content."""
    return _is_listed if scope == _semconv.SCOPE else is_content


def find_name(scope: str, name: str) -> str:
    """Return the name of a span, or another one if it holds content."""
    for (library, end), other in _semconv.CONTENT_NAMES.items():
        if scope.startswith(library) and name.endswith(end):
            return other
    return name


def _copy_span(span: ReadableSpan, **texts: Any) -> ReadableSpan:
    """Return a copy of a span with other texts; arguments of `ReadableSpan`."""
    return ReadableSpan(
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        kind=span.kind,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
        **texts,
    )


def _filter_attributes(attributes: Any, select: Selector) -> Any:
    """Return attributes without content; the same object if there is none."""
    if not attributes:
        return attributes
    kept = {name: value for name, value in attributes.items() if not select(name, value)}
    return attributes if len(kept) == len(attributes) else kept


def _filter_event(event: Any, select: Selector) -> Any:
    """Return an event without content; None if the whole event is content."""
    if is_content_event(event.name):
        return None
    all_attributes = event.attributes
    attributes = _filter_attributes(all_attributes, select)
    is_same = attributes is all_attributes
    return event if is_same else Event(event.name, attributes, event.timestamp)


def _filter_link(link: Any, select: Selector) -> Any:
    all_attributes = link.attributes
    attributes = _filter_attributes(all_attributes, select)
    return link if attributes is all_attributes else type(link)(link.context, attributes)


def _is_listed(name: str, _value: Any) -> bool:
    """Return whether the table has an attribute."""
    return _classify_name(name)[0]


def is_content(name: str, value: Any) -> bool:
    """Return whether an attribute may hold the content of a prompt or an answer.

    Args:
        name: the name of the attribute.
        value: its value; numbers are no content, unless the table has the name.
    """
    listed, suspect = _classify_name(name)
    if listed or isinstance(value, _PLAIN_TYPES):
        return listed
    if isinstance(value, (list, tuple)):
        if all(isinstance(item, _PLAIN_TYPES) for item in value):
            return False
        length = sum(len(item) if isinstance(item, str) else 1 for item in value)
    else:
        length = len(value) if isinstance(value, str) else 0
    return suspect or (length > _MAX_TEXT and not name.startswith(_CONVENTIONS))


@lru_cache(maxsize=_MAX_NAMES)
def _classify_name(name: str) -> tuple[bool, bool]:
    """Return whether the table has an attribute, and whether its name has a word for content."""
    listed = _compile_names(_semconv.CONTENT_ATTRIBUTES).fullmatch(name.lower()) is not None
    words = [word.lower() for word in _WORD.findall(name)]
    is_safe = name.startswith(_CONVENTIONS) or not words or words[-1] in _SAFE_ENDS
    return listed, not is_safe and not _CONTENT_WORDS.isdisjoint(words)


@lru_cache(maxsize=_MAX_NAMES)
def is_content_event(name: str) -> bool:
    """Return whether an event of this name is content as a whole."""
    return _compile_names(_semconv.CONTENT_EVENTS).fullmatch(name.lower()) is not None


@lru_cache(maxsize=2)
def _compile_names(globs: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern for the names in a table."""
    from fnmatch import translate

    return re.compile("|".join(map(translate, globs)))
