"""Switches on an OpenTelemetry instrumentor beside the one that the program may use itself."""

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
from lupis_instrument._instrumentation.wrapper import unwrapped
from lupis_instrument._process.fork import on_fork

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Sequence

    from lupis_instrument._instrumentation.wrapper import Wrapper


def switch_on(
    instrumentor_class: Any, provider: Any, wrappers: Sequence[Wrapper] = (), **options: Any
) -> None:
    """Instrument a client with a new instance of an instrumentor class, behind `wrappers`.

    Instrumentor classes keep one instance each. If this package used that instance, the program's
    own `instrument()` would do nothing but warn, and its provider would get no spans.

    Args:
        instrumentor_class: the class, a `BaseInstrumentor`.
        provider: the tracer provider for the spans.
        wrappers: the wrapped methods of the client.
        options: further arguments of the class's `instrument()`.

    Raises:
        RuntimeError: the instrumentor declined; it gives the reason on its own logger only.
    """
    from opentelemetry.metrics import NoOpMeterProvider

    instrumentor = object.__new__(instrumentor_class)
    with unwrapped(wrappers), stable_attribute_names():
        instrumentor.instrument(
            tracer_provider=provider,
            # The global meter provider is the program's: its metrics must count each call once.
            meter_provider=NoOpMeterProvider(),
            skip_dep_check=True,
            **options,
        )
    if not instrumentor.is_instrumented_by_opentelemetry:
        raise RuntimeError(f"{instrumentor_class.__name__} declined")


def load_without(client: str, name: str) -> ModuleType:
    """Import the module `name`, but not the HTTP client `client`, which it would import too.

    If the program has not imported the client itself, only this package keeps the returned module:
    the next import of `name` makes another module, and loads the client.

    Raises:
        ImportError: the module can't be imported, or not without the client.
    """
    if name in sys.modules or client in sys.modules or find_spec(client) is None:
        return import_module(name)
    entry = get_ident(), client  # for this thread only: another may be importing the client now
    import_hook.withheld_modules.add(entry)
    try:
        return import_module(name)
    finally:
        import_hook.withheld_modules.discard(entry)
        _drop_module(name)


def _drop_module(name: str) -> None:
    """Remove a module and its submodules, so that the next import makes new ones."""
    for loaded in [loaded for loaded in list(sys.modules) if f"{loaded}.".startswith(f"{name}.")]:
        sys.modules.pop(loaded, None)
    package, _, last_name = name.rpartition(".")
    if package in sys.modules:
        vars(sys.modules[package]).pop(last_name, None)


class _State:
    """The state of this module.

    Attributes:
        lock: held while the environment variable is changed.
    """

    def __init__(self) -> None:
        self.lock = RLock()

    def reset_lock(self) -> None:
        """Replace the lock, in a forked child: a thread of the parent may have held it."""
        self.lock = RLock()


_state = _State()
on_fork(after_in_child=_state.reset_lock)


@contextmanager
def stable_attribute_names() -> Iterator[None]:
    """Let instrumentors that are set up in the block use the stable names of HTTP attributes.

    Upstream reads the environment variable OTEL_SEMCONV_STABILITY_OPT_IN once, in whichever
    instrumentor comes first, and keeps its value for all others. The program's own instrumentors
    must find the value that they would find without this package, so the variable and the kept
    value are both restored. A value that the user has set is not changed.
    """
    if _semconv.ENV_SEMCONV_OPT_IN in os.environ:
        yield
        return
    with _state.lock:
        os.environ[_semconv.ENV_SEMCONV_OPT_IN] = "http"
        kept = _reset_choice()
        try:
            yield
        finally:
            if kept is not None:
                del os.environ[_semconv.ENV_SEMCONV_OPT_IN]
                _restore_choice(kept)


# Upstream keeps the value under these private names in releases 0.50b0 to 0.66b1. Where they are
# missing, the variable stays set: then the program's own spans may have the stable names too.
_INITIALIZED, _MODES = "_initialized", "_OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING"


def _find_choice() -> Any:
    """Return upstream's class that keeps the choice; None where it does not exist."""
    try:
        from opentelemetry.instrumentation import _semconv
    except ImportError:
        return None
    return getattr(_semconv, "_OpenTelemetrySemanticConventionStability", None)


def _reset_choice() -> tuple[Any, Any] | None:
    """Make upstream read the variable again; return the kept value, None if that is impossible."""
    choice = _find_choice()
    if not hasattr(choice, _INITIALIZED) or not hasattr(choice, _MODES):
        return None
    kept = getattr(choice, _INITIALIZED), getattr(choice, _MODES)
    setattr(choice, _INITIALIZED, False)
    setattr(choice, _MODES, {})
    return kept


def _restore_choice(kept: tuple[Any, Any]) -> None:
    choice = _find_choice()
    setattr(choice, _INITIALIZED, kept[0])
    setattr(choice, _MODES, kept[1])
