"""Reliable datagrams over connections on loopback, some of which lose packets."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from handle_pair import SessionPair, session_pair
from loopback import client_config, running, server_config
from toolkit import cancelled_after, leaves_no_task, until
from udp_proxy import proxied

from wtransport import ServerApp, WebTransportClient, WebTransportSession
from wtransport.datagram import DatagramReliabilityLayer
from wtransport.exceptions import DatagramError
from wtransport.exceptions import TimeoutError as WebTransportTimeoutError
from wtransport.types import EventType


@pytest.fixture
async def pair(certificate):
    async with session_pair(certificate) as pair:
        yield pair


def data_frame(sequence: int, payload: bytes) -> bytes:
    return b"\x04DATA" + struct.pack("!I", sequence) + payload


async def test_messages_arrive_and_are_confirmed(pair: SessionPair) -> None:
    async with (
        leaves_no_task(),
        DatagramReliabilityLayer(pair.client) as client,
        DatagramReliabilityLayer(pair.server) as server,
    ):
        await client.send(data="one")
        await server.send(data=b"two")
        assert await server.receive() == b"one"
        assert await client.receive(timeout=30) == b"two"
        await client.flush(timeout=30)
        await server.flush()
        assert client.unconfirmed == server.unconfirmed == 0


async def test_the_wire_format(pair: SessionPair) -> None:
    async with DatagramReliabilityLayer(pair.client, ack_timeout=0.05) as client:
        for number in range(2):
            await client.send(data=b"x%d" % number)
        assert await pair.server.read_datagram() == data_frame(0, b"x0")
        assert await pair.server.read_datagram() == data_frame(1, b"x1")
        await pair.server.send_datagram(data=b"\x03ACK0")
        assert await pair.server.read_datagram() == data_frame(1, b"x1")
        await pair.server.send_datagram(data=data_frame(0xFFFFFFFF, b"y"))
        while (datagram := await pair.server.read_datagram()) == data_frame(1, b"x1"):
            pass
        assert datagram == b"\x03ACK4294967295"
        assert await client.receive() == b"y"


async def test_what_arrives_again_is_confirmed_again_and_received_once(pair: SessionPair) -> None:
    async with DatagramReliabilityLayer(pair.client) as client:
        for payload in (b"a", b"a", b"a"):
            await pair.server.send_datagram(data=data_frame(7, payload))
            assert await pair.server.read_datagram() == b"\x03ACK7"
        assert await client.receive() == b"a"
        with pytest.raises(WebTransportTimeoutError):
            await client.receive(timeout=0.01)


async def test_nonsense_is_passed_over(pair: SessionPair) -> None:
    async with DatagramReliabilityLayer(pair.client) as client:
        for data in (
            b"",
            b"\x00",
            b"\xff",
            b"\x04DATA",
            b"\x04DATA123",
            b"\x03ACK",
            b"\x03ACK-1",
            b"\x03ACK99999999999",
            b"\x03ACK5",
            b"\x03NEW1",
            "\x03ACK\u00b2".encode(),
        ):
            await pair.server.send_datagram(data=data)
        await pair.server.send_datagram(data=data_frame(0, b""))
        assert await client.receive(timeout=30) == b""


async def test_what_nobody_confirms_is_given_up_and_told(pair: SessionPair) -> None:
    told: list[dict[str, Any]] = []
    pair.client.events.on(event_type=EventType.DATAGRAM_ERROR, handler=lambda event: told.append(event.data))
    async with DatagramReliabilityLayer(pair.client, ack_timeout=0.02, max_retries=2) as client:
        await client.send(data=b"lost")
        await client.flush()
        assert client.given_up == 1
        assert [(each["sequence"], each["data"]) for each in told] == [(0, b"lost")]
        assert [await pair.server.read_datagram() for _ in range(3)] == [data_frame(0, b"lost")] * 3


async def test_a_sender_waits_for_its_window(certificate: Any) -> None:
    settings = {"write_timeout": 0.2}
    async with (
        session_pair(certificate, client=settings) as pair,
        DatagramReliabilityLayer(pair.client, ack_timeout=10) as client,
    ):

        async def send_all() -> None:
            for number in range(1100):
                await client.send(data=b"%d" % number)

        sending = asyncio.ensure_future(send_all())
        seen = set()
        for _ in range(1024):
            seen.add(await pair.server.read_datagram())
        assert len(seen) == 1024
        with pytest.raises(WebTransportTimeoutError, match="send"):
            await sending
        assert client.unconfirmed == 1024
        # Only the oldest one moves the window.
        await pair.server.send_datagram(data=b"\x03ACK5")
        await until(lambda: client.unconfirmed == 1023)
        with pytest.raises(WebTransportTimeoutError):
            await client.send(data=b"still")
        waiting = asyncio.ensure_future(client.send(data=b"now"))
        await pair.server.send_datagram(data=b"\x03ACK0")
        await waiting
        assert await pair.server.read_datagram() == data_frame(1024, b"now")


async def test_a_receiver_that_reads_nothing_confirms_only_what_it_keeps(pair: SessionPair) -> None:
    async with (
        DatagramReliabilityLayer(pair.client, ack_timeout=0.2, max_retries=100) as client,
        DatagramReliabilityLayer(pair.server) as server,
    ):
        total = 1500

        async def send_all() -> None:
            for number in range(total):
                await client.send(data=b"%d" % number)

        sending = asyncio.ensure_future(send_all())
        await until(lambda: len(server._received) == 1024)
        await asyncio.sleep(0.3)
        assert len(server._received) == 1024
        received = [await server.receive(timeout=10) for _ in range(total)]
        await sending
        assert sorted(map(int, received)) == list(range(total))


async def test_sequence_numbers_begin_anew(pair: SessionPair) -> None:
    async with DatagramReliabilityLayer(pair.client) as client, DatagramReliabilityLayer(pair.server) as server:
        client._next_sequence = client._oldest = 0xFFFFFFFE
        for number in range(4):
            await client.send(data=b"%d" % number)
        assert [await server.receive() for _ in range(4)] == [b"0", b"1", b"2", b"3"]
        await client.flush(timeout=30)
        assert client._oldest == client._next_sequence == 2


async def test_over_a_path_that_loses_a_third_of_the_packets(certificate: Any) -> None:
    total = 200
    app = ServerApp(config=server_config(certificate))

    @app.route(path="/")
    async def echo(session: WebTransportSession) -> None:
        async with DatagramReliabilityLayer(session, ack_timeout=0.05, max_retries=50) as layer:
            for _ in range(total):
                await layer.send(data=await layer.receive())
            await layer.flush()
            # The last confirmations may be lost, and are asked for again until the client has them.
            await session.events.wait_for(event_type=EventType.SESSION_CLOSED, timeout=30)

    async with (
        running(app) as url,
        proxied(url, loss=0.33, seed=7) as path,
        WebTransportClient(config=client_config(certificate)) as client,
    ):
        session = await client.connect(url=f"{path.url}/")
        async with DatagramReliabilityLayer(session, ack_timeout=0.05, max_retries=50) as layer:

            async def send_all() -> None:
                for number in range(total):
                    await layer.send(data=b"%d" % number)

            sending = asyncio.ensure_future(send_all())
            received = [await layer.receive(timeout=20) for _ in range(total)]
            await sending
            await layer.flush()
            assert layer.given_up == 0
        assert sorted(map(int, received)) == list(range(total))


@pytest.mark.parametrize("who", ["layer", "session"])
async def test_what_ends_it_wakes_whoever_waits(pair: SessionPair, who: str) -> None:
    async with leaves_no_task(), DatagramReliabilityLayer(pair.client) as client:
        await client.send(data=b"x")
        waiting = [asyncio.ensure_future(operation()) for operation in (client.receive, client.flush)]
        await asyncio.sleep(0)
        await (client.close() if who == "layer" else pair.server.close())
        for each in waiting:
            with pytest.raises(DatagramError, match="closed"):
                await each
        await until(lambda: client.is_closed)
        with pytest.raises(DatagramError, match="closed"):
            await client.send(data=b"y")
        await client.close()


@pytest.mark.parametrize("turns", range(6))
async def test_cancelling_at_any_moment_leaves_nothing_behind(pair: SessionPair, turns: int) -> None:
    async with leaves_no_task(), DatagramReliabilityLayer(pair.server) as server:

        async def use() -> None:
            async with DatagramReliabilityLayer(pair.client) as client:
                await client.send(data=b"x")
                await client.flush()
                await client.receive()

        await cancelled_after(turns, use)
        assert await cancelled_after(turns, server.receive) in (True, False)
        for event_type in (EventType.DATAGRAM_RECEIVED, EventType.SESSION_CLOSED):
            assert pair.client.events.listener_count(event_type=event_type) == 0


async def test_a_cancelled_sender_has_sent_nothing(pair: SessionPair) -> None:
    async with DatagramReliabilityLayer(pair.client, ack_timeout=10) as client:
        for number in range(1024):
            await client.send(data=b"%d" % number)
        assert await cancelled_after(3, lambda: client.send(data=b"no"))
        for sequence in range(3):
            await pair.server.send_datagram(data=b"\x03ACK%d" % sequence)
        await until(lambda: client.unconfirmed == 1021)
        await client.send(data=b"yes")
        seen = {await pair.server.read_datagram() for _ in range(1025)}
        assert data_frame(1024, b"yes") in seen


async def test_mistakes_raise_at_once(pair: SessionPair) -> None:
    with pytest.raises(ValueError, match="ack_timeout"):
        DatagramReliabilityLayer(pair.client, ack_timeout=0)
    with pytest.raises(ValueError, match="max_retries"):
        DatagramReliabilityLayer(pair.client, max_retries=-1)
    layer = DatagramReliabilityLayer(pair.client)
    for operation in (lambda: layer.send(data=b""), layer.receive, layer.flush):
        with pytest.raises(DatagramError, match="async with"):
            await operation()
    async with layer:
        with pytest.raises(DatagramError, match="exceeds maximum"):
            await layer.send(data=b"x" * 70_000)
        with pytest.raises(TypeError):
            await layer.send(data=5)
        assert layer.unconfirmed == 0
    with pytest.raises(DatagramError, match="closed"):
        await layer.__aenter__()
