"""Looks up the addresses of endpoints within a time limit.

A lookup cannot be interrupted: a name server that does not answer would hold the main thread at the
end of the process, and the background thread while the program runs.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from lupis_instrument._llm.api.addresses import is_loopback
from lupis_instrument._process import pristine_http
from lupis_instrument._process.background_thread import BackgroundThread, Event, find_current_thread

if TYPE_CHECKING:
    from typing import List, Tuple

    Addresses = List[Tuple[Any, ...]]

_FRESH_PART = 0.5
"""The part of the time for a new lookup of a host whose earlier addresses are known."""


class Resolver:
    """Looks up the addresses of hosts, in time, and remembers them.

    A lookup cannot be interrupted, so a background thread does it. A thread whose lookup hangs is
    left behind, and later lookups of the same host wait for it.
    """

    def __init__(self) -> None:
        """Make a resolver that knows no addresses."""
        self._lookups: dict[tuple[str, int], _Lookup] = {}
        self._known: dict[tuple[str, int], Addresses] = {}

    def find_addresses(self, host: str, port: int, due: float) -> Addresses:
        """Return the addresses of a host; earlier ones where a new lookup is impossible.

        Args:
            host: a name or an address.
            port: the port of the addresses.
            due: the time, by `monotonic`, at which the lookup ends.

        Raises:
            OSError: the lookup failed, or did not end in time.
        """
        key = host, port
        known = self._known.get(key)
        seconds = pristine_http.seconds_until(due)
        lookup = self._lookups.get(key) or _Lookup(host, port)
        self._lookups[key] = lookup
        if lookup.start_once():
            if not lookup.done.wait(seconds * _FRESH_PART if known else seconds):
                return _require_addresses(known, "the lookup of the host's name timed out")
            self._lookups.pop(key, None)
            if lookup.error is not None:
                raise lookup.error
            self._known[key] = lookup.addresses
            return lookup.addresses
        # From Python 3.12 on, no thread starts any more when the interpreter ends.
        self._lookups.pop(key, None)
        if find_current_thread() is not None:
            return pristine_http.look_up_host(host, port)
        loopback = _loopback_addresses(port) if is_loopback(host) else None
        return _require_addresses(known or loopback, "the host's name cannot be looked up now")


class _Lookup:
    """The lookup of one host on a thread of its own.

    Attributes:
        done: set when the lookup has ended.
        addresses: the result.
        error: the error in place of a result.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._started = False
        self.done = Event()
        self.addresses: Addresses = []
        self.error: OSError | UnicodeError | None = None

    def start_once(self) -> bool:
        """Start the thread unless it runs; returns False if the interpreter starts no threads."""
        if not self._started:
            try:
                BackgroundThread(self._run, "lupis-lookup").start()
            except RuntimeError:
                return False
            self._started = True
        return True

    def _run(self) -> None:
        try:
            self.addresses = pristine_http.look_up_host(self._host, self._port)
        except (OSError, UnicodeError) as error:
            self.error = error
        except Exception as error:  # a function that the program has put in place
            self.error = OSError(type(error).__name__)
        finally:
            self.done.set()


def _loopback_addresses(port: int) -> Addresses:
    """Return the addresses of this machine: https://www.rfc-editor.org/rfc/rfc6761#section-6.3."""
    return [
        (family, socket.SOCK_STREAM, 0, "", (address, port))
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
    ]


def _require_addresses(addresses: Addresses | None, problem: str) -> Addresses:
    if not addresses:
        raise socket.gaierror(socket.EAI_AGAIN, problem)
    return addresses
