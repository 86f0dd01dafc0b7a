"""Whether a span is wanted here: OpenTelemetry's two ways to say that it is not.

`suppress_instrumentation` is meant for us too: who exports telemetry, or wants a call unseen, says
so with it. `suppress_http_instrumentation` is how one instrumentor keeps those of the clients below
it from repeating its span. Said by ours, it stands; said by the program's own, it would leave us
without a span, so for the calls that pass our doors it is lifted.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from lupis_instrument._tracing.context import LLM_ONLY_KEY

if TYPE_CHECKING:
    from typing import ContextManager

    from opentelemetry.context import Context

NOBODY, OUTER, ALL = range(3)
"""Who may want no span: an instrumentor further out, or the program and our own traffic."""
_UTILS = "opentelemetry.instrumentation.utils"


def itself(span: Any) -> Any:
    """Return the span given."""
    return span


def objector(original: Callable[[Any], Any] = itself) -> int:
    """Tell who wants no span here: NOBODY, OUTER or ALL; asked several times a call.

    Args:
        original: see `Calls.original`. Where a library makes spans of its own below one that has
            them suppressed (anthropic's does), those stand in for it, and say nothing.
    """
    if _UTILS not in sys.modules:
        return NOBODY
    try:
        words = _words()  # waits where another thread is importing what they are found with
    except ImportError:
        return NOBODY  # this thread is importing it
    here = words.get_current()
    if words.all.isdisjoint(here):
        return NOBODY
    if any(here.get(word) for word in words.unconditional):
        return OUTER if _in_llm_span(original) else ALL
    return OUTER if any(here.get(word) for word in words.http) else NOBODY


def _in_llm_span(original: Callable[[Any], Any]) -> bool:
    from opentelemetry.trace import get_current_span

    from lupis_instrument._tracing.span_tree import is_llm_call

    return is_llm_call(getattr(original(get_current_span()), "attributes", None) or {})


def lifted() -> ContextManager[None]:
    """Return a context manager inside which instrumentors further out have said nothing."""
    from lupis_instrument._tracing.context import use_context

    return use_context(unsuppressed())


def unsuppressed() -> Context:
    """Return the current context without what instrumentors further out have said."""
    from opentelemetry.context import Context

    words = _words()
    here = words.get_current()
    kept = {key: value for key, value in here.items() if key not in words.http}
    if any(here.get(word) for word in words.unconditional):
        kept = {key: value for key, value in kept.items() if key not in words.all}
        kept[LLM_ONLY_KEY] = True
    return Context(kept)


class Words(NamedTuple):
    """The context's keys by which it is said; they have no public name.

    Attributes:
        get_current: OpenTelemetry's, looked up once.
        http: those of `suppress_http_instrumentation`.
        unconditional: those of `suppress_instrumentation` alone.
        all: both.
    """

    get_current: Callable[[], Context]
    http: frozenset[str]
    unconditional: frozenset[str]
    all: frozenset[str]


@lru_cache(maxsize=None)
def _words() -> Words:
    from opentelemetry.context import Context, get_current
    from opentelemetry.instrumentation import utils

    from lupis_instrument._tracing.context import use_context

    with use_context(Context()), utils.suppress_http_instrumentation():
        http = frozenset(get_current())
    with use_context(Context()), utils.suppress_instrumentation():
        unconditional = frozenset(get_current()) - http
    return Words(get_current, http, unconditional, http | unconditional)
