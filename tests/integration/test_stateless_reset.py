"""A server that is killed and started again under connected clients: they notice with their next packet."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from balanced import WAIT, KillableProcess, RestartableServer, balancer
from loopback import client_config

from wtransport.client import ReconnectingClient, WebTransportClient
from wtransport.exceptions import ConnectionError, SessionError
from wtransport.types import EventType
from wtransport.utils import generate_self_signed_cert

SOON = 3.0
"""Seconds; a round trip on loopback takes less than one thousandth of it, and every other way to notice much more."""

SILENT = {"connection_idle_timeout": 300.0, "connection_keepalive_timeout": 200.0, "read_timeout": 100.0}


def url_at(address: tuple[str, int]) -> str:
    return f"https://{address[0]}:{address[1]}/"


async def restart(server: KillableProcess) -> None:
    await server.kill()
    await server.start()


async def test_a_client_notices_at_its_next_packet(certificate: Any) -> None:
    async with (
        KillableProcess(certificate) as server,
        WebTransportClient(config=client_config(certificate, **SILENT)) as client,
    ):
        session = await client.connect(url=url_at(server.address))
        events: list[Any] = []
        lost = asyncio.Event()
        for event_type in (EventType.CONNECTION_LOST, EventType.CONNECTION_CLOSED):
            session.connection.events.on(event_type=event_type, handler=events.append)
        session.connection.events.once(event_type=EventType.CONNECTION_LOST, handler=lambda _: lost.set())
        stream = await session.create_bidirectional_stream()
        await stream.write(data=b"before")
        reading = asyncio.ensure_future(stream.read())
        await restart(server)
        assert session.connection.is_connected
        async with asyncio.timeout(SOON):
            await session.send_datagram(data=b"anybody there?")
            await lost.wait()
            with pytest.raises(Exception, match="stateless reset"):
                await reading
        assert [event.type for event in events] == [EventType.CONNECTION_LOST, EventType.CONNECTION_CLOSED]
        assert "stateless reset" in events[0].data["reason"]
        assert session.is_closed
        with pytest.raises(SessionError):
            await session.create_bidirectional_stream()
        with pytest.raises(ConnectionError, match="the peer: stateless reset"):
            await session.connection.create_session(path="/")


async def test_a_reconnecting_client_is_back_soon(certificate: Any) -> None:
    config = client_config(certificate, retry_delay=0.02, **SILENT)
    async with (
        KillableProcess(certificate) as server,
        WebTransportClient(config=config) as client,
        ReconnectingClient(url=url_at(server.address), client=client) as reconnecting,
    ):
        session = await reconnecting.get_session(wait_timeout=WAIT)
        assert session is not None
        await restart(server)
        async with asyncio.timeout(SOON):
            await session.send_datagram(data=b"anybody there?")
            while (again := await reconnecting.get_session(wait_timeout=SOON)) is session:
                await asyncio.sleep(0.005)
        assert again is not None
        await again.send_datagram(data=b"here I am")


async def test_a_load_balancer_has_the_target_back_soon(certificate: Any) -> None:
    config = client_config(certificate, **SILENT)
    async with KillableProcess(certificate) as server, balancer(certificate, [server.address]) as lb:
        connection = await lb.get_connection(config=config)
        lost = asyncio.Event()
        connection.events.once(event_type=EventType.CONNECTION_LOST, handler=lambda _: lost.set())
        session = await connection.create_session(path="/")
        await restart(server)
        async with asyncio.timeout(SOON):
            await session.send_datagram(data=b"anybody there?")
            await lost.wait()
            again = await lb.get_connection(config=config)
        assert again is not connection
        assert again.is_connected


async def test_a_server_with_another_key_cannot_reset(certificate: Any, tmp_path: Any) -> None:
    """Nor can anybody else: the client waits for its idle time-out."""
    config = client_config(certificate, connection_idle_timeout=1.0, keep_alive=False)
    async with (
        KillableProcess(certificate) as server,
        RestartableServer(certificate) as other,
        WebTransportClient(config=config) as client,
    ):
        session = await client.connect(url=url_at(server.address))
        ended = asyncio.Event()
        reasons: list[str] = []

        def on_lost(event: Any) -> None:
            reasons.append(event.data["reason"])
            ended.set()

        session.connection.events.once(event_type=EventType.CONNECTION_LOST, handler=on_lost)
        await server.kill()
        certfile, keyfile = generate_self_signed_cert(hostname="localhost", output_dir=str(tmp_path))
        other._config = other._config.update(certfile=certfile, keyfile=keyfile)
        await other.stop()
        other.address = server.address
        await other.start()
        assert other.server is not None
        await session.send_datagram(data=b"anybody there?")
        async with asyncio.timeout(WAIT):
            await ended.wait()
        assert "stateless reset" not in reasons[0]
        assert (await other.server.diagnostics()).listener["resets_sent"] > 0


async def test_a_server_may_be_told_not_to_reset(certificate: Any) -> None:
    async with RestartableServer(certificate, stateless_reset=False) as server:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=server.address
        )
        try:
            transport.sendto(b"\x40".ljust(100, b"x"))
            assert server.server is not None
            async with asyncio.timeout(WAIT):
                while not (counted := (await server.server.diagnostics()).listener)["unknown_connection"]:
                    await asyncio.sleep(0.005)
            assert counted["resets_sent"] == 0
        finally:
            transport.close()
