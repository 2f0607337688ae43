"""Two connection handles that talk over loopback: a client's and a server's, without the client and server classes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from loopback import HOST, CertificateFiles, client_config, server_config
from udp_proxy import UdpProxy, proxied

from wtransport._adapter import AdapterProtocol, dial, listen
from wtransport.config import ClientConfig, ServerConfig
from wtransport.connection import WebTransportConnection
from wtransport.session import WebTransportSession

__all__ = ["HandlePair", "SessionPair", "barrier", "connection_pair", "session_pair"]


@dataclass
class HandlePair:
    """Both ends of one connection; the server's exists once the first packet came."""

    servers: list[WebTransportConnection]
    client: WebTransportConnection = field(init=False)
    requests: asyncio.Queue[WebTransportSession] = field(default_factory=asyncio.Queue)
    accepts_at_once: bool = True
    proxy: UdpProxy | None = None
    """What stands between the two, if anything."""

    @property
    def server(self) -> WebTransportConnection:
        return self.servers[0]

    async def open_session(self, path: str = "/", **arguments: Any) -> SessionPair:
        """Open a session and accept it; both ends."""
        client = await self.client.create_session(path=path, **arguments)
        return SessionPair(client=client, server=await self.requests.get(), connections=self)

    def on_request(self, session: WebTransportSession) -> None:
        self.requests.put_nowait(session)
        if self.accepts_at_once:
            # Accepting never waits, so that it can be done from here.
            with contextlib.suppress(StopIteration):
                session.accept().send(None)


@dataclass
class SessionPair:
    """Both ends of one session."""

    client: WebTransportSession
    server: WebTransportSession
    connections: HandlePair


@contextlib.asynccontextmanager
async def connection_pair(
    certificate: CertificateFiles,
    *,
    client: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
    network: dict[str, float] | None = None,
) -> AsyncIterator[HandlePair]:
    """A client's connection, not yet begun, to a server that accepts every session (see `accepts_at_once`).

    With `network`, conditions of a link, a proxy that has them stands between.
    """
    server_settings: ServerConfig = server_config(certificate, **(server or {}))
    client_settings: ClientConfig = client_config(certificate, **({"close_timeout": 2.0} | (client or {})))
    servers: list[WebTransportConnection] = []
    pair = HandlePair(servers=servers)

    def on_connection(protocol: AdapterProtocol, transport: asyncio.DatagramTransport) -> None:
        connection = WebTransportConnection(
            config=server_settings, protocol=protocol, transport=transport, is_client=False
        )
        connection.on_session_request = pair.on_request
        servers.append(connection)

    listener = await listen(
        host=HOST, port=0, config=server_settings, on_connection=on_connection, may_accept=lambda address: True
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(listener.wait_closed)
        address = listener.local_address
        if address is None:
            raise RuntimeError("the listener has no address")
        if network is not None:
            pair.proxy = await stack.enter_async_context(proxied(f"https://{address[0]}:{address[1]}", **network))
            address = pair.proxy.address
        protocol, transport = await dial(host=address[0], port=address[1], config=client_settings)
        pair.client = WebTransportConnection(
            config=client_settings, protocol=protocol, transport=transport, is_client=True
        )
        try:
            yield pair
        finally:
            await pair.client.close()
            for each in servers:
                await each.close()


@contextlib.asynccontextmanager
async def session_pair(certificate: CertificateFiles, **options: Any) -> AsyncIterator[SessionPair]:
    """Both ends of a session on a connection of its own; options as of `connection_pair`."""
    async with connection_pair(certificate, **options) as pair:
        yield await pair.open_session()


async def barrier(pair: SessionPair) -> None:
    """Return when the server has got what the client sent so far."""
    await asyncio.sleep(0)  # streams written in this turn go out before
    await pair.client.send_datagram(data=b"barrier")
    assert await pair.server.read_datagram() == b"barrier"
