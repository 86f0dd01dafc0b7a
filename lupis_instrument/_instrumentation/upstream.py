"""Switches on an OpenTelemetry instrumentor beside the one the program may use itself."""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from threading import RLock
from typing import TYPE_CHECKING, Any, Iterator

from lupis_instrument import _semconv
from lupis_instrument._instrumentation import import_hook
from lupis_instrument._instrumentation.wrapping import unhinged
from lupis_instrument._process.fork import on_fork

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Sequence

    from lupis_instrument._instrumentation.wrapping import Wrapper


def switch_on(
    instrumentor: Any, provider: Any, wrappers: Sequence[Wrapper] = (), **options: Any
) -> None:
    """Instrument with an instance of our own, behind `wrappers`.

    Instrumentor classes keep one instance each; were ours that one, the program's own
    `instrument()` would do nothing but warn, and its provider would get no spans.

    Raises:
        RuntimeError: the instrumentor declined, saying why on its own logger only.
    """
    from opentelemetry.metrics import NoOpMeterProvider

    ours = object.__new__(instrumentor)
    with unhinged(wrappers), stable_names():
        ours.instrument(
            tracer_provider=provider,
            # The global one is the program's: its metrics must not count each call twice.
            meter_provider=NoOpMeterProvider(),
            skip_dep_check=True,
            **options,
        )
    if not ours.is_instrumented_by_opentelemetry:
        raise RuntimeError(f"{instrumentor.__name__} declined")


def load_without(client: str, name: str) -> ModuleType:
    """Import the module `name`, and not the HTTP client `client` which it would import, too.

    Where the program has not imported that client itself, what is returned is left to us alone:
    whoever imports the module later gets another, and with it both clients.

    Raises:
        ImportError: it can't be imported, or not without that client.
    """
    if name in sys.modules or client in sys.modules or find_spec(client) is None:
        return import_module(name)
    entry = get_ident(), client  # for this thread alone: another may be importing it now
    import_hook.withheld.add(entry)
    try:
        return import_module(name)
    finally:
        import_hook.withheld.discard(entry)
        _forget(name)


def _forget(name: str) -> None:
    """Have a module, and those below it, imported anew when somebody imports it next."""
    for each in [each for each in list(sys.modules) if f"{each}.".startswith(f"{name}.")]:
        sys.modules.pop(each, None)
    package, _, last = name.rpartition(".")
    if package in sys.modules:
        vars(sys.modules[package]).pop(last, None)


class _State:
    lock = RLock()


def _renew_lock() -> None:
    _State.lock = RLock()


on_fork(after_in_child=_renew_lock)


@contextmanager
def stable_names() -> Iterator[None]:
    """Have instrumentors that are set up in the block use the stable names of HTTP attributes.

    The variable that asks for them is read once, by whichever instrumentor comes first, and what it
    said is kept for all that follow. The program's own must find it as they would without us, so
    both are put back. A choice of the user's stands.
    """
    if _semconv.ENV_SEMCONV_OPT_IN in os.environ:
        yield
        return
    with _State.lock:
        os.environ[_semconv.ENV_SEMCONV_OPT_IN] = "http"
        kept = _forget_choice()
        try:
            yield
        finally:
            if kept is not None:
                del os.environ[_semconv.ENV_SEMCONV_OPT_IN]
                _recall_choice(kept)


# What was read is kept under these names, which are private, in releases 0.50b0 to 0.66b1. Where
# they are missing the variable stays: then the program's own spans may have the stable names too.
_INITIALIZED, _MODES = "_initialized", "_OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING"


def _choices() -> Any:
    try:
        from opentelemetry.instrumentation import _semconv
    except ImportError:
        return None
    return getattr(_semconv, "_OpenTelemetrySemanticConventionStability", None)


def _forget_choice() -> tuple[Any, Any] | None:
    choices = _choices()
    if not hasattr(choices, _INITIALIZED) or not hasattr(choices, _MODES):
        return None
    kept = getattr(choices, _INITIALIZED), getattr(choices, _MODES)
    setattr(choices, _INITIALIZED, False)
    setattr(choices, _MODES, {})
    return kept


def _recall_choice(kept: tuple[Any, Any]) -> None:
    choices = _choices()
    setattr(choices, _INITIALIZED, kept[0])
    setattr(choices, _MODES, kept[1])
