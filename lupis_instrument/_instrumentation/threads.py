"""Makes chat id and metadata follow the program's work into threads and thread pools."""

from __future__ import annotations

from functools import lru_cache

from lupis_instrument._diagnostics import internal_errors
from lupis_instrument._process.import_lock import load_again


@lru_cache(maxsize=None)
def prepare_thread_pools() -> None:
    """Load thread pools and make them pass on the context; a second call does nothing.

    Called before a tracer provider is made: in a forked child, the SDK's own handler uses a thread
    pool. It would wait for ever for a lock that a handler registered later releases (SDK 1.45).
    """
    try:
        import concurrent.futures.thread  # noqa: F401 - it registers its fork handler
    except RuntimeError:
        return  # the interpreter is ending and starts no more threads
    with internal_errors("following work into threads"):
        load_again(_instrument_threads)


def _instrument_threads() -> None:
    import threading

    from opentelemetry.context import Context
    from opentelemetry.instrumentation.threading import ThreadingInstrumentor

    # Older releases of the instrumentor (0.50b0) read this attribute of a thread unconditionally. A
    # thread that was started before and runs after does not have it, and would end with an
    # AttributeError.
    threading.Thread._otel_context = Context()  # type: ignore[attr-defined]

    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(ThreadingInstrumentor, None)
