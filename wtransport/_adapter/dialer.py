"""Outgoing connections: resolving the server, opening a socket to it, and another one when the network changes."""

from __future__ import annotations

import asyncio
import errno
import logging

from .._quic.factory import create_client_port
from ..config import ClientConfig
from .addresses import Endpoint, resolve
from .protocol import UNREACHABLE_ERRNOS, AdapterProtocol
from .sockets import connect_socket, open_transport

__all__ = ["dial"]

REOPEN_INTERVAL = 1.0
"""Seconds between two attempts to open another socket for an established connection; packets fail more often."""

NETWORK_CHANGED_ERRNOS = frozenset({errno.EADDRNOTAVAIL, errno.EINVAL, errno.ENETDOWN, errno.ENETUNREACH, errno.ENODEV})
"""Errors of sending that mean that the socket's own address is gone; Linux says EINVAL."""

_logger = logging.getLogger(__name__)


async def dial(*, host: str, port: int, config: ClientConfig) -> tuple[AdapterProtocol, asyncio.DatagramTransport]:
    """Open the UDP socket of a new client connection. The handshake begins with `AdapterProtocol.connect`.

    The addresses of the host are tried in the system's order: the next one when there is no route to an address, or
    when it refuses the first packets.

    Args:
        host: name or IP address of the server; the certificate is checked against it.
        port: UDP port, 1..65535.
        config: the client's configuration.

    Raises:
        CertificateError, ConfigurationError: the configuration's files cannot be used.
        OSError: the host is unknown or out of reach.
    """
    quic_port = create_client_port(config=config, server_name=host.strip("[]").partition("%")[0])
    endpoints = await resolve(host=host, port=port)
    protocol = AdapterProtocol(port=quic_port)
    transport = await _Dialer(protocol, endpoints).open()
    return protocol, transport


class _Dialer:
    """The addresses of one server, and the socket in use."""

    def __init__(self, protocol: AdapterProtocol, endpoints: list[Endpoint]) -> None:
        self._protocol = protocol
        self._endpoints = endpoints
        self._reopening: asyncio.Task[None] | None = None
        self._reopened_at = -REOPEN_INTERVAL

    async def open(self) -> asyncio.DatagramTransport:
        """Open a socket to the first address that there is a route to; those before it are forgotten.

        Raises:
            OSError: there is none.
        """
        failure: OSError | None = None
        while self._endpoints:
            try:
                sock = connect_socket(self._endpoints[0])
            except OSError as exc:
                failure = failure or exc
                del self._endpoints[0]
                continue
            protocol = self._protocol
            transport, readable = await open_transport(protocol, sock)
            protocol.read_from(readable)
            may_move_on = len(self._endpoints) > 1 and not protocol.is_ready
            protocol.watch_send_errors(self._on_send_error, keep_first_flight=may_move_on)
            return transport
        raise failure or OSError(errno.EHOSTUNREACH, "the host has no IP address")

    def _on_send_error(self, exc: OSError) -> bool:
        """Open another socket if that can help; False leaves the error to the protocol."""
        if self._reopening is not None:
            return True
        if not self._protocol.is_ready:
            if exc.errno not in UNREACHABLE_ERRNOS or len(self._endpoints) < 2:
                return False
            del self._endpoints[0]
        else:
            now = self._protocol.now()
            if exc.errno not in NETWORK_CHANGED_ERRNOS or now - self._reopened_at < REOPEN_INTERVAL:
                return False
            self._reopened_at = now
        self._reopening = asyncio.get_running_loop().create_task(self._reopen(exc))
        return True

    async def _reopen(self, cause: OSError) -> None:
        endpoints = list(self._endpoints)
        try:
            await self.open()
        except OSError as exc:
            if self._protocol.is_ready:
                # Still no network: the old socket stays, and the connection lives until its idle time-out.
                self._endpoints = endpoints
                _logger.debug("no new socket for %r: %s", self._protocol, exc)
            else:
                self._protocol.abort(cause)
        finally:
            self._reopening = None
