"""Has conversations follow the program's work into threads and thread pools."""

from __future__ import annotations

from functools import lru_cache

from lupis_instrument._diagnostics import guarded


@lru_cache(maxsize=None)
def prepare_thread_pools() -> None:
    """Load thread pools and have them take conversations along; a second call does nothing.

    Before a provider is made: in a forked child the SDK's own handler uses a pool, and would wait
    for ever for a lock that a handler registered later sets free (SDK 1.45).
    """
    try:
        import concurrent.futures.thread  # noqa: F401 - it registers its handler
    except RuntimeError:
        return  # the interpreter is ending, and starts no more threads
    guarded("following work into threads", _follow_into_threads)


def _follow_into_threads() -> None:
    import threading

    from opentelemetry.context import Context
    from opentelemetry.instrumentation.threading import ThreadingInstrumentor

    # A thread that was started before and runs after does not have what older releases of the
    # instrumentor read there without looking (0.50b0), and would end with an AttributeError.
    threading.Thread._otel_context = Context()  # type: ignore[attr-defined]

    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(ThreadingInstrumentor, None)
