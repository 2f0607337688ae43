"""UDP sockets for QUIC: opening, binding and connecting them, their options, and their transports."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
from typing import Any

from .._quic.port import NetworkAddress
from .addresses import Endpoint, is_wildcard
from .socket_buffers import enlarge_buffers
from .udp_transport import BatchProtocol, UdpTransport

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
    enlarge_buffers(sock)
    if FORBIDS_FRAGMENTS:
        # RFC 9000, 14: UDP datagrams MUST NOT be fragmented at the IP layer.
        with contextlib.suppress(OSError):
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
            else:
                sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
    return sock


async def open_transport(protocol: BatchProtocol, sock: socket.socket) -> asyncio.DatagramTransport:
    """Give a socket to the event loop.

    Returns:
        a transport that sends and reads several packets at a time; the loop's own one where the loop cannot watch
        sockets (asyncio's on Windows).

    Raises:
        OSError, ValueError: the socket was refused; it is closed.
    """
    loop = asyncio.get_running_loop()
    if sock.type == socket.SOCK_DGRAM:  # of anything else asyncio has the words to complain
        try:
            return UdpTransport(loop=loop, sock=sock, protocol=protocol)
        except NotImplementedError:
            pass
    # In a task of its own: uvloop forgets the transport of an opening that is cancelled, and it stays open.
    opening = asyncio.ensure_future(loop.create_datagram_endpoint(lambda: protocol, sock=sock))
    try:
        await asyncio.wait((opening,))
    except asyncio.CancelledError:
        opening.add_done_callback(lambda _: _close_opened(opening, sock))
        await asyncio.wait((opening,))  # two turns at most
        raise
    try:
        return opening.result()[0]
    except BaseException:
        sock.close()
        raise


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
