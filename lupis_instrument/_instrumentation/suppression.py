"""Whether a span is wanted here: OpenTelemetry's two ways to say that it is not.

`suppress_instrumentation` is meant for us too: who exports telemetry, or wants a call unseen, says
so with it. `suppress_http_instrumentation` is how one instrumentor keeps those of the clients below
it from repeating its span. Said by ours, it stands; said by the program's own, it would leave us
without a span, so for the calls that pass our doors it is lifted.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING

from lupis_instrument._context import LLM_ONLY

if TYPE_CHECKING:
    from typing import ContextManager

    from opentelemetry.context import Context

_UTILS = "opentelemetry.instrumentation.utils"


def suppressed() -> bool:
    """Tell whether the program, or our own traffic, wants no span here."""
    if _UTILS not in sys.modules:
        return False
    try:
        # Waits where another thread is importing it just now.
        from opentelemetry.instrumentation.utils import is_instrumentation_enabled
    except ImportError:
        return False  # this thread is importing it
    return not is_instrumentation_enabled() and not _in_llm_span()


def _in_llm_span() -> bool:
    from opentelemetry.trace import get_current_span

    from lupis_instrument._ancestry import is_llm

    return is_llm(getattr(get_current_span(), "attributes", None) or {})


def outranked() -> bool:
    """Tell whether only an instrumentor further out wants no span here."""
    if _UTILS not in sys.modules:
        return False
    try:
        from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
    except ImportError:
        return False
    return not is_http_instrumentation_enabled() and not suppressed()


def lifted() -> ContextManager[None]:
    """Return a context manager inside which instrumentors further out have said nothing."""
    from lupis_instrument._context import attached

    return attached(unsuppressed())


def unsuppressed() -> Context:
    """Return the current context without what instrumentors further out have said."""
    from opentelemetry.context import Context, get_current

    words, here = _words(), get_current()
    kept = {key: value for key, value in here.items() if key not in words}
    if any(here.get(key) for key in _all_words() - words):
        kept = {key: value for key, value in kept.items() if key not in _all_words()}
        kept[LLM_ONLY] = True
    return Context(kept)


@lru_cache(maxsize=None)
def _words() -> frozenset[str]:
    """Return the keys by which `suppress_http_instrumentation` speaks; they have no public name."""
    from opentelemetry.context import Context, get_current
    from opentelemetry.instrumentation.utils import suppress_http_instrumentation

    from lupis_instrument._context import attached

    with attached(Context()), suppress_http_instrumentation():
        return frozenset(get_current())


@lru_cache(maxsize=None)
def _all_words() -> frozenset[str]:
    """Return the keys by which both speak."""
    from opentelemetry.context import Context, get_current
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    from lupis_instrument._context import attached

    with attached(Context()), suppress_instrumentation():
        return _words() | frozenset(get_current())
