"""Socket addresses: resolving hosts, and turning what the operating system reports into ``(host, port)``.

The QUIC port sees addresses exactly as the operating system gives them, because it compares them for equality. Programs
see `Address`: an IPv4 peer of a dual-stack socket is its IPv4 address (RFC 4291, 2.5.5.2), without scope or flow label.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import NamedTuple

from .._quic.port import NetworkAddress
from ..types import Address

_IPV4_MAPPED_PREFIX = "::ffff:"
"""How inet_ntop writes the prefix of an IPv4-mapped IPv6 address; the IPv4 part follows in dotted form."""

_WILDCARD_HOSTS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


class Endpoint(NamedTuple):
    """One resolved address: the socket family and the address in that family's form."""

    family: socket.AddressFamily
    sockaddr: NetworkAddress


def to_address(sockaddr: NetworkAddress | None) -> Address | None:
    """Return the ``(host, port)`` that programs see, or None when there is no IP address."""
    if not isinstance(sockaddr, tuple) or len(sockaddr) < 2:
        return None
    host: str = sockaddr[0]
    if host.startswith(_IPV4_MAPPED_PREFIX) and "." in host:
        host = host[len(_IPV4_MAPPED_PREFIX) :]
    elif "%" in host:
        host = host.partition("%")[0]
    return host, sockaddr[1]


def is_wildcard(sockaddr: NetworkAddress) -> bool:
    """Tell whether a socket bound to this address receives on every interface."""
    return sockaddr[0] in _WILDCARD_HOSTS


def source_towards(sockaddr: NetworkAddress, local_port: int) -> Address | None:
    """Return the local address that a socket bound to every interface uses when it sends to `sockaddr`.

    The kernel chooses it by the routing table, so a throw-away connected socket is asked; nothing is sent.
    """
    family = socket.AF_INET6 if len(sockaddr) == 4 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(sockaddr)
            source = to_address(probe.getsockname())
    except OSError:  # no route at the moment: the address is not known, which is an answer
        return None
    return None if source is None else (source[0], local_port)


def interleave(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Return addresses so that families alternate, each in its own order, beginning with the family of the first.

    A network in which one family does not work at all then costs one head start, not one for each of its addresses.

    Source: RFC 8305, section 4, with a First Address Family Count of 1.
    """
    families: dict[socket.AddressFamily, list[Endpoint]] = {}
    for endpoint in endpoints:
        families.setdefault(endpoint.family, []).append(endpoint)
    rounds = itertools.zip_longest(*families.values())
    return [endpoint for turn in rounds for endpoint in turn if endpoint is not None]


def is_ipv4(host: str) -> bool:
    """Tell whether a host is an IPv4 address as it is always written, which needs no look-up."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError):
        return False
    return True


async def resolve(*, host: str, port: int, passive: bool = False) -> list[Endpoint]:
    """Resolve a host to its UDP addresses, in the system's order of preference and without repetitions.

    Args:
        host: a name, an IPv4 or IPv6 address (with or without brackets), or ``""`` for every interface.
        port: 0..65535.
        passive: for binding; ``""`` is then the wildcard address instead of loopback.

    Raises:
        OSError: the host is not known (``socket.gaierror``).
        OverflowError: port out of range.
    """
    node = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    flags = socket.AI_PASSIVE if passive else 0
    if not 0 <= port <= 65535:
        raise OverflowError(f"port must be 0-65535, not {port}")
    try:
        # A numeric address needs no look-up, so no thread either.
        infos = socket.getaddrinfo(
            node or None, port, type=socket.SOCK_DGRAM, flags=flags | socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    except socket.gaierror:
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(node, port, type=socket.SOCK_DGRAM, flags=flags)
    found = [Endpoint(family, sockaddr) for family, _, _, _, sockaddr in infos if family in _FAMILIES]
    return list(dict.fromkeys(found))


_FAMILIES = frozenset({socket.AF_INET, socket.AF_INET6})
