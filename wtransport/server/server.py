"""`WebTransportServer`: listens, holds connections and sessions within their limits, and announces session requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from types import TracebackType
from typing import Any, Self

from .._adapter import AdapterProtocol, LimitLog, Listener
from .._adapter import listen as open_listener
from ..config import ServerConfig
from ..connection import TrafficStats, WebTransportConnection
from ..constants import ErrorCodes
from ..events import EventEmitter
from ..exceptions import ServerError
from ..manager import ConnectionManager, SessionManager
from ..session import WebTransportSession
from ..types import Address, EventType
from ..utils import apply_log_level, get_logger, get_timestamp
from .decisions import accept_soon, reject_if_undecided
from .diagnostics import ServerDiagnostics, ServerStats

__all__ = ["WebTransportServer"]

logger = get_logger(name=__name__)
access_logger = get_logger(name="wtransport.access")

TOO_MANY_REQUESTS = 429
"""HTTP status of a session request over `max_sessions` (RFC 6585, 4; draft-ietf-webtrans-http3, 5.2)."""

SERVICE_UNAVAILABLE = 503
"""HTTP status of a session request that comes while the server closes (RFC 9110, 15.6.4)."""

PROTOCOL_ERRORS = frozenset(ErrorCodes) - {
    ErrorCodes.NO_ERROR,
    ErrorCodes.INTERNAL_ERROR,
    ErrorCodes.CONNECTION_REFUSED,
    ErrorCodes.APPLICATION_ERROR,
    ErrorCodes.NO_VIABLE_PATH,
    ErrorCodes.H3_NO_ERROR,
    ErrorCodes.H3_INTERNAL_ERROR,
    ErrorCodes.H3_REQUEST_REJECTED,
    ErrorCodes.H3_REQUEST_CANCELLED,
    ErrorCodes.H3_CONNECT_ERROR,
    *(code for code in ErrorCodes if code.name.startswith("APP_")),
}
"""Codes with which an end closes a connection because a rule was broken; the others say that it did not want, or could
not, go on."""


class WebTransportServer(EventEmitter):
    """A WebTransport server.

    Announces every session request as a SESSION_REQUEST event, on the session, its connection and the server, and
    accepts the session after the first step of the event's handlers unless one of them rejected or accepted it before.
    `ServerApp` adds routes and middleware. A server listens once: after `close` make another one.
    """

    def __init__(self, *, config: ServerConfig | None = None) -> None:
        """Create a server that does not listen yet; without a configuration the defaults of `ServerConfig` hold.

        Raises:
            ConfigurationError: a value of the configuration is not valid.
            CertificateError: a file that the configuration names does not exist.

        """
        super().__init__()
        self._config = ServerConfig() if config is None else config
        self._config.validate()
        apply_log_level(level=self._config.log_level, debug=self._config.debug)
        self._stats = ServerStats()
        self._traffic = TrafficStats()  # of the connections that are over
        self._connection_manager = ConnectionManager(max_connections=self._config.max_connections)
        self._session_manager = SessionManager(max_sessions=self._config.max_sessions)
        self._session_sink: Callable[[WebTransportSession], None] = accept_soon
        self._limit_log = LimitLog(logger)
        self._listener: Listener | None = None
        self._is_starting = False
        self._is_closing = False
        self._is_closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Make the managers ready; `listen` is a call of its own."""
        self._connection_manager.activate()
        self._session_manager.activate()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Close the server, see `close`."""
        await self.close()

    @property
    def config(self) -> ServerConfig:
        """Return the configuration."""
        return self._config

    @property
    def connection_manager(self) -> ConnectionManager:
        """Return the live connections, from the first packet of each until it is closed."""
        return self._connection_manager

    @property
    def session_manager(self) -> SessionManager:
        """Return the live sessions, from their request until they are closed."""
        return self._session_manager

    @property
    def is_serving(self) -> bool:
        """Return True from `listen` until `close`."""
        return self._listener is not None and not self._is_closing

    @property
    def local_address(self) -> Address | None:
        """Return the address that the server is bound to (the first, if several); None when it does not listen."""
        return self._listener.local_address if self.is_serving and self._listener is not None else None

    def hand_sessions_to(self, sink: Callable[[WebTransportSession], None]) -> None:
        """Let `sink` decide about session requests instead of accepting them all; for `ServerApp`.

        It is called once for each request within the limits, after the SESSION_REQUEST event was emitted.
        """
        self._session_sink = sink

    def reconfigure(self, **changes: Any) -> None:
        """Replace fields of the configuration before `listen`.

        Raises:
            ConfigurationError: a name is not a field of `ServerConfig`, or a value is not valid.
            ServerError: the server listens already or is closed.

        """
        self._check_can_listen()
        self._config = self._config.update(**changes)
        apply_log_level(level=self._config.log_level, debug=self._config.debug)
        self._connection_manager.set_limit(self._config.max_connections)
        self._session_manager.set_limit(self._config.max_sessions)

    async def listen(self, *, host: str | None = None, port: int | None = None) -> None:
        """Bind the UDP socket and begin to accept connections; returns when the server is reachable.

        Args:
            host: address or name, of which every address is bound; the configuration's ``bind_host`` by default.
            port: 0..65535, 0 for any free one; the configuration's ``bind_port`` by default.

        Raises:
            ServerError: no certificate is configured, the address cannot be bound (`bind_address` says which), or the
                server listens already or is closed.
            CertificateError: the certificate or its key cannot be read.

        """
        address = (self._config.bind_host if host is None else host, self._config.bind_port if port is None else port)
        self._check_can_listen(address)
        if not self._config.certfile or not self._config.keyfile:
            raise ServerError("a server needs a certificate: set certfile and keyfile", bind_address=address)

        await self.__aenter__()
        self._is_starting = True
        try:
            listener = await open_listener(
                host=address[0],
                port=address[1],
                config=self._config,
                on_connection=self._on_connection,
                may_accept=self._may_accept,
            )
        except (OSError, OverflowError) as error:
            raise ServerError(f"cannot listen at {address[0]}:{address[1]}: {error}", bind_address=address) from error
        finally:
            self._is_starting = False
        if self._is_closing:
            listener.close()
            raise ServerError("server was closed while it began to listen", bind_address=address)
        self._listener = listener
        self._stats.start_time = get_timestamp()
        logger.info("listening at %s", listener.local_addresses)

    async def reload_certificate(self, *, certfile: str | None = None, keyfile: str | None = None) -> None:
        """Use another certificate, or the renewed files of the same names, for connections made from now on.

        Those that are open go on as they are. The file of `ca_certs` is read again as well.

        Args:
            certfile: PEM file of the certificate chain; the configuration's by default.
            keyfile: PEM file of its private key; the configuration's by default.

        Raises:
            CertificateError: a file is missing or cannot be used, or the key is not that of the certificate. The
                server goes on with the old certificate.
            ConfigurationError: an argument is no path.
            ServerError: the server does not listen.

        """
        if self._listener is None or not self.is_serving:
            raise ServerError("server does not listen: call listen() first")
        given = {"certfile": certfile, "keyfile": keyfile}
        config = self._config.update(**{name: path for name, path in given.items() if path is not None})
        self._listener.reconfigure(config)
        self._config = config
        logger.info("certificate %s is used for new connections", config.certfile)

    async def serve_forever(self) -> None:
        """Wait until the server is closed; cancelling the wait does not close it.

        Raises:
            ServerError: the server does not listen.

        """
        if not self.is_serving:
            raise ServerError("server does not listen: call listen() first")
        await self._is_closed.wait()

    async def close(self) -> None:
        """Stop accepting, close every connection and then the socket; again or without `listen` it does nothing.

        Returns within about the configuration's ``close_timeout``. Cancelling it closes them without waiting for their
        peers.
        """
        if self._is_closing:
            await self._is_closed.wait()
            return
        self._is_closing = True
        try:
            # The connections first: their last packets go through the listener's socket.
            await self._connection_manager.shutdown()
            await self._session_manager.shutdown()
        finally:
            if self._listener is not None:
                self._listener.close()
            self._is_closed.set()
            await super().close()
        if self._listener is not None:
            await self._listener.wait_closed()
            logger.info("stopped listening")

    async def diagnostics(self) -> ServerDiagnostics:
        """Return a snapshot of counters, states and limits."""
        return ServerDiagnostics(
            stats=ServerStats(**vars(self._stats)),
            connection_states=dict(self._connection_manager.count_states()),
            session_states=dict(self._session_manager.count_states()),
            is_serving=self.is_serving,
            certfile_path=self._config.certfile,
            keyfile_path=self._config.keyfile,
            max_connections=self._config.max_connections,
            listener=asdict(self._listener.counters) if self._listener is not None else {},
            unfinished_handshakes=self._listener.unfinished_handshakes if self._listener is not None else 0,
            traffic=sum((each.traffic() for each in self._connection_manager.snapshot()), self._traffic),
        )

    def _check_can_listen(self, address: Address | None = None) -> None:
        if self._is_closing:
            raise ServerError("server is closed: make a new one", bind_address=address)
        if self._listener is not None or self._is_starting:
            raise ServerError("server listens already", bind_address=address)

    def _may_accept(self, address: Address) -> bool:
        if not self._is_closing and not self._connection_manager.is_full:
            return True
        self._stats.connections_rejected += 1
        if not self._is_closing:
            self._limit_log.reached("max_connections", by=address[0], now=time.monotonic())
        return False

    def _on_connection(self, protocol: AdapterProtocol, transport: asyncio.DatagramTransport) -> None:
        connection = WebTransportConnection(
            config=self._config, protocol=protocol, transport=transport, is_client=False
        )
        connection.on_session_request = self._on_session_request
        connection.on_established = self._on_established
        connection.on_end = self._on_end
        self._connection_manager.register(resource=connection, watches=False)

    def _on_established(self) -> None:
        self._stats.connections_accepted += 1

    def _on_end(self, connection: WebTransportConnection, event_type: EventType, error_code: int) -> None:
        self._connection_manager.discard(resource_id=connection.connection_id)
        if event_type is EventType.CONNECTION_CLOSED:
            connection._add_traffic(self._traffic)
            self._stats.connections_closed += connection.was_established
            if error_code in PROTOCOL_ERRORS:
                self._stats.protocol_errors += 1
        elif not connection.was_left or not connection.was_established:
            self._stats.connection_errors += 1

    def _on_session_request(self, session: WebTransportSession) -> None:
        if self._config.access_log:
            session._call_at_end(partial(self._on_session_logged, time.monotonic(), session.connection.remote_address))
        else:
            session._call_at_end(self._on_session_closed)
        if session.is_closed:
            return  # a handler of the connection's event has decided
        if self._is_closing:
            reject_if_undecided(session, status_code=SERVICE_UNAVAILABLE)
            return
        if self._session_manager.is_full:
            self._limit_log.reached("max_sessions", by=session.path, now=time.monotonic())
            reject_if_undecided(session, status_code=TOO_MANY_REQUESTS)
            return
        self._session_manager.register(resource=session, watches=False)
        self.emit_nowait(event_type=EventType.SESSION_REQUEST, data=session._request_payload(), source=session)
        self._session_sink(session)

    def _on_session_closed(self, session: WebTransportSession) -> None:
        self._session_manager.discard(resource_id=session.session_id)
        self._release(event_type=EventType.SESSION_REQUEST, key="session", handle=session)

    def _on_session_logged(self, began: float, address: Address | None, session: WebTransportSession) -> None:
        self._on_session_closed(session)
        access_logger.info(
            "%s CONNECT %s: %s, code %s %r after %.3f s",
            "unknown" if address is None else address[0],
            session.path,
            session._core.response_status,
            session.close_code,
            session.close_reason,
            time.monotonic() - began,
        )
