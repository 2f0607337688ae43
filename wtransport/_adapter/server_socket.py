"""One bound socket of a listener: reads datagrams in batches and hands each to its connection."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol, cast

from .._quic.port import NetworkAddress
from ..types import Address
from .addresses import to_address
from .outlet import Outlet
from .protocol import AdapterProtocol
from .sockets import MAX_UDP_PAYLOAD, READ_BATCH
from .timer import clock_of


class Router(Protocol):
    """What a server socket needs of its listener."""

    def route(self, data: bytes, addr: NetworkAddress, outlet: Outlet) -> AdapterProtocol | None:
        """Return the connection that a datagram belongs to; None when it was answered or dropped."""

    def socket_lost(self, outlet: Outlet, error: Exception | None) -> None:
        """The socket is closed."""


class ServerSocket(asyncio.DatagramProtocol):
    """The asyncio protocol of a socket that many connections share."""

    def __init__(self, router: Router, loop: asyncio.AbstractEventLoop) -> None:
        self.send_errors = 0
        """Datagrams that the operating system refused; QUIC sends their contents again."""

        self.closed: asyncio.Future[None] = loop.create_future()
        self._router = router
        self._clock = clock_of(loop)
        self._outlet: Outlet | None = None
        self._socket: socket.socket | None = None

    @property
    def local_address(self) -> Address | None:
        """Return the address that the socket is bound to."""
        return None if self._outlet is None else to_address(self._outlet.sockname)

    def read_from(self, sock: socket.socket | None) -> None:
        """Set the socket behind the transport, if several datagrams may be read from it at a time."""
        self._socket = sock

    def close(self) -> None:
        """Close the socket once what is buffered has been sent; `closed` tells when."""
        if self._outlet is None:
            self.connection_lost(None)
        else:
            self._outlet.transport.close()

    # asyncio.DatagramProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._outlet = Outlet(cast("asyncio.DatagramTransport", transport))

    def datagram_received(self, data: bytes, addr: NetworkAddress) -> None:
        """Take a datagram, and those waiting behind it."""
        outlet = self._outlet
        if outlet is None:
            return
        now = self._clock()
        route = self._router.route
        sock = self._socket
        touched: dict[AdapterProtocol, None] = {}
        more = READ_BATCH
        try:
            while True:
                connection = route(data, addr, outlet)
                if connection is not None:
                    touched[connection] = None
                    if connection.uses(outlet):
                        connection.receive(data, addr, now)
                    else:
                        connection.receive_elsewhere(data, addr, now, outlet)
                more -= 1
                if sock is None or not more:
                    break
                try:
                    data, addr = sock.recvfrom(MAX_UDP_PAYLOAD)
                except OSError:  # nothing more now; a real error is met again by the event loop
                    break
        finally:
            for connection in touched:
                connection.end_batch()

    def error_received(self, exc: Exception) -> None:
        """Count an error of sending. No connection can be told: the error does not say whose datagram it was."""
        self.send_errors += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the socket is closed."""
        self._socket = None
        if not self.closed.done():
            self.closed.set_result(None)
        if self._outlet is not None:
            self._router.socket_lost(self._outlet, exc)

    def pause_writing(self) -> None:
        """Let no connection produce packets while the socket takes none."""
        if self._outlet is not None:
            self._outlet.pause()

    def resume_writing(self) -> None:
        """Go on after `pause_writing`."""
        if self._outlet is not None:
            self._outlet.resume()
