"""Records spans that libraries make by OpenTelemetry's API alone, while no provider is set.

The API gives such a library a `ProxyTracer`, which makes spans that record nothing until the
program sets a provider. Behind the property `_tracer` of that class, a tracer of this package takes
the place of the one that records nothing. The global provider stays unset: a program that looks for
one, or sets its own, finds everything as it would without this package.

`ProxyTracer._tracer` and `_noop_tracer` have no public name; API 1.29 to 1.45 have both.
"""

from __future__ import annotations

import functools
import logging
from _thread import get_ident
from typing import TYPE_CHECKING, Any, Callable, Optional

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._instrumentation.activation import has_stack_room
from lupis_instrument._process.kept_modules import kept_modules

if TYPE_CHECKING:
    from types import ModuleType

    from opentelemetry.trace import Tracer

    MakeTracer = Callable[..., Optional[Tracer]]

_OWN_TRACER = "_lupis_tracer"
_SDK_LOGGERS = ("opentelemetry.attributes", "opentelemetry.sdk.trace")
"""Loggers of the messages about wrong values and ended spans."""


def wrap_proxy_tracers(
    module: ModuleType, make_tracer: MakeTracer, has_provider: Callable[[], bool]
) -> None:
    """Let proxy tracers without a provider make recorded spans from now on.

    Args:
        module: the API's `opentelemetry.trace`.
        make_tracer: returns a tracer for a scope (name, version, schema URL, attributes); None for
            a scope whose spans are not recorded.
        has_provider: returns whether the program has set up a tracer provider.
    """
    if kept_modules.get(module.__name__, module) is not module:
        return  # a second copy, whose spans would not know the spans of the first one
    proxy_class: Any = getattr(module, "ProxyTracer", None)
    find_original = getattr(getattr(proxy_class, "_tracer", None), "fget", None)
    if find_original is None:
        return  # an old API
    tracers = _NativeTracers(make_tracer)
    _silence_loggers(has_provider)

    @functools.wraps(find_original)
    def find_tracer(self: Any) -> Any:
        tracer = find_original(self)
        attributes = vars(self)
        if tracer is not attributes.get("_noop_tracer"):
            return tracer
        return attributes.get(_OWN_TRACER) or tracers.find_tracer(self) or tracer

    proxy_class._tracer = property(find_tracer)


class _NativeTracers:
    """Makes one tracer for each proxy tracer, with its first span."""

    def __init__(self, make_tracer: MakeTracer) -> None:
        self._make_tracer = make_tracer
        self._starting: set[int] = set()

    def find_tracer(self, proxy: Any) -> Tracer | None:
        """Return the tracer for a proxy tracer; None where its spans are not recorded."""
        thread = get_ident()
        if thread in self._starting:
            return None  # starting the runtime has led to this span
        self._starting.add(thread)
        try:
            if not has_stack_room():
                return None
            tracer = self._make_tracer(*_read_scope(proxy))
            if tracer is not None:
                setattr(proxy, _OWN_TRACER, tracer)
            return tracer
        except Exception as fault:
            report_fault("recording a library's spans", fault)
            return None
        finally:
            self._starting.discard(thread)


def _read_scope(proxy: Any) -> tuple[Any, ...]:
    names = ("module_name", "library_version")
    first = [getattr(proxy, f"_instrumenting_{name}", None) for name in names]
    return (*first, getattr(proxy, "_schema_url", None), getattr(proxy, "_attributes", None))


def _silence_loggers(has_provider: Callable[[], bool]) -> None:
    """Keep messages of the SDK from a program that has no provider: it does not use the SDK."""

    def is_wanted(_record: logging.LogRecord) -> bool:
        return has_provider()

    for name in _SDK_LOGGERS:
        logging.getLogger(name).addFilter(is_wanted)
