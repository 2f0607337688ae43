"""One attempt to open a session: the way from a URL to a session, and what is left behind when it fails: nothing."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from .._adapter import Endpoint, dial, is_ipv4, look_up, race
from ..config import ClientConfig
from ..connection import TrafficStats, WebTransportConnection
from ..connection._closing import close_each
from ..constants import ErrorCodes
from ..exceptions import ClientError, ConnectionError, TimeoutError
from ..session import WebTransportSession
from ..types import URL, Headers
from .url import format_authority

__all__ = ["ConnectAttempt"]

CRYPTO_ERROR = 0x100
"""First of the 256 QUIC codes that carry a TLS alert in their low byte (RFC 9001, 4.8)."""

CERTIFICATE_ALERTS = frozenset({42, 43, 44, 45, 46, 48, 116})
"""TLS alerts about a certificate: bad, unsupported, revoked, expired, unknown, unknown issuer, required (RFC 8446)."""


@dataclass(slots=True, kw_only=True, eq=False)
class ConnectAttempt:
    """One connection of its own and one session on it."""

    config: ClientConfig
    url: URL
    host: str
    port: int
    path: str
    headers: Headers
    protocols: list[str] | None
    connections: list[WebTransportConnection] = field(default_factory=list)
    """What was begun: a connection to each address of the server that was tried so far."""
    is_abandoned: bool = False
    traffic: TrafficStats | None = None
    """What went through the connections that were given up, if any were."""

    @property
    def stage(self) -> str:
        """Return what the attempt waits for."""
        if not self.connections:
            return "the address of the server"
        if not any(connection.is_connected for connection in self.connections):
            return "the QUIC handshake and the server's SETTINGS"
        return "the answer to the CONNECT request"

    async def run(self, *, time_limit: float) -> WebTransportSession:
        """Open the session within `time_limit` seconds.

        Raises:
            TimeoutError: it took too long; says at which stage.
            ConnectionError: the server cannot be reached, refused the connection, or its certificate is not valid.
            CertificateError: a certificate file of the configuration cannot be read.
            ClientError: the server rejected the session, or the attempt was abandoned.

        """
        scope: asyncio.Timeout | None = None
        try:
            if time_limit >= self.config.connect_timeout and is_ipv4(self.host):
                return await self._open()  # the connection has a clock, and nothing before it waits
            async with asyncio.timeout(time_limit) as scope:
                return await self._open()
        except BaseException as error:
            stage = self.stage
            await self.abandon()
            if (scope is None or scope.expired()) and isinstance(error, builtins.TimeoutError):
                raise TimeoutError(
                    f"connecting to {self.url} timed out after {time_limit:g} s, waiting for {stage}",
                    timeout_duration=time_limit,
                    operation=stage,
                ) from error
            raise

    async def abandon(self) -> None:
        """Give the attempt up: close what it has opened."""
        self.is_abandoned = True
        await self._close_all_but(None, reason="the attempt to connect was given up")

    async def _open(self) -> WebTransportSession:
        try:
            connection = await self._connect()
            return await connection.create_session(
                path=self.path,
                headers=self.headers,
                wt_available_protocols=self.protocols,
                authority=format_authority(host=self.host, port=self.port),
            )
        except ClientError as error:
            error.target_url = self.url
            raise
        except ConnectionError as error:
            if self.is_abandoned:
                raise ClientError("client was closed while it connected", target_url=self.url) from error
            raise self._explained(error) from error

    async def _connect(self) -> WebTransportConnection:
        """Return a connection: to the server's one address, or to the first that was ready for sessions."""
        try:
            endpoints = await look_up(host=self.host, port=self.port)
        except OSError as error:
            raise self._unreachable(error) from error
        if len(endpoints) == 1:
            return await self._dial(endpoints[0])
        attempts = [partial(self._connect_to, endpoint) for endpoint in endpoints]
        failures: Sequence[Exception] = ()
        try:
            winner = await race(attempts, delay=self.config.connection_attempt_delay)
        except ExceptionGroup as group:
            failures = group.exceptions
        if failures:
            raise _most_telling(failures)  # out here, so that its own cause stays
        await self._close_all_but(winner, reason="another address of the server was quicker")
        return winner

    async def _connect_to(self, endpoint: Endpoint) -> WebTransportConnection:
        connection = await self._dial(endpoint)
        await connection._wait_ready(self.config.connect_timeout)
        return connection

    async def _dial(self, endpoint: Endpoint) -> WebTransportConnection:
        if self.is_abandoned:
            raise ConnectionError("the attempt was given up")
        try:
            protocol, transport = await dial(host=self.host, port=self.port, config=self.config, endpoint=endpoint)
        except OSError as error:
            raise self._unreachable(error) from error
        try:
            protocol.begin()
        except BaseException:
            protocol.close_transport()
            raise
        connection = WebTransportConnection(config=self.config, protocol=protocol, transport=transport, is_client=True)
        self.connections.append(connection)
        if self.is_abandoned:
            raise ConnectionError("the attempt was given up")
        return connection

    async def _close_all_but(self, winner: WebTransportConnection | None, *, reason: str) -> None:
        losers = [connection for connection in self.connections if connection is not winner]
        self.connections = [] if winner is None else [winner]
        try:
            if len(losers) == 1:
                await losers[0].close(reason=reason)
            elif losers:
                await close_each(connection.close(reason=reason) for connection in losers)
        finally:
            for connection in losers:
                total = connection.traffic()
                self.traffic = total if self.traffic is None else self.traffic + total

    def _unreachable(self, error: OSError) -> ConnectionError:
        text = f"cannot reach {self.host} at port {self.port}: {error}"
        return ConnectionError(text, remote_address=(self.host, self.port))

    def _explained(self, error: ConnectionError) -> ConnectionError:
        """Return an error that says in words what went wrong for the one who connects."""
        details = error.details
        reason = error.message.removeprefix("the connection failed: ")
        code: int | None = error.error_code
        alert = error.error_code - CRYPTO_ERROR
        if isinstance(error.__cause__, OSError):
            text, code = f"cannot reach {self.host} at port {self.port}: {error.__cause__}", None
        elif details.get("is_application", True):
            text = error.message
        elif alert in CERTIFICATE_ALERTS and details["by_peer"]:
            text = f"the server does not accept the client's certificate: {reason}"
        elif alert in CERTIFICATE_ALERTS:
            text = f"the server's certificate is not valid: {reason}"
        elif code == ErrorCodes.CONNECTION_REFUSED and details["by_peer"]:
            text = f"the server refuses the connection: {reason}"
        else:
            text = error.message
        address = error.remote_address or (self.host, self.port)
        return ConnectionError(text, error_code=code, remote_address=address, details=details)


def _most_telling(failures: Sequence[Exception]) -> Exception:
    """Return which error of several addresses to raise: the first of a server that answered, or else the first."""
    answered = (
        error for error in failures if not isinstance(error, TimeoutError) and not isinstance(error.__cause__, OSError)
    )
    return next(answered, failures[0])
