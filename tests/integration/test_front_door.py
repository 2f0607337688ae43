"""A server's front door over real sockets: clients that must validate their address, floods, and half-open ones."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from both_loops import on_both_loops
from loopback import client_config, server_config, url_of

from wtransport.client import WebTransportClient
from wtransport.exceptions import ClientError, ConnectionError
from wtransport.server import WebTransportServer
from wtransport.types import EventType

WAIT = 30.0


@contextlib.asynccontextmanager
async def serving(certificate: Any, **settings: Any) -> AsyncIterator[WebTransportServer]:
    async with WebTransportServer(config=server_config(certificate, **settings)) as server:
        await server.listen()
        yield server


async def counters(server: WebTransportServer) -> dict[str, int]:
    """What the listener counted, without zeros."""
    return {name: value for name, value in (await server.diagnostics()).listener.items() if value}


async def until(condition: Any) -> None:
    """Wait until the coroutine function says yes; for states that no event announces."""
    async with asyncio.timeout(WAIT):
        while not await condition():
            await asyncio.sleep(0.01)


async def use(certificate: Any, url: str) -> None:
    """Open a session and a stream in it."""
    async with WebTransportClient(config=client_config(certificate)) as client:
        session = await client.connect(url=url)
        stream = await session.create_bidirectional_stream()
        await stream.write(data=b"hello", end_stream=True)
        await session.close()


@pytest.fixture
def strangers():
    """Make sockets from which nothing but first packets comes."""
    with contextlib.ExitStack() as stack:

        def make(server: WebTransportServer, count: int) -> list[socket.socket]:
            made = []
            for _ in range(count):
                sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                sock.connect(server.local_address)
                sock.setblocking(False)
                client = QuicConnection(
                    configuration=QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="localhost")
                )
                client.connect(server.local_address, now=0.0)
                sock.send(client.datagrams_to_send(0.0)[0][0])
                made.append(sock)
            return made

        yield make


async def meet(server: WebTransportServer, strangers: Any, count: int) -> None:
    """Send first packets until so many were met; the server drops those that wait for long, as on a busy machine."""
    met = 0
    while met < count:
        before = await counters(server)
        strangers(server, 1)

        async def is_dealt_with(before: dict[str, int] = before) -> bool:
            return await counters(server) != before

        await until(is_dealt_with)
        counted = await counters(server)
        met = sum(counted.get(name, 0) for name in ("accepted", "retries_sent", "over_address_limit"))


@on_both_loops
async def test_a_client_validates_its_address(certificate: Any) -> None:
    async with serving(certificate, address_validation="always") as server:
        await use(certificate, url_of(server))
        assert await counters(server) == {"accepted": 1, "validated": 1, "retries_sent": 1}


@on_both_loops
async def test_one_over_ipv6_does_too(certificate: Any) -> None:
    if not socket.has_ipv6:
        pytest.skip("this host has no IPv6")
    async with serving(certificate, address_validation="always", bind_host="::1") as server:
        await use(certificate, url_of(server))
        assert (await counters(server))["validated"] == 1


async def test_many_at_once_validate_their_addresses(certificate: Any) -> None:
    async with serving(certificate, address_validation="always") as server:
        await asyncio.gather(*(use(certificate, url_of(server)) for _ in range(20)))
        assert (await counters(server))["validated"] == 20


async def test_a_flood_of_first_packets_is_met_with_retry_and_leaves_nothing(certificate: Any, strangers: Any) -> None:
    async with serving(certificate, address_validation_threshold=10, handshake_timeout=3.0) as server:
        await meet(server, strangers, 50)
        counted = await counters(server)
        # A place is free again when a handshake times out, which nobody hurries to wait for.
        begun = 10 + counted.get("handshake_timeouts", 0)
        assert 10 <= counted["accepted"] <= begun
        assert counted["accepted"] + counted["retries_sent"] == 50
        assert (await server.diagnostics()).unfinished_handshakes <= 10
        await use(certificate, url_of(server))
        assert (await counters(server))["validated"] == 1

        async def is_empty() -> bool:
            return not (await server.diagnostics()).unfinished_handshakes and not len(server.connection_manager)

        await until(is_empty)
        assert (await counters(server))["handshake_timeouts"] == counted["accepted"]
        await use(certificate, url_of(server))
        assert (await counters(server))["validated"] == 1, "the flood is over"


async def test_limits_of_one_address(certificate: Any, strangers: Any) -> None:
    settings = {"address_validation": "never", "max_handshakes_per_address": 3, "handshake_timeout": 2.0}
    async with serving(certificate, **settings) as server:
        await meet(server, strangers, 8)
        counted = await counters(server)
        assert 3 <= counted["accepted"] <= 3 + counted.get("handshake_timeouts", 0)
        assert counted["accepted"] + counted["over_address_limit"] == 8
        await use(certificate, url_of(server))  # which repeats its first packet until there is room


async def test_too_many_attempts_of_one_address_wait(certificate: Any) -> None:
    settings = {"address_validation": "never", "max_connection_attempts_per_address": 5}
    async with serving(certificate, **settings) as server:
        await asyncio.gather(*(use(certificate, url_of(server)) for _ in range(6)))  # within a moment
        assert (await counters(server))["over_attempt_limit"] >= 1


async def test_a_full_server_refuses_and_counts(certificate: Any, caplog: Any) -> None:
    async with (
        serving(certificate, max_connections=1) as server,
        WebTransportClient(config=client_config(certificate)) as client,
        WebTransportClient(config=client_config(certificate)) as other,
    ):
        await client.connect(url=url_of(server))
        with pytest.raises(ConnectionError, match="refuses"):
            await other.connect(url=url_of(server))
        with pytest.raises(ConnectionError, match="refuses"):
            await other.connect(url=url_of(server))
        assert (await counters(server))["refused"] >= 2
    assert caplog.text.count("limit reached: max_connections, by 127.0.0.1") == 1


async def test_sessions_over_the_limit_are_logged_once(certificate: Any, caplog: Any) -> None:
    # Room for all four connections: a busy server may meet the next one before it has dealt with the end of the last.
    async with (
        serving(certificate, max_connections=4, max_sessions=1) as server,
        WebTransportClient(config=client_config(certificate)) as client,
        WebTransportClient(config=client_config(certificate)) as other,
    ):
        await client.connect(url=url_of(server))
        for _ in range(3):
            with pytest.raises(ClientError, match="429"):
                await other.connect(url=url_of(server))
    warnings = [record.getMessage() for record in caplog.records if "limit reached" in record.getMessage()]
    assert warnings == ["limit reached: max_sessions, by /"]


async def test_a_server_that_does_not_listen_has_counted_nothing(certificate: Any) -> None:
    async with WebTransportServer(config=server_config(certificate)) as server:
        assert await counters(server) == {}
        assert (await server.diagnostics()).unfinished_handshakes == 0


# Half-open clients.


class Handshaker(asyncio.DatagramProtocol):
    """A client that finishes the handshake and then says no word of HTTP/3, but keeps the connection alive."""

    def __init__(self, server: Any) -> None:
        configuration = QuicConfiguration(is_client=True, alpn_protocols=["h3"], max_datagram_frame_size=65536)
        configuration.verify_mode = ssl.CERT_NONE
        self.quic = QuicConnection(configuration=configuration)
        self.connected = asyncio.Event()
        self._server = server
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.quic.connect(self._server, now=self._loop.time())
        self.send()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.quic.receive_datagram(data, self._server, now=self._loop.time())
        if self.quic._handshake_confirmed:
            self.connected.set()
        self.send()

    def send(self) -> None:
        for data, _ in self.quic.datagrams_to_send(now=self._loop.time()):
            self._transport.sendto(data)


async def test_a_client_that_never_sends_settings_is_dropped(certificate: Any) -> None:
    async with serving(certificate, handshake_timeout=3.0) as server:
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Handshaker(server.local_address), remote_addr=server.local_address
        )
        try:
            async with asyncio.timeout(WAIT):
                await protocol.connected.wait()
            assert len(server.connection_manager) == 1
            failed = asyncio.Event()
            [connection] = await server.connection_manager.get_all_resources()
            connection.events.once(event_type=EventType.CONNECTION_FAILED, handler=lambda _: failed.set())
            async with asyncio.timeout(WAIT):
                while not failed.is_set():
                    protocol.quic.send_ping(1)
                    protocol.send()
                    await asyncio.sleep(0.05)
            assert (await counters(server))["handshake_timeouts"] == 1
            assert len(server.connection_manager) == 0
            assert (await server.diagnostics()).unfinished_handshakes == 0
        finally:
            transport.close()


async def test_a_client_that_never_goes_on_is_dropped(certificate: Any, strangers: Any) -> None:
    async with serving(certificate, handshake_timeout=0.3) as server:
        strangers(server, 1)

        async def is_dropped() -> bool:
            return (await counters(server)).get("handshake_timeouts") == 1 and not len(server.connection_manager)

        await until(is_dropped)
        listener: Any = server._listener
        async with asyncio.timeout(WAIT):
            while listener.routes:
                await asyncio.sleep(0.01)
