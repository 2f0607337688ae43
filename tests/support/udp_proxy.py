"""The simulated network between real sockets: a relay on loopback that treats packets as `network.Link` says."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any
from urllib.parse import urlsplit

from network import Link

__all__ = ["UdpProxy", "proxied"]

HOST = "127.0.0.1"

MAX_CLIENTS = 64
"""Client addresses that are relayed; packets of further ones are dropped."""

MAX_UNDER_WAY = 20_000
"""Packets that are delayed at a time; more are dropped and counted."""

READ_BATCH = 64
"""Packets read from one socket before the loop goes on."""

SOCKET_BUFFER_SIZE = 2 * 1024 * 1024
"""Bytes asked for: what is lost is to be lost by the links, not by a full socket."""


class UdpProxy(asyncio.DatagramProtocol):
    """Where clients send to. Each client address gets a socket of its own towards the server, until it is rebound."""

    def __init__(self, server: tuple[str, int], *, seed: int = 0, **conditions: float) -> None:
        self.to_server = Link(Random(f"{seed} to the server"), **conditions)
        self.to_client = Link(Random(f"{seed} to the client"), **conditions)
        self.dropped = 0
        """Packets beyond the bounds of the proxy itself."""

        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._ways: dict[Any, _Way] = {}
        self._under_way = 0
        self._is_closed = False

    @property
    def address(self) -> tuple[str, int]:
        """Return where clients have to connect to."""
        name = self._transport.get_extra_info("sockname")
        return name[0], name[1]

    @property
    def url(self) -> str:
        """Return the same as a URL without a path."""
        return "https://{}:{}".format(*self.address)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Return where the server sees each client now."""
        return [way.address for way in self._ways.values()]

    def rebind(self) -> None:
        """Move every client to another port towards the server, as an address translator does that forgot it.

        What the server still sends to the old one is lost.
        """
        for way in self._ways.values():
            way.rebind()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        way = self._ways.get(addr)
        if way is None:
            if len(self._ways) >= MAX_CLIENTS:
                self.dropped += 1
                return
            way = self._ways[addr] = _Way(self, self._server, lambda answer: self._transport.sendto(answer, addr))
        self.carry(self.to_server, data, way.to_server)

    def carry(self, link: Link, data: bytes, deliver: Any) -> None:
        """Send a packet over a link; `deliver` gets what arrives of it."""
        now = self._loop.time()
        for at, arriving in link.carry(data, now):
            if at <= now:
                deliver(arriving)
            elif self._under_way < MAX_UNDER_WAY:
                self._under_way += 1
                self._loop.call_at(at, self._arrive, deliver, arriving)
            else:
                self.dropped += 1

    def _arrive(self, deliver: Any, data: bytes) -> None:
        self._under_way -= 1
        if not self._is_closed:
            deliver(data)

    def close(self) -> None:
        self._is_closed = True
        self._transport.close()
        for way in self._ways.values():
            way.close()


class _Way:
    """One client's socket towards the server. A plain socket, which can be replaced between two packets."""

    def __init__(self, proxy: UdpProxy, server: tuple[str, int], to_client: Callable[[bytes], None]) -> None:
        self._proxy = proxy
        self._server = server
        self._to_client = to_client
        self._loop = asyncio.get_running_loop()
        self._socket = self._open()

    @property
    def address(self) -> tuple[str, int]:
        name: tuple[str, int] = self._socket.getsockname()
        return name

    def rebind(self) -> None:
        previous, self._socket = self._socket, self._open()  # both at a time, or it might get the same port again
        self._forget(previous)

    def close(self) -> None:
        self._forget(self._socket)

    def to_server(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # a full socket, or a server that is away: lost, as everywhere
            self._socket.send(data)

    def _open(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        _enlarge(sock)
        sock.connect(self._server)
        self._loop.add_reader(sock, self._read, sock)
        return sock

    def _forget(self, sock: socket.socket) -> None:
        self._loop.remove_reader(sock)
        sock.close()

    def _read(self, sock: socket.socket) -> None:
        for _ in range(READ_BATCH):
            try:
                data = sock.recv(65_535)
            except OSError:  # nothing more now, or the server's port is closed
                return
            self._proxy.carry(self._proxy.to_client, data, self._to_client)


def _enlarge(sock: socket.socket) -> None:
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_SIZE)


@contextlib.asynccontextmanager
async def proxied(url: str, *, seed: int = 0, **conditions: float) -> AsyncIterator[UdpProxy]:
    """Put a proxy in front of the server at `url`; see `Conditions` for what it may do to packets."""
    parts = urlsplit(url)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    _enlarge(sock)
    sock.bind((HOST, 0))
    _, proxy = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: UdpProxy((parts.hostname or "", parts.port or 0), seed=seed, **conditions), sock=sock
    )
    try:
        yield proxy
    finally:
        proxy.close()
