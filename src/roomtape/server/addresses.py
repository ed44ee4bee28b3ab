"""Which addresses can only mean this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine.

    A name that merely begins like a loopback address (``127.evil.example``) is anybody's; the
    names below ``localhost`` are nobody's (RFC 6761, section 6.3).
    """
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def host_of(authority: str) -> str | None:
    """The host of a ``Host`` header, without its port; None if it is no such thing."""
    try:
        return urlsplit(f"//{authority}").hostname
    except ValueError:
        return None


def same_site(origin: str, authority: str) -> bool:
    """Whether a page of ``origin`` (the header) came from the server called ``authority``."""
    try:
        return urlsplit(origin).netloc.lower() == authority.lower()
    except ValueError:
        return False


def household(address: str) -> str:
    """Whose an address is: of IPv6, a customer has the lower 64 bits to himself."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
