"""Makes the TLS context of requests, as the standard variables describe it."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Callable


def make_context(read_setting: Callable[[str], str]) -> ssl.SSLContext:
    """Return a context for connections to an endpoint.

    Args:
        read_setting: returns the value of a standard variable by the end of its name.

    Raises:
        OSError: a file that a variable names cannot be read.
    """
    authorities = read_setting("CERTIFICATE")
    context = ssl.create_default_context(cafile=authorities or None)
    if not authorities and not os.environ.get("SSL_CERT_FILE"):
        _trust_certifi(context)
    certificate = read_setting("CLIENT_CERTIFICATE")
    if certificate:
        context.load_cert_chain(certificate, read_setting("CLIENT_KEY") or None)
    return context


def _trust_certifi(context: ssl.SSLContext) -> None:
    """Trust the certificates of certifi as well, if installed: some systems have none."""
    try:
        import certifi
    except ImportError:
        return
    context.load_verify_locations(certifi.where())
