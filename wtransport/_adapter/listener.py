"""Incoming connections: the sockets of a server, and which datagram belongs to which connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._quic.factory import create_server_configuration, create_server_port
from .._quic.port import NetworkAddress, QuicPort
from ..config import ServerConfig
from ..types import Address
from .addresses import resolve, to_address
from .connection_table import ConnectionTable
from .outlet import Outlet
from .packets import (
    CONNECTION_ID_SIZE,
    LONG_HEADER,
    MIN_CLIENT_CHOSEN_CID,
    MIN_INITIAL_DATAGRAM,
    LongHeader,
    encode_refusal,
    encode_version_negotiation,
    is_initial,
    read_long_header,
)
from .protocol import AdapterProtocol
from .server_socket import ServerSocket
from .sockets import bind_sockets, open_transport
from .timer import DeadlineTimer, clock_of

__all__ = ["Listener", "ListenerCounters", "listen"]

MAX_UNFINISHED_HANDSHAKES = 1000
"""Connections that may be in their handshake at a time, about 100 KiB each; more are dropped, and tried again by
clients that mean it. A bound on what forged first packets can take."""

HANDSHAKE_TIMEOUT = 10.0
"""Seconds from the first packet of a connection until the peer's SETTINGS; longer keeps a place in that limit."""

CLOSE_LIMIT = 2.0
"""Seconds that `wait_closed` leaves connections to be closed by whoever holds them, before it aborts them."""

_SHORT_HEADER_CID = slice(1, 1 + CONNECTION_ID_SIZE)

_logger = logging.getLogger(__name__)

OnConnection = Callable[[AdapterProtocol, asyncio.DatagramTransport], None]


@dataclass(slots=True)
class ListenerCounters:
    """What happened to datagrams and connections, since the listener began."""

    accepted: int = 0
    refused: int = 0
    over_handshake_limit: int = 0
    handshake_timeouts: int = 0
    versions_negotiated: int = 0
    malformed: int = 0
    unknown_connection: int = 0


class Listener:
    """The bound sockets of one server, and its table of connections. Made by `listen`."""

    def __init__(
        self,
        *,
        make_port: Callable[[bytes], QuicPort],
        supported_versions: list[int],
        on_connection: OnConnection,
        may_accept: Callable[[Address], bool],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """See `listen`; `make_port` gets the connection id that the client made up for the server."""
        self.counters = ListenerCounters()
        self._make_port = make_port
        self._supported_versions = supported_versions
        self._on_connection = on_connection
        self._may_accept = may_accept
        self._loop = loop
        self._clock = clock_of(loop)
        self._sockets: list[ServerSocket] = []
        self._table = ConnectionTable()
        self._routes = self._table.routes
        self._unfinished: dict[AdapterProtocol, float] = {}
        self._open: dict[AdapterProtocol, None] = {}
        self._handshake_timer = DeadlineTimer(loop=loop, clock=self._clock, callback=self._on_handshake_timeout)
        self._accepting = True
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
    def is_closing(self) -> bool:
        """Tell whether `close` was called."""
        return not self._accepting

    def reconfigure(self, config: ServerConfig) -> None:
        """Make new connections with another configuration, whose files are read now; the others go on as they are.

        Raises:
            CertificateError: a file cannot be used; nothing has changed then.
        """
        self._make_port, self._supported_versions = _port_maker(config)

    async def open(self, host: str, port: int) -> None:
        """Bind every address of the host.

        Raises:
            OSError: the host is unknown, or an address cannot be bound. Nothing stays bound then.
        """
        unopened = bind_sockets(await resolve(host=host, port=port, passive=True))
        try:
            while unopened:
                server_socket = ServerSocket(self, self._loop)
                _, readable = await open_transport(server_socket, unopened.pop(0))
                server_socket.read_from(readable)
                self._sockets.append(server_socket)
        except BaseException:
            for sock in unopened:
                sock.close()
            self.close()
            raise

    def close(self) -> None:
        """Accept no more connections, and close the sockets as soon as all connections are closed.

        Closing the connections is left to those who hold them.
        """
        self._accepting = False
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

    def route(self, data: bytes, addr: NetworkAddress, outlet: Outlet) -> AdapterProtocol | None:
        """Return the connection that a datagram belongs to; None when it was answered or dropped."""
        if not data:
            self.counters.malformed += 1
            return None
        if not data[0] & LONG_HEADER:
            connection = self._routes.get(data[_SHORT_HEADER_CID])
            if connection is None:
                self.counters.unknown_connection += 1
            return connection
        header = read_long_header(data)
        if header is None:
            self.counters.malformed += 1
            return None
        return self._routes.get(header.destination_cid) or self._meet(data, header, addr, outlet)

    def _meet(self, data: bytes, header: LongHeader, addr: NetworkAddress, outlet: Outlet) -> AdapterProtocol | None:
        """Take the first packet of somebody unknown. No answer is larger than the packet, so forgeries gain nothing."""
        counters = self.counters
        if header.version not in self._supported_versions:
            # A version negotiation packet (version 0) is never answered: two servers would go on for ever.
            if header.version and len(data) >= MIN_INITIAL_DATAGRAM and self._accepting:
                counters.versions_negotiated += 1
                self._answer(encode_version_negotiation(header, self._supported_versions), addr, outlet)
            else:
                counters.malformed += 1
            return None
        if (
            len(data) < MIN_INITIAL_DATAGRAM
            or len(header.destination_cid) < MIN_CLIENT_CHOSEN_CID
            or not is_initial(data, header)
        ):
            counters.unknown_connection += 1
            return None
        if not self._accepting or not self._is_welcome(addr):
            counters.refused += 1
            self._answer(encode_refusal(header), addr, outlet)
            return None
        if len(self._unfinished) >= MAX_UNFINISHED_HANDSHAKES:
            counters.over_handshake_limit += 1
            return None
        return self._accept(header, addr, outlet)

    def _answer(self, packet: bytes, addr: NetworkAddress, outlet: Outlet) -> None:
        if outlet.is_open and not outlet.is_paused:
            outlet.transport.sendto(packet, addr)

    def _is_welcome(self, addr: NetworkAddress) -> bool:
        address = to_address(addr)
        try:
            return address is not None and self._may_accept(address)
        except Exception:
            _logger.exception("deciding about a connection from %s failed; it is refused", address)
            return False

    def _accept(self, header: LongHeader, addr: NetworkAddress, outlet: Outlet) -> AdapterProtocol | None:
        port = self._make_port(header.destination_cid)
        connection = AdapterProtocol(port=port, loop=self._loop)
        connection.share_outlet(outlet, owner=self, peer=addr)
        self._table.add(connection, port=port, original_cid=header.destination_cid)
        now = self._clock()
        self._open[connection] = None
        self._unfinished[connection] = now
        if len(self._unfinished) == 1:
            self._handshake_timer.set(now + HANDSHAKE_TIMEOUT, now)
        self.counters.accepted += 1
        try:
            self._on_connection(connection, outlet.transport)
        except Exception as exc:
            _logger.exception("taking over the connection from %s failed", connection.remote_address)
            connection.abort(exc)
            return None
        return connection

    # What becomes of connections (ports.ConnectionOwner), and of sockets.

    def connection_ready(self, connection: Any) -> None:
        """The handshake is over: it no longer counts against the limit."""
        self._unfinished.pop(connection, None)

    def connection_closed(self, connection: Any) -> None:
        """The connection is closed; its ids are kept until its draining period is over."""
        self._unfinished.pop(connection, None)
        self._open.pop(connection, None)
        if not self._open and not self._accepting:
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
        while self._unfinished:
            connection, began = next(iter(self._unfinished.items()))
            if began + HANDSHAKE_TIMEOUT > now:
                self._handshake_timer.set(began + HANDSHAKE_TIMEOUT, now)
                return
            self.counters.handshake_timeouts += 1
            connection.abort(TimeoutError("the handshake was not finished in time"))
            self._unfinished.pop(connection, None)

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
    make_port, supported_versions = _port_maker(config)
    listener = Listener(
        make_port=make_port,
        supported_versions=supported_versions,
        on_connection=on_connection,
        may_accept=may_accept,
        loop=asyncio.get_running_loop(),
    )
    await listener.open(host, port)
    return listener


def _port_maker(config: ServerConfig) -> tuple[Callable[[bytes], QuicPort], list[int]]:
    """Read the configuration's files once; return how each connection's port is made, and the QUIC versions of all.

    Raises:
        CertificateError: a file cannot be used.
    """
    quic_configuration = create_server_configuration(config)

    def make_port(original_cid: bytes) -> QuicPort:
        return create_server_port(
            config=config,
            quic_configuration=quic_configuration,
            original_destination_connection_id=original_cid,
        )

    return make_port, quic_configuration.supported_versions
