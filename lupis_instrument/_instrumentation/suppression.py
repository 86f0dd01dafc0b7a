"""Finds out whether the current call may have a span. OpenTelemetry can suppress it in two ways.

- `suppress_instrumentation` addresses this package too: a program uses it while it exports
  telemetry, or for a call that must stay unrecorded.
- `suppress_http_instrumentation` keeps the instrumentors of inner clients from repeating the span
  of an outer one. It applies if an instrumentor of this package has set it. If an instrumentor of
  the program has set it, this package would have no span at all, so wrapped calls ignore it.
"""

from __future__ import annotations

import sys
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from lupis_instrument._process.import_lock import import_alone
from lupis_instrument._process.kept_modules import kept_modules
from lupis_instrument._tracing.context import LLM_ONLY_KEY

if TYPE_CHECKING:
    from typing import ContextManager

    from opentelemetry.context import Context

_UTILS = "opentelemetry.instrumentation.utils"


class Suppression(Enum):
    """Who wants a call to have no span.

    Attributes:
        NONE: nobody.
        OUTER: an outer instrumentor, which has made a span for its own provider.
        ALL: the program, or this package for its own traffic.
    """

    NONE = "none"
    OUTER = "outer"
    ALL = "all"


def return_span(span: Any) -> Any:
    """Return the given span itself."""
    return span


def find_suppression(find_original: Callable[[Any], Any] = return_span) -> Suppression:
    """Return who suppresses spans here; runs several times a call.

    Args:
        find_original: returns the span that another span stands in for, see `CurrentCalls`. Some
            libraries (anthropic's instrumentor) make spans of their own below a span in which
            spans are suppressed. Such stand-ins have no attributes.
    """
    keys = load_context_keys()
    if keys is None:
        return Suppression.NONE
    context = keys.get_current()
    if keys.all.isdisjoint(context):
        return Suppression.NONE
    if any(context.get(key) for key in keys.unconditional):
        return Suppression.OUTER if _is_in_llm_span(find_original) else Suppression.ALL
    return Suppression.OUTER if any(context.get(key) for key in keys.http) else Suppression.NONE


def _is_in_llm_span(find_original: Callable[[Any], Any]) -> bool:
    """Return whether an LLM library's instrumentor has made the current span.

    It suppresses spans of the HTTP clients below it to keep its own trace short. This package still
    needs a span for the call.
    """
    from lupis_instrument._tracing.api import get_current_span
    from lupis_instrument._tracing.span_tree import is_llm_call

    return is_llm_call(getattr(find_original(get_current_span()), "attributes", None) or {})


def unsuppressed() -> ContextManager[None]:
    """Return a context manager inside which outer instrumentors suppress nothing."""
    from lupis_instrument._tracing.context import use_context

    return use_context(unsuppressed_context())


def unsuppressed_context() -> Context:
    """Return the current context without the suppression by outer instrumentors.

    Where an LLM library's instrumentor suppressed all spans, only calls to LLM APIs get one.
    """
    from lupis_instrument._tracing.api import Context

    keys = _find_context_keys()
    context = keys.get_current()
    kept = {key: value for key, value in context.items() if key not in keys.http}
    if any(context.get(key) for key in keys.unconditional):
        kept = {key: value for key, value in kept.items() if key not in keys.all}
        kept[LLM_ONLY_KEY] = True
    return Context(kept)


class ContextKeys(NamedTuple):
    """The keys that suppression has in OpenTelemetry's context; they have no public name.

    Attributes:
        get_current: OpenTelemetry's function, looked up once.
        http: the keys of `suppress_http_instrumentation`.
        unconditional: the keys of `suppress_instrumentation` alone.
        all: both.
    """

    get_current: Callable[[], Context]
    http: frozenset[str]
    unconditional: frozenset[str]
    all: frozenset[str]


def load_context_keys() -> ContextKeys | None:
    """Return the keys of suppression; None while OpenTelemetry is not loaded."""
    if _UTILS not in kept_modules and _UTILS not in sys.modules:
        return None
    try:
        return _find_context_keys()  # waits where another thread is importing the module
    except ImportError:
        return None  # this thread is importing the module


@lru_cache(maxsize=None)
def _find_context_keys() -> ContextKeys:
    """Find the keys by using each function in an empty context and looking at the result."""
    from lupis_instrument._tracing.context import use_context

    api = import_alone(_load_api)
    empty = api.Context()

    with use_context(empty), api.utils.suppress_http_instrumentation():
        http = frozenset(api.get_current())
    with use_context(empty), api.utils.suppress_instrumentation():
        unconditional = frozenset(api.get_current()) - http
    return ContextKeys(api.get_current, http, unconditional, http | unconditional)


def _load_api() -> Any:
    from lupis_instrument._tracing import api

    return api
