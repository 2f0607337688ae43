"""Outgoing connections: resolving the server, opening a socket to it, and another one when the network changes."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket

from .._quic.factory import create_client_port
from ..config import ClientConfig
from .addresses import Endpoint, interleave, is_ipv4, resolve
from .protocol import AdapterProtocol
from .sockets import FORBIDS_FRAGMENTS, connect_socket, open_transport

__all__ = ["dial", "look_up"]

MAX_PORT = 65535
"""Largest UDP port (RFC 768)."""

MAX_ADDRESSES = 16
"""Addresses of one host that are tried: each silent one costs a socket and a handshake until another one answers."""

REOPEN_INTERVAL = 1.0
"""Seconds between two attempts to open another socket for an established connection; packets fail more often."""

NETWORK_CHANGED_ERRNOS = frozenset({errno.EADDRNOTAVAIL, errno.EINVAL, errno.ENETDOWN, errno.ENETUNREACH, errno.ENODEV})
"""Errors of sending that mean that the socket's own address is gone; Linux says EINVAL."""

_logger = logging.getLogger(__name__)


async def look_up(*, host: str, port: int) -> list[Endpoint]:
    """Return the addresses of a server in the order in which to try them, at least one and at most `MAX_ADDRESSES`.

    Raises:
        OSError: the host is unknown or has no IP address.
    """
    if is_ipv4(host) and 0 <= port <= MAX_PORT:
        return [Endpoint(socket.AF_INET, (host, port))]
    endpoints = interleave(await resolve(host=host, port=port))
    if not endpoints:
        raise OSError(errno.EHOSTUNREACH, "the host has no IP address")
    return endpoints[:MAX_ADDRESSES]


async def dial(
    *, host: str, port: int, config: ClientConfig, endpoint: Endpoint | None = None
) -> tuple[AdapterProtocol, asyncio.DatagramTransport]:
    """Open the UDP socket of a new client connection. The handshake begins with `AdapterProtocol.connect`.

    Args:
        host: name or IP address of the server; the certificate is checked against it.
        port: UDP port, 1..65535.
        config: the client's configuration.
        endpoint: which of the host's addresses to use; None: the first one. Nobody else is asked when it is silent:
            that is what `race` is for.

    Raises:
        CertificateError, ConfigurationError: the configuration's files cannot be used.
        OSError: the host is unknown, or there is no route to it.
    """
    quic_port = create_client_port(
        config=config, server_name=host.strip("[]").partition("%")[0], discovers_path_mtu=FORBIDS_FRAGMENTS
    )
    if endpoint is None:
        endpoint = (await look_up(host=host, port=port))[0]
    protocol = AdapterProtocol(port=quic_port)
    transport = await _Dialer(protocol, endpoint).open()
    return protocol, transport


class _Dialer:
    """The address of a server, and the socket in use."""

    def __init__(self, protocol: AdapterProtocol, endpoint: Endpoint) -> None:
        self._protocol = protocol
        self._endpoint = endpoint
        self._reopening: asyncio.Task[None] | None = None
        self._reopened_at = -REOPEN_INTERVAL

    async def open(self) -> asyncio.DatagramTransport:
        """Open a socket to the server.

        Raises:
            OSError: there is no route to it.
        """
        protocol = self._protocol
        transport = await open_transport(protocol, connect_socket(self._endpoint))
        protocol.watch_send_errors(self._on_send_error)
        return transport

    def _on_send_error(self, exc: OSError) -> bool:
        """Open another socket if that can help; False leaves the error to the protocol."""
        if self._reopening is not None:
            return True
        now = self._protocol.now()
        if (
            not self._protocol.is_ready
            or exc.errno not in NETWORK_CHANGED_ERRNOS
            or now - self._reopened_at < REOPEN_INTERVAL
        ):
            return False
        self._reopened_at = now
        self._reopening = asyncio.get_running_loop().create_task(self._reopen())
        return True

    async def _reopen(self) -> None:
        try:
            await self.open()
        except OSError as exc:
            # Still no network: the old socket stays, and the connection lives until its idle time-out.
            _logger.debug("no new socket for %r: %s", self._protocol, exc)
        finally:
            self._reopening = None
