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
    from opentelemetry.instrumentation.threading import ThreadingInstrumentor

    from lupis_instrument._instrumentation.upstream import switch_on

    switch_on(ThreadingInstrumentor, None)
