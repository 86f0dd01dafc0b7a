"""TLS over a socket of the operating system, in a program that gevent or eventlet has patched.

Their TLS sockets start an event loop in each thread that uses one. It outlives the thread and keeps
its files open (seen in gevent 24 to 26 and eventlet 0.36 to 0.41). Python's own class fails after a
patch, because its methods find the replacement under their own name.
"""

from __future__ import annotations

import ssl
from typing import Any, Callable

from lupis_instrument._process.pristine_http import seconds_until

_MAX_RECORD_BYTES = 16 << 10


def start_tls(context: ssl.SSLContext, raw: Any, host: str, due: float) -> Any:
    """Return a socket that encrypts over `raw`, after the handshake.

    Args:
        context: the TLS settings.
        raw: a connected socket.
        host: the name in the certificate.
        due: the time, by `monotonic`, at which the handshake ends.
    """
    if type(context).__module__ != "ssl":
        return NativeTlsSocket(context, raw, host, due)
    raw.settimeout(seconds_until(due))  # the limit of the whole handshake
    return context.wrap_socket(raw, server_hostname=host)


class NativeTlsSocket:
    """The methods of a TLS socket that sending takes; each ends at the time `due`."""

    def __init__(self, context: ssl.SSLContext, raw: Any, host: str, due: float) -> None:
        """Make the handshake; the arguments are the same as for `start_tls`."""
        self._raw = raw
        self._due = due
        self._received, self._pending = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._pending, server_hostname=host)
        self._run(self._tls.do_handshake)

    def _run(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """Return the result of a step, for which bytes may have to come and go."""
        while True:
            try:
                result = step(*arguments)
            except ssl.SSLWantReadError:
                self._send_pending()
                self._receive_more()
            else:
                self._send_pending()
                return result

    def _send_pending(self) -> None:
        if self._pending.pending:
            self._raw.settimeout(seconds_until(self._due))
            self._raw.sendall(self._pending.read())

    def _receive_more(self) -> None:
        self._raw.settimeout(seconds_until(self._due))
        data = self._raw.recv(_MAX_RECORD_BYTES)
        if data:
            self._received.write(data)
        else:
            self._received.write_eof()

    def settimeout(self, _seconds: float) -> None:
        """Do nothing: the time limit is absolute."""

    def send(self, data: Any) -> int:
        """Send some bytes; returns their number."""
        count: int = self._run(self._tls.write, data)
        return count

    def recv_into(self, buffer: Any) -> int:
        """Receive some bytes; returns their number, 0 at the end."""
        try:
            count: int = self._run(self._tls.read, len(buffer), buffer)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return 0
        return count

    def close(self) -> None:
        """Close the socket below."""
        self._raw.close()
