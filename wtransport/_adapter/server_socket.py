"""One bound socket of a listener: takes datagrams in batches, for `inbound` to hand each to its connection."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Sequence
from typing import cast

from .._quic.port import NetworkAddress
from .._speedups import Doorway
from ..types import Address
from .addresses import to_address
from .inbound import TURN_TIME, Inbound, Router
from .outlet import Outlet
from .packets import CONNECTION_ID_SIZE
from .timer import clock_of
from .udp_transport import BatchProtocol, UdpTransport

MAX_READ = 256
"""Datagrams taken from the kernel before any is worked on: about a millisecond, in which none of its queue is lost."""


class ServerSocket(BatchProtocol):
    """The protocol of a socket that many connections share."""

    read_batch = MAX_READ

    def __init__(self, router: Router, loop: asyncio.AbstractEventLoop) -> None:
        self.closed: asyncio.Future[None] = loop.create_future()
        self._router = router
        self._clock = clock_of(loop)
        self._loop = loop
        self._outlet: Outlet | None = None
        self._inbound: Inbound | None = None
        self._reader: UdpTransport | None = None

    @property
    def local_address(self) -> Address | None:
        """Return the address that the socket is bound to."""
        return None if self._outlet is None else to_address(self._outlet.sockname)

    def close(self) -> None:
        """Close the socket once what is buffered has been sent; `closed` tells when."""
        if self._outlet is None:
            self.connection_lost(None)
        else:
            self._outlet.transport.close()

    # BatchProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._reader = transport if isinstance(transport, UdpTransport) else None
        self._outlet = Outlet(cast("asyncio.DatagramTransport", transport))
        self._inbound = Inbound(self._router, outlet=self._outlet, loop=self._loop, clock=self._clock)
        self._inbound.refill = self._refill

    def receiver(self) -> Callable[[Sequence[tuple[bytes, NetworkAddress]]], None]:
        """Return who is to be called with batches: the way of most of them is a kernel."""
        outlet, inbound = self._outlet, self._inbound
        if outlet is None or inbound is None:
            return self.datagrams_received
        return Doorway(
            routes=self._router.routes,
            waiting=inbound.turns,
            outlet=outlet,
            clock=self._clock,
            id_size=CONNECTION_ID_SIZE,
            turn_time=TURN_TIME,
            on_others=self.datagrams_received,
            on_backlog=inbound.has_backlog,
        ).datagrams_received

    def datagrams_received(self, datagrams: Sequence[tuple[bytes, NetworkAddress]]) -> None:
        """Take datagrams, and see to it that they are worked on."""
        inbound = self._inbound
        if inbound is None:
            return
        now = self._clock()
        if self._reader is not None and not inbound.is_scheduled:
            inbound.take(datagrams, now)
            return
        inbound.put_all(datagrams, now)
        inbound.run_soon()  # without a reader of our own the loop has more, which is best worked on together

    def _refill(self) -> None:
        """Take what waits in the kernel."""
        reader, inbound = self._reader, self._inbound
        if reader is None or inbound is None:
            return
        now = self._clock()
        inbound.put_all(reader.read_waiting(), now)

    def error_received(self, exc: Exception) -> None:
        """Count an error of sending. No connection can be told: the error does not say whose datagram it was."""
        if not (isinstance(exc, OSError) and exc.errno == errno.EMSGSIZE):  # a probe, which finds out just that
            self._router.sending_failed()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the socket is closed."""
        self._reader = None
        if self._inbound is not None:
            self._inbound.clear()
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
