"""Classifies hosts: this machine, a private network, or named by a list of rules."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

_PRIVATE_SUFFIXES = (".internal", ".local", ".localhost", ".svc", ".cluster.local")


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine: ``localhost`` or a loopback address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _parse_address(host)
    return address is not None and address.is_loopback


def is_private(host: str) -> bool:
    """Return whether `host` can only be reached from a private network.

    Such hosts are loopback and private addresses (RFC 1918, RFC 4193, link-local), names of a
    single label, and names with the suffixes that private networks and Kubernetes use.
    """
    if "." not in host and ":" not in host:
        # A URL may write an IPv4 address as one number: http://134744072 is 8.8.8.8.
        return bool(host) and not host.isdigit() and not host.startswith("0x")
    if host.endswith(_PRIVATE_SUFFIXES):
        return True
    address = _parse_address(host)
    return address is not None and (address.is_private or address.is_link_local)


@lru_cache(maxsize=256)
def _parse_address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    # ::ffff:8.8.8.8 is 8.8.8.8, but `is_private` is true for it before Python 3.13.
    return getattr(address, "ipv4_mapped", None) or address


def is_allowed_host(host: str, allowed: Sequence[str]) -> bool:
    """Return whether one of the `allowed` rules matches `host`.

    Args:
        host: a host name or address in lower case.
        allowed: the rules: the word ``private``, or globs of host names in any case.
    """
    return any(
        is_private(host) if rule == "private" else fnmatchcase(host, rule.lower())
        for rule in allowed
    )
