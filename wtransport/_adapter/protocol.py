"""The asyncio side of one connection: a client's own socket, or a share of a listener's sockets."""

from __future__ import annotations

import asyncio
import errno
import itertools
from collections.abc import Callable, Sequence
from typing import cast

from .._quic.port import NetworkAddress, QuicPort
from .._speedups import packets_to
from ..constants import ErrorCodes
from ..types import Address
from .addresses import to_address
from .driver import ConnectionDriver, wake_all
from .outlet import Outlet
from .ports import ConnectionOwner
from .udp_transport import BatchProtocol, UdpTransport

__all__ = ["AdapterProtocol"]

MAX_OTHER_PATHS = 8
"""Addresses remembered per connection that arrive on another socket than its own; more only come from forgeries."""

UNREACHABLE_ERRNOS = frozenset(
    {
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,
        errno.EACCES,
        errno.EPERM,
    }
)
"""Errors that end a connection attempt. Once the peer has answered they are ignored: ICMP is not authenticated."""


class AdapterProtocol(ConnectionDriver, BatchProtocol):
    """Drives one connection, and is the protocol of a client's own socket.

    A server's connection shares the listener's sockets: the listener finds the connection of each datagram and hands
    it over with `receive` and `end_batch`.
    """

    def __init__(self, *, port: QuicPort, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Make the driver of `port`; `loop` defaults to the running one."""
        super().__init__(port=port, loop=asyncio.get_running_loop() if loop is None else loop)
        self._owner: ConnectionOwner | None = None
        self._peer: NetworkAddress | None = None
        self._other_paths: dict[NetworkAddress, Outlet] = {}
        self._on_send_error: Callable[[OSError], bool] | None = None
        self._has_begun = False
        self._is_socket_closed = False
        self._socket_waiters: list[asyncio.Future[None]] = []

    def __repr__(self) -> str:
        state = "finished" if self._is_finished else "closed" if self._is_closed else "open"
        return f"<{type(self).__name__} {state} local={self.local_address} remote={self.remote_address}>"

    # For the connection's handle.

    def connect(self) -> None:
        """Client only: begin the handshake with the address that the socket is connected to; the first packet leaves.

        Raises:
            RuntimeError: no engine is bound, there is no connected socket, or the connection is over.
        """
        if self._engine is None or self._peer is None:
            raise RuntimeError("connect() needs a bound engine and a connected socket")
        if self._has_begun:
            self.flush_soon()
        else:
            self.begin()
            self._flush_now()

    def begin(self) -> None:
        """Client only: send the first packet before there is an engine; `bind` and `connect` must follow in this turn.

        What an engine takes to make is done while the server is at work.

        Raises:
            RuntimeError: there is no connected socket, or the connection is over.
        """
        if self._outlet is None or self._peer is None or self._is_finished:
            raise RuntimeError("begin() needs a connected socket")
        self._has_begun = True
        now = self._clock()
        self.port.connect(self._peer, now)
        datagrams = self.port.datagrams_to_send(now)
        if datagrams:
            self._send(datagrams, self._outlet)

    @property
    def transport(self) -> asyncio.DatagramTransport | None:
        """Return the transport that packets go through now; a client's is replaced when its network changes."""
        return None if self._outlet is None else self._outlet.transport

    @property
    def local_address(self) -> Address | None:
        """Return the ``(host, port)`` that packets come from."""
        return None if self._outlet is None else self._outlet.local_address(self._remote())

    @property
    def remote_address(self) -> Address | None:
        """Return the ``(host, port)`` of the peer; on a server it follows the peer's migration."""
        return to_address(self._remote())

    def close_transport(self) -> bool:
        """Close a client's socket, without waiting for anything.

        A server's connection shares its socket with others; it leaves the listener when its draining period is over.

        Returns:
            whether there is nothing to wait for, see `wait_socket_closed`.
        """
        engine = self._engine
        if engine is not None and not engine.is_closed:
            self.abort(ConnectionAbortedError("the connection was given up"), error_code=ErrorCodes.H3_NO_ERROR)
        elif engine is None or self._owner is None:
            if not self._is_closed:
                self._flush_now()
            self._finish(at_once=False)
        if self._owner is not None or self._outlet is None or self._is_socket_closed:
            return True
        transport = self._outlet.transport
        return isinstance(transport, UdpTransport) and not self._delivering and transport.close_now()

    async def wait_socket_closed(self, seconds: float) -> None:
        """Return when a client's socket is closed that `close_transport` could not close: it was full, or is in use.

        What it has not taken after so many seconds, or when this is cancelled, is not sent.
        """
        if self._is_socket_closed:
            return
        try:
            await self.wait_among(self._socket_waiters, seconds)
        finally:
            if not self._is_socket_closed and self._outlet is not None:
                self._outlet.transport.abort()
                self.close_transport()

    # For the dialer.

    def watch_send_errors(self, on_send_error: Callable[[OSError], bool]) -> None:
        """Ask the dialer about network errors; it returns True when it opens another socket."""
        self._on_send_error = on_send_error

    # For the listener.

    def share_outlet(self, outlet: Outlet, *, owner: ConnectionOwner, peer: NetworkAddress) -> None:
        """Send through a listener's socket, and report to the listener."""
        self._outlet = outlet
        self._owner = owner
        self._peer = self._straight_to = peer

    def uses(self, outlet: Outlet) -> bool:
        """Tell whether packets go through this outlet."""
        return self._outlet is outlet

    @property
    def has_room(self) -> bool:
        """Tell whether more may be received before what was received is dealt with: its events are few."""
        return self.port.has_room()

    def receive_elsewhere(self, data: bytes, addr: NetworkAddress, now: float, outlet: Outlet) -> None:
        """Take one datagram that came in by another socket than the connection's own (migration)."""
        paths = self._other_paths
        self._straight_to = None
        if addr not in paths and len(paths) >= MAX_OTHER_PATHS:
            del paths[next(iter(paths))]
        paths[addr] = outlet
        self.receive(data, addr, now)

    # BatchProtocol, on a client's own socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport of the socket; a second one replaces the first."""
        outlet = Outlet(cast("asyncio.DatagramTransport", transport))
        if self._is_finished:
            outlet.transport.close()
            return
        previous, self._outlet = self._outlet, outlet
        if self._peer is None:
            self._peer = outlet.peername
        if outlet.has_batches:  # of a connected socket that one takes no notice of addresses
            self._straight_to = self._peer
        if previous is not None:
            previous.forget(self.flush_soon)
            previous.transport.set_protocol(BatchProtocol())
            previous.transport.close()
            self.port.path_changed()
            self.flush_soon()

    def _receive_others(self, datagrams: Sequence[tuple[bytes, NetworkAddress]]) -> None:
        # The kernel lets nobody but the peer through to a connected socket, and our own transport says so.
        peer = self._peer
        if self._outlet is not None and self._outlet.is_connected and peer is not None:
            datagrams = [(data, peer) for data, _ in datagrams]
        self.take(datagrams, self._clock())

    def error_received(self, exc: Exception) -> None:
        """Take an error of the socket, mostly an ICMP message about an earlier packet."""
        if self._is_finished or not isinstance(exc, OSError):
            return
        if self._on_send_error is not None and self._on_send_error(exc):
            return
        if not self.is_ready and exc.errno in UNREACHABLE_ERRNOS:
            # Not now: this can be in the middle of a flush.
            self._loop.call_soon(self.abort, exc, context=self._context)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the socket is closed."""
        self._is_socket_closed = True
        wake_all(self._socket_waiters)
        self.abort(exc or ConnectionAbortedError("the socket was closed"))

    def pause_writing(self) -> None:
        """Produce no packets while the socket takes none."""
        if self._outlet is not None:
            self._outlet.pause()

    def resume_writing(self) -> None:
        """Go on after `pause_writing`."""
        if self._outlet is not None:
            self._outlet.resume()

    # What the driver leaves to its subclass.

    def _send(self, datagrams: list[tuple[bytes, NetworkAddress]], outlet: Outlet) -> None:
        if outlet.is_connected:
            peer = self._peer  # a server's preferred address is out of reach of this socket
            if len(datagrams) == 1 and datagrams[0][1] is peer:
                outlet.send_one(datagrams[0][0], None)
                return
            outlet.send(packets_to(datagrams, peer))
        elif self._other_paths:
            ways = self._other_paths
            for way, group in itertools.groupby(datagrams, key=lambda datagram: ways.get(datagram[1], outlet)):
                way.send([datagram for datagram in group if way.can_reach(datagram[1])])
        elif len(datagrams) == 1:
            outlet.send_one(*datagrams[0])
        else:
            outlet.send(datagrams)

    def _on_ready(self) -> None:
        if self._owner is not None:
            self._owner.connection_ready(self)

    def _on_closed(self) -> None:
        if self._owner is not None:
            self._owner.connection_closed(self)

    def _on_finished(self) -> None:
        self._peer = self._remote()
        self._other_paths.clear()
        self._on_send_error = None
        if self._owner is not None:
            self._owner.connection_finished(self)
        elif self._outlet is not None:
            self._outlet.transport.close()

    def _remote(self) -> NetworkAddress | None:
        """Return where packets go, as the operating system writes it."""
        if self._outlet is not None and self._outlet.is_connected:
            return self._outlet.peername
        if self._engine is None:
            return self._peer
        return self.port.remote_address or self._peer
