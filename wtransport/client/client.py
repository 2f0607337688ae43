"""`WebTransportClient`: opens sessions, each on a connection of its own, and keeps count of both."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from types import TracebackType
from typing import Self

from ..config import ClientConfig
from ..connection import TrafficStats, WebTransportConnection
from ..connection._closing import close_each
from ..events import EventEmitter
from ..exceptions import ClientError, ConfigurationError, ConnectionError, TimeoutError
from ..session import WebTransportSession
from ..types import URL, ConnectionState, EventType, Headers, URLParts
from ..utils import apply_log_level, get_logger
from .attempt import ConnectAttempt
from .diagnostics import ClientDiagnostics, ClientStats
from .url import parse_url

__all__ = ["WebTransportClient"]

logger = get_logger(name=__name__)


class WebTransportClient(EventEmitter):
    """Opens WebTransport sessions.

    Every `connect` makes a QUIC connection of its own, which is closed soon after its session has ended. Use it as
    ``async with``, or call `close` at the end: it closes all connections that are left.
    """

    def __init__(self, *, config: ClientConfig | None = None) -> None:
        """Create a client; without a configuration the defaults of `ClientConfig` hold.

        Raises:
            ConfigurationError: a value of the configuration is not valid.
            CertificateError: a file that the configuration names does not exist.

        """
        super().__init__()
        self._config = ClientConfig() if config is None else config
        self._config.validate()
        apply_log_level(level=self._config.log_level, debug=self._config.debug)
        self._default_headers: Headers = {}
        self._stats = ClientStats()
        self._traffic = TrafficStats()  # of the connections that are over
        self._attempts: set[ConnectAttempt] = set()
        self._connections: dict[WebTransportConnection, None] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def __aenter__(self) -> Self:
        """Return the client; there is nothing to prepare."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Close the client, see `close`."""
        await self.close()

    @property
    def config(self) -> ClientConfig:
        """Return the configuration."""
        return self._config

    @property
    def is_closed(self) -> bool:
        """Return True once `close` was called."""
        return self._is_closed

    def set_default_headers(self, *, headers: Headers) -> None:
        """Send these headers with every request from now on; they replace those set before.

        A header of the same name in `connect` wins over one given here, and this one over the configuration's.
        """
        self._default_headers = _lower(headers)

    async def connect(
        self,
        *,
        url: URL,
        timeout: float | None = None,
        headers: Headers | None = None,
        wt_available_protocols: list[str] | None = None,
    ) -> WebTransportSession:
        """Open a session.

        With ``auto_reconnect`` in the configuration an attempt that failed for want of an answer is repeated, at most
        ``max_retries`` times (negative: for ever), first after ``retry_delay`` seconds.

        Args:
            url: ``https://host[:port]/path?query``; the port is 443 by default.
            timeout: seconds for the whole call; by default each attempt has the configuration's ``connect_timeout``.
            headers: further request headers, which win over the defaults of the same name.
            wt_available_protocols: subprotocols to offer, the preferred one first; the configuration's by default.

        Returns:
            The session, open. Its connection is ``session.connection``.

        Raises:
            ClientError: the client is closed, has ``max_connections`` connections, the URL is not usable (the cause is
                a ConfigurationError), or the server rejected the session (``details["status"]`` has the status).
            TimeoutError: no session in time; says which stage was not over.
            ConnectionError: the server cannot be reached, refused or closed the connection, or has no valid
                certificate.
            CertificateError: a certificate file of the configuration cannot be read.
            ValueError: `timeout` is not positive.

        """
        retries = self._config.max_retries if self._config.auto_reconnect else 0
        return await self._connect(url, timeout, headers or {}, wt_available_protocols, retries=retries)

    async def _connect(
        self, url: URL, timeout: float | None, headers: Headers, protocols: list[str] | None, *, retries: int
    ) -> WebTransportSession:
        """Do what `connect` says, with so many more attempts (negative: for ever) after a failed one."""
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout must be positive, not {timeout}")
        self._check_open(url)
        try:
            target = parse_url(url=url)
        except ConfigurationError as error:
            raise ClientError(f"cannot connect: {error.message}", target_url=url) from error
        request_headers = self._default_headers | _lower(headers)
        config = self._config

        time_limit = config.connect_timeout if timeout is None else timeout
        deadline = None if timeout is None else time.monotonic() + timeout
        delay = config.retry_delay
        while True:
            try:
                return await self._connect_once(url, target, request_headers, protocols, time_limit)
            except (ConnectionError, TimeoutError) as error:
                is_late = deadline is not None and time.monotonic() + delay >= deadline
                if retries == 0 or is_late or self._is_closed:
                    raise
                logger.info("connecting to %s failed, next attempt in %.2f s: %s", url, delay, error)
            await asyncio.sleep(delay)
            if deadline is not None:
                time_limit = deadline - time.monotonic()
            retries -= 1
            delay = min(delay * config.retry_backoff, config.max_retry_delay)

    async def close(self) -> None:
        """Close every connection and end every attempt to connect; closing again does nothing.

        Returns within about the configuration's ``close_timeout``. Cancelling it closes them without waiting for their
        peers.
        """
        try:
            if not self._is_closed:
                self._is_closed = True
                attempts = [attempt.abandon() for attempt in self._attempts]
                await close_each([*attempts, *(connection.close() for connection in self._connections)])
            if self._closing:
                await asyncio.wait(self._closing)
        except asyncio.CancelledError:
            for task in self._closing:
                task.cancel()
            raise
        finally:
            await super().close()

    async def diagnostics(self) -> ClientDiagnostics:
        """Return a snapshot of counters and connection states."""
        states: Counter[ConnectionState] = Counter(connection.state for connection in self._connections)
        traffic = sum((connection.traffic() for connection in self._connections), self._traffic)
        return ClientDiagnostics(stats=replace(self._stats), connection_states=dict(states), traffic=traffic)

    async def _connect_once(
        self, url: URL, target: URLParts, headers: Headers, protocols: list[str] | None, time_limit: float
    ) -> WebTransportSession:
        self._check_open(url)
        self._check_limits(url)
        config = self._config
        if time_limit > config.connect_timeout:
            config = replace(config, connect_timeout=time_limit)  # the connection has that limit, too
        host, port, path = target
        attempt = ConnectAttempt(
            config=config, url=url, host=host, port=port, path=path, headers=headers, protocols=protocols
        )
        self._attempts.add(attempt)
        self._stats.connections_attempted += 1
        began = time.perf_counter()
        try:
            session = await attempt.run(time_limit=time_limit)
        except BaseException:
            self._stats.connections_failed += 1
            raise
        finally:
            self._attempts.discard(attempt)
            if attempt.traffic is not None:
                self._traffic.add(attempt.traffic)
        self._stats.record_success(connect_time=time.perf_counter() - began)
        self._keep(session)
        return session

    def _keep(self, session: WebTransportSession) -> None:
        """Hold the connection until it is over, and see to it that it does not outlive its session."""
        connection = session.connection
        if connection.is_closed:
            self._traffic.add(connection.traffic())
        else:
            self._connections[connection] = None
            connection.on_end = self._on_connection_end
        if session.is_closed:
            self._close_soon(connection)
        else:
            session._call_at_end(self._on_session_end)

    def _on_connection_end(self, connection: WebTransportConnection, _event_type: EventType, _error_code: int) -> None:
        self._forget(connection)

    def _forget(self, connection: WebTransportConnection) -> None:
        if connection in self._connections:
            del self._connections[connection]
            connection._add_traffic(self._traffic)

    def _on_session_end(self, session: WebTransportSession) -> None:
        self._close_soon(session.connection)

    def _close_soon(self, connection: WebTransportConnection) -> None:
        if connection.is_closed or connection.is_closing or self._is_closed:
            return
        task = asyncio.get_running_loop().create_task(connection.close(reason="the session is over"))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _check_limits(self, url: URL) -> None:
        config, connections, attempts = self._config, self._connections, len(self._attempts)
        number = attempts + len(connections)
        if number < config.max_connections and number < config.max_sessions:
            return
        # A program may have removed our handler together with its own, so an end can have gone unnoticed.
        for connection in [each for each in connections if each.is_closed]:
            self._forget(connection)
        for name, limit in (("max_connections", config.max_connections), ("max_sessions", config.max_sessions)):
            if attempts + len(connections) >= limit:  # each connection is there for one session
                raise ClientError(f"{name} is reached: {limit} are open", target_url=url)

    def _check_open(self, url: URL) -> None:
        if self._is_closed:
            raise ClientError("client is closed", target_url=url)


def _lower(headers: Headers) -> Headers:
    return {name.lower(): value for name, value in headers.items()} if headers else {}
