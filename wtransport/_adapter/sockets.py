"""UDP sockets for QUIC: opening, binding and connecting them, their options, and reading several datagrams at once."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
from typing import Any

from .._quic.port import NetworkAddress
from .addresses import Endpoint, is_wildcard

SOCKET_BUFFER_SIZE = 2 * 1024 * 1024
"""Bytes asked for as receive and send buffer: about 15 ms at 1 Gbit/s, so that a busy loop turn loses no packets.

The kernel silently clamps it to its own limit (net.core.rmem_max on Linux).
"""

MAX_UDP_PAYLOAD = 65_535
"""Bytes of the receive buffer; no UDP payload is longer (RFC 768).

Far below asyncio's own 256 KiB, which the C library takes from the kernel anew for every datagram (11 µs each).
"""

READ_BATCH = 32
"""Datagrams read from one socket before the loop goes on: about 1 ms of work, so that nobody else starves.

Receiving bulk data takes half the processor time that it takes one by one, as acknowledgements and turns are shared.
"""

PORT_ATTEMPTS = 16
"""How many system-chosen ports are tried until one is free on every address of a host."""

_IP_MTU_DISCOVER = 10
_IPV6_MTU_DISCOVER = 23
_PMTUDISC_PROBE = 3
"""Linux option numbers, absent from `socket`: set "don't fragment", and believe no ICMP about the path's MTU."""

FORBIDS_FRAGMENTS = sys.platform == "linux"
"""Whether `_open` can set "don't fragment" here. Elsewhere a packet that is too large may arrive in fragments, and that
would say nothing about the path (RFC 9000, 14.2)."""

_ABSENT_FAMILY = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
"""What a host without IPv4, or without IPv6, answers."""


def _open(family: socket.AddressFamily) -> socket.socket:
    """Open a non-blocking UDP socket with QUIC's options; options that cannot be had are gone without."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_SIZE)
    if FORBIDS_FRAGMENTS:
        # RFC 9000, 14: UDP datagrams MUST NOT be fragmented at the IP layer.
        with contextlib.suppress(OSError):
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
            else:
                sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
    return sock


async def open_transport(
    protocol: asyncio.DatagramProtocol, sock: socket.socket
) -> tuple[asyncio.DatagramTransport, socket.socket | None]:
    """Give a socket to the event loop.

    Returns:
        the transport; and the socket if the protocol should go on reading from it after each datagram, because the
        loop reads only one datagram a turn (asyncio's own loops do, uvloop does not).

    Raises:
        OSError: the loop refused the socket; it is closed.
    """
    loop = asyncio.get_running_loop()
    # In a task of its own: uvloop forgets the transport of an opening that is cancelled, and it stays open.
    opening = asyncio.ensure_future(loop.create_datagram_endpoint(lambda: protocol, sock=sock))
    try:
        await asyncio.wait((opening,))
    except asyncio.CancelledError:
        opening.add_done_callback(lambda _: _close_opened(opening, sock))
        await asyncio.wait((opening,))  # two turns at most
        raise
    try:
        transport, _ = opening.result()
    except BaseException:
        sock.close()
        raise
    if not isinstance(loop, asyncio.SelectorEventLoop):
        return transport, None
    transport.max_size = MAX_UDP_PAYLOAD  # type: ignore[attr-defined] # bytes asyncio reads at a time
    return transport, sock


def _close_opened(opening: asyncio.Future[tuple[asyncio.DatagramTransport, Any]], sock: socket.socket) -> None:
    """Close what was opened although nobody waits for it any more."""
    if opening.cancelled() or opening.exception() is not None:
        sock.close()
    else:
        opening.result()[0].close()


def connect_socket(endpoint: Endpoint) -> socket.socket:
    """Open a socket connected to one peer, so that ICMP errors about that peer are reported.

    Raises:
        OSError: no such address family here, or no route to the peer.
    """
    sock = _open(endpoint.family)
    try:
        sock.connect(endpoint.sockaddr)
    except OSError:
        sock.close()
        raise
    return sock


def bind_sockets(endpoints: list[Endpoint]) -> list[socket.socket]:
    """Bind one socket to each address, all at the same port.

    Port 0 asks for any port that is free on every address. Addresses of a family that this host does not have are left
    out, as long as one remains.

    Raises:
        OSError: an address is in use or may not be bound, or none exists here.
    """
    wants_any_port = bool(endpoints) and endpoints[0].sockaddr[1] == 0
    attempt = 0
    while True:
        attempt += 1
        try:
            return _bind_all(endpoints)
        except OSError as exc:
            # The first address chose the port, and another program has it on a later address.
            if not wants_any_port or exc.errno != errno.EADDRINUSE or attempt >= PORT_ATTEMPTS:
                raise


def _bind_all(endpoints: list[Endpoint]) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    port = 0
    ipv4_wildcard = any(item.family == socket.AF_INET and is_wildcard(item.sockaddr) for item in endpoints)
    try:
        for family, sockaddr in endpoints:
            address = (sockaddr[0], sockaddr[1] or port, *sockaddr[2:])
            try:
                sockets.append(_bind(family, address, ipv6_only=ipv4_wildcard and is_wildcard(address)))
            except OSError as exc:
                if exc.errno not in _ABSENT_FAMILY:
                    raise
                missing = missing or exc
                continue
            port = sockets[-1].getsockname()[1]
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    if not sockets:
        raise missing or OSError(errno.EADDRNOTAVAIL, "the host has no address to bind")
    return sockets


def _bind(family: socket.AddressFamily, address: NetworkAddress, *, ipv6_only: bool) -> socket.socket:
    sock = _open(family)
    try:
        if family == socket.AF_INET6 and ipv6_only:
            # Both wildcards are bound: without this the IPv6 one would claim the IPv4 port as well.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock
