"""Threads of ours take no signals of the program's."""

import signal
import threading

import pytest

from lupis_instrument._process.background_thread import block_signals

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "pthread_sigmask"), reason="signals as POSIX has them"
)


def mask():
    """The signals that this thread has blocked."""
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_thread_begins_with_signals_blocked():
    """All that somebody else may send."""
    found = []
    thread = threading.Thread(target=lambda: found.append(mask()))
    with block_signals():
        thread.start()
    thread.join()
    assert {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGALRM} <= found[0]
    assert not found[0] & {signal.SIGSEGV, signal.SIGFPE}


def test_whoever_starts_it_has_blocked_what_it_had_before():
    """Also after an error."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        before = mask()
        with pytest.raises(RuntimeError), block_signals():
            raise RuntimeError
        assert before == mask()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
