"""Incoming connections: the sockets of a server, and which datagram belongs to which connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .._quic.port import NetworkAddress, QuicPort
from .._speedups import packet_owners
from ..config import ServerConfig
from ..types import Address
from .addresses import resolve
from .admission import Admission, AdmissionSettings, Newcomer
from .connection_table import ConnectionTable
from .counters import ListenerCounters
from .outlet import Outlet
from .packets import CONNECTION_ID_SIZE, LONG_HEADER, read_long_header
from .protocol import AdapterProtocol
from .server_ports import ServerPorts
from .server_socket import ServerSocket
from .sockets import bind_sockets, open_transport
from .timer import DeadlineTimer, clock_of

__all__ = ["Listener", "ListenerCounters", "PortMaker", "listen"]

CLOSE_LIMIT = 2.0
"""Seconds that `wait_closed` leaves connections to be closed by whoever holds them, before it aborts them."""

_SHORT_HEADER_CID = slice(1, 1 + CONNECTION_ID_SIZE)
_LONG_HEADER_CID_SIZE = 5
"""Where a long header says how long the destination connection id is that follows (RFC 8999, 5.1)."""

_logger = logging.getLogger(__name__)

OnConnection = Callable[[AdapterProtocol, asyncio.DatagramTransport], None]


class PortMaker(Protocol):
    """What a listener makes its connections from; see `ServerPorts`."""

    @property
    def supported_versions(self) -> list[int]:
        """Return the QUIC versions of all."""

    def listening_at(self, port: int) -> None:
        """Take note of the UDP port."""

    def make(self, original_cid: bytes, retry_cid: bytes | None) -> QuicPort:
        """Make the port of a new connection."""

    def reset_token(self, connection_id: bytes) -> bytes | None:
        """Return the token that resets a connection which nobody remembers, or None."""


class Listener:
    """The bound sockets of one server, and its table of connections. Made by `listen`."""

    def __init__(
        self,
        *,
        ports: PortMaker,
        on_connection: OnConnection,
        may_accept: Callable[[Address], bool],
        loop: asyncio.AbstractEventLoop,
        settings: AdmissionSettings | None = None,
    ) -> None:
        """See `listen`."""
        self.counters = ListenerCounters()
        self._ports = ports
        self._supported_versions = ports.supported_versions
        self._on_connection = on_connection
        self._loop = loop
        self._clock = clock_of(loop)
        self._sockets: list[ServerSocket] = []
        self._table = ConnectionTable()
        self.routes = self._table.routes
        """Connection id to connection."""
        self._admission: Admission[AdapterProtocol] = Admission(
            settings or AdmissionSettings(), counters=self.counters, may_accept=may_accept, clock=self._clock
        )
        self._handshakes = self._admission.handshakes
        self._open: dict[AdapterProtocol, None] = {}
        self._handshake_timer = DeadlineTimer(loop=loop, clock=self._clock, callback=self._on_handshake_timeout)
        self._all_closed: asyncio.Future[None] | None = None

    @property
    def local_addresses(self) -> list[Address]:
        """Return the addresses of the bound sockets."""
        return [address for sock in self._sockets if (address := sock.local_address) is not None]

    @property
    def local_address(self) -> Address | None:
        """Return the first of the bound addresses, None when none is left."""
        return next(iter(self.local_addresses), None)

    @property
    def connections(self) -> list[AdapterProtocol]:
        """Return the connections that are not closed."""
        return list(self._open)

    @property
    def unfinished_handshakes(self) -> int:
        """Return how many connections are not ready for sessions yet."""
        return len(self._handshakes)

    @property
    def is_closing(self) -> bool:
        """Tell whether `close` was called."""
        return not self._admission.is_open

    def reconfigure(self, config: ServerConfig) -> None:
        """Make new connections with another configuration, whose files are read now; the others go on as they are.

        Raises:
            CertificateError: a file cannot be used; nothing has changed then.
        """
        self._use(ServerPorts(config))

    def _use(self, ports: PortMaker) -> None:
        if self.local_address is not None:
            ports.listening_at(self.local_address[1])
        self._ports, self._supported_versions = ports, ports.supported_versions

    async def open(self, host: str, port: int) -> None:
        """Bind every address of the host.

        Raises:
            OSError: the host is unknown, or an address cannot be bound. Nothing stays bound then.
        """
        unopened = bind_sockets(await resolve(host=host, port=port, passive=True))
        try:
            while unopened:
                server_socket = ServerSocket(self, self._loop)
                await open_transport(server_socket, unopened.pop(0))
                self._sockets.append(server_socket)
                self._use(self._ports)  # before a packet can come in
        except BaseException:
            for sock in unopened:
                sock.close()
            self.close()
            raise

    def close(self) -> None:
        """Accept no more connections, and close the sockets as soon as all connections are closed.

        Closing the connections is left to those who hold them.
        """
        self._admission.is_open = False
        if not self._open:
            self._close_sockets()

    async def wait_closed(self) -> None:
        """Return when the sockets are closed. Connections still open after `CLOSE_LIMIT` seconds are aborted."""
        self.close()
        if self._open:
            self._all_closed = self._all_closed or self._loop.create_future()
            await asyncio.wait([self._all_closed], timeout=CLOSE_LIMIT)
            for connection in self.connections:
                connection.abort(ConnectionAbortedError("the server was closed"))
            self._close_sockets()
        for server_socket in self._sockets:
            if not server_socket.closed.done():
                await asyncio.wait([server_socket.closed], timeout=CLOSE_LIMIT)

    # Which datagram belongs to whom.

    def find(self, data: bytes) -> AdapterProtocol | None:
        """Return the connection whose id a datagram bears, or None."""
        if not data:
            return None
        if not data[0] & LONG_HEADER:
            return self.routes.get(data[_SHORT_HEADER_CID])
        size = data[_LONG_HEADER_CID_SIZE] if len(data) > _LONG_HEADER_CID_SIZE else 0
        return self.routes.get(data[_LONG_HEADER_CID_SIZE + 1 : _LONG_HEADER_CID_SIZE + 1 + size])

    def find_all(self, datagrams: Sequence[tuple[bytes, NetworkAddress]]) -> list[AdapterProtocol | None]:
        """Return for each of some datagrams what `find` does."""
        return packet_owners(datagrams, self.routes, CONNECTION_ID_SIZE, self.find)

    def datagram_dropped(self) -> None:
        """Take note that a datagram found too many waiting before it."""
        self.counters.over_waiting_limit += 1

    def sending_failed(self) -> None:
        """Count a datagram that could not be sent."""
        self.counters.send_errors += 1

    def route(self, data: bytes, addr: NetworkAddress, outlet: Outlet) -> AdapterProtocol | None:
        """Return the connection that a datagram belongs to; None when it was answered or dropped."""
        if not data:
            self.counters.malformed += 1
            return None
        if not data[0] & LONG_HEADER:
            connection_id = data[_SHORT_HEADER_CID]
            connection = self.routes.get(connection_id)
            if connection is None:
                self._admission.reset(data, self._ports.reset_token(connection_id), addr, outlet)
            return connection
        header = read_long_header(data)
        if header is None:
            self.counters.malformed += 1
            return None
        connection = self.routes.get(header.destination_cid)
        if connection is not None:
            return connection
        newcomer = self._admission.meet(data, header, addr, outlet, supported_versions=self._supported_versions)
        return None if newcomer is None else self._accept(newcomer, addr, outlet)

    def _accept(self, newcomer: Newcomer, addr: NetworkAddress, outlet: Outlet) -> AdapterProtocol | None:
        host, original_cid, retry_cid = newcomer
        port = self._ports.make(original_cid, retry_cid)
        connection = AdapterProtocol(port=port, loop=self._loop)
        connection.share_outlet(outlet, owner=self, peer=addr)
        self._table.add(
            connection, port=port, client_cids=[original_cid] if retry_cid is None else [retry_cid, original_cid]
        )
        now = self._clock()
        self._open[connection] = None
        self._handshakes.begin(connection, host, now, is_validated=retry_cid is not None)
        if len(self._handshakes) == 1:
            self._handshake_timer.set(self._handshakes.next_timeout(), now)
        self.counters.accepted += 1
        self.counters.validated += retry_cid is not None
        try:
            self._on_connection(connection, outlet.transport)
        except Exception as exc:
            _logger.exception("taking over the connection from %s failed", connection.remote_address)
            connection.abort(exc)
            return None
        return connection

    # What becomes of connections (ports.ConnectionOwner), and of sockets.

    def connection_ready(self, connection: Any) -> None:
        """The handshake is over: it no longer counts against the limits."""
        self._handshakes.end(connection)

    def connection_closed(self, connection: Any) -> None:
        """The connection is closed; its ids are kept until its draining period is over."""
        self._handshakes.end(connection)
        self._open.pop(connection, None)
        if not self._open and self.is_closing:
            self._close_sockets()

    def connection_finished(self, connection: Any) -> None:
        """Nothing of the connection is left: forget it."""
        self._table.remove(connection, port=connection.port)

    def socket_lost(self, outlet: Outlet, error: Exception | None) -> None:
        """A socket is closed, so its connections are over."""
        for connection in self._table:
            if connection.uses(outlet):
                connection.abort(error or ConnectionAbortedError("the server's socket was closed"))

    def _on_handshake_timeout(self, now: float) -> None:
        """Abort the connections whose handshake takes too long: the oldest come first."""
        for connection in self._handshakes.expired(now):
            self.counters.handshake_timeouts += 1
            connection.abort(TimeoutError("the handshake was not finished in time"))
            self._handshakes.end(connection)
        self._handshake_timer.set(self._handshakes.next_timeout(), now)

    def _close_sockets(self) -> None:
        self._handshake_timer.cancel()
        for server_socket in self._sockets:
            server_socket.close()
        if self._all_closed is not None and not self._all_closed.done():
            self._all_closed.set_result(None)


async def listen(
    *,
    host: str,
    port: int,
    config: ServerConfig,
    on_connection: OnConnection,
    may_accept: Callable[[Address], bool],
) -> Listener:
    """Accept connections on every address of a host.

    Args:
        host: name or IP address; ``""`` is every interface, ``::`` every interface of both IP versions where the
            system says so.
        port: UDP port, the same on every address; 0 lets the system choose.
        config: the server's configuration, with its certificate.
        on_connection: called at the first packet of a connection, before it is read. It must call
            `AdapterProtocol.bind` before it returns.
        may_accept: asked at the first packet; False refuses the connection (CONNECTION_REFUSED).

    Raises:
        CertificateError, ConfigurationError: the configuration cannot be used; nothing is bound then.
        OSError: the host is unknown, or an address cannot be bound.
    """
    listener = Listener(
        ports=ServerPorts(config),
        on_connection=on_connection,
        may_accept=may_accept,
        loop=asyncio.get_running_loop(),
        settings=AdmissionSettings.of(config),
    )
    await listener.open(host, port)
    return listener
