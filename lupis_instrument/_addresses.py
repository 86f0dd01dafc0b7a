"""Which hosts are this machine, which a private network's, and which are named by a list."""

from __future__ import annotations

from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Sequence

_PRIVATE_SUFFIXES = (".internal", ".local", ".localhost", ".svc", ".cluster.local")


def is_loopback(host: str) -> bool:
    """Tell whether `host` is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """Tell whether `host` can only be reached from a private network.

    Loopback and private addresses (RFC 1918, RFC 4193, link-local), names of a single label, and
    the suffixes that private networks and Kubernetes use.
    """
    if "." not in host and ":" not in host:
        return bool(host)
    if host.endswith(_PRIVATE_SUFFIXES):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_private or address.is_loopback or address.is_link_local


def may_receive(host: str, allowed: Sequence[str]) -> bool:
    """Tell whether `host` is among the `allowed`: the word `private`, or globs of hosts."""
    return any(
        is_private(host) if rule == "private" else fnmatchcase(host, rule.lower())
        for rule in allowed
    )
