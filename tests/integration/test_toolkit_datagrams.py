"""Structured datagrams and broadcasting over connections on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import pytest
from handle_pair import SessionPair, connection_pair, session_pair
from toolkit import cancelled_after, leaves_no_task, until

from wtransport import StructuredDatagramTransport
from wtransport.datagram import DatagramBroadcaster
from wtransport.exceptions import (
    ConfigurationError,
    DatagramError,
    SerializationError,
    SessionError,
)
from wtransport.exceptions import TimeoutError as WebTransportTimeoutError
from wtransport.serializer import JSONSerializer
from wtransport.types import EventType


@dataclass
class Position:
    x: float
    y: float


@dataclass
class Shout:
    text: str


REGISTRY: dict[int, type[Any]] = {1: Position, 0x0203: Shout}


@pytest.fixture
async def pair(certificate):
    async with session_pair(certificate) as pair:
        yield pair


async def transport_of(session: Any, **options: Any) -> StructuredDatagramTransport:
    transport = StructuredDatagramTransport(session=session, serializer=JSONSerializer(), registry=REGISTRY)
    await transport.initialize(**options)
    return transport


async def test_objects_arrive(pair: SessionPair) -> None:
    client, server = await transport_of(pair.client), await transport_of(pair.server)
    await client.send_obj(obj=Position(1.5, 2))
    assert await server.receive_obj() == Position(1.5, 2.0)
    await server.send_obj(obj=Shout("hey"))
    assert await client.receive_obj(timeout=30) == Shout("hey")
    for each in (client, server):
        await each.close()
        await each.close()
        assert each.is_closed


async def test_the_wire_format(pair: SessionPair) -> None:
    client = await transport_of(pair.client)
    await client.send_obj(obj=Shout("a"))
    assert await pair.server.read_datagram() == b'\x02\x03{"text": "a"}'


async def test_what_cannot_be_read_is_passed_over(pair: SessionPair) -> None:
    server = await transport_of(pair.server)
    for data in (b"x", b"\x00\x09{}", b"\x00\x01{]", b"\x00\x01{}"):
        await pair.client.send_datagram(data=data)
    await (await transport_of(pair.client)).send_obj(obj=Shout("a"))
    assert await server.receive_obj(timeout=30) == Shout("a")


async def test_other_receivers_get_the_datagrams_as_well(pair: SessionPair) -> None:
    heard = []
    pair.server.events.on(event_type=EventType.DATAGRAM_RECEIVED, handler=lambda event: heard.append(event.data))
    server, second = await transport_of(pair.server), await transport_of(pair.server)
    await (await transport_of(pair.client)).send_obj(obj=Shout("a"))
    assert await server.receive_obj() == await second.receive_obj() == Shout("a")
    assert len(heard) == 1


async def test_a_full_queue_drops_the_newest(pair: SessionPair) -> None:
    server, client = await transport_of(pair.server, queue_size=3), await transport_of(pair.client)
    heard: list[Any] = []
    pair.server.events.on(event_type=EventType.DATAGRAM_RECEIVED, handler=heard.append)
    for number in range(5):
        await client.send_obj(obj=Position(number, 0))
    await until(lambda: len(heard) == 5)
    assert [(await server.receive_obj()).x for _ in range(3)] == [0, 1, 2]
    assert server.dropped == 2
    with pytest.raises(WebTransportTimeoutError):
        await server.receive_obj(timeout=0.01)


async def test_a_burst_reaches_a_receiver_that_waits(pair: SessionPair) -> None:
    server, client = await transport_of(pair.server, queue_size=1), await transport_of(pair.client)
    heard: list[Any] = []
    pair.server.events.on(event_type=EventType.DATAGRAM_RECEIVED, handler=heard.append)
    received = []

    async def receive() -> None:
        while True:
            received.append(await server.receive_obj())

    receiving = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    for number in range(40):
        await client.send_obj(obj=Position(number, 0))
    await until(lambda: len(heard) == 40)
    await until(lambda: len(received) == 40)
    receiving.cancel()
    assert server.dropped == 0


async def test_receivers_share(pair: SessionPair) -> None:
    server, client = await transport_of(pair.server), await transport_of(pair.client)
    receiving = [asyncio.ensure_future(server.receive_obj(timeout=30)) for _ in range(3)]
    await asyncio.sleep(0)
    receiving[0].cancel()
    for number in range(2):
        await client.send_obj(obj=Position(number, 0))
    assert {(await each).x for each in receiving[1:]} == {0, 1}


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancelled_receiver_takes_nothing_with_it(pair: SessionPair, turns: int) -> None:
    server, client = await transport_of(pair.server), await transport_of(pair.client)
    async with leaves_no_task():
        assert await cancelled_after(turns, server.receive_obj)
        assert await cancelled_after(turns, lambda: server.receive_obj(timeout=30))
        await client.send_obj(obj=Shout("a"))
        assert await server.receive_obj(timeout=30) == Shout("a")


async def test_what_ends_it_wakes_its_receivers(pair: SessionPair) -> None:
    server, client = await transport_of(pair.server), await transport_of(pair.client)
    receiving = [asyncio.ensure_future(each.receive_obj()) for each in (server, client)]
    await asyncio.sleep(0)
    await client.close()
    await pair.client.close()
    for each in receiving:
        with pytest.raises(SessionError, match="closed"):
            await each
    for each in (server, client):
        with pytest.raises(SessionError):
            await each.send_obj(obj=Shout("a"))


async def test_what_came_before_the_end_is_still_received(pair: SessionPair) -> None:
    server, client = await transport_of(pair.server), await transport_of(pair.client)
    heard: list[Any] = []
    pair.server.events.on(event_type=EventType.DATAGRAM_RECEIVED, handler=heard.append)
    await client.send_obj(obj=Shout("a"))
    await until(lambda: len(heard) == 1)
    await pair.client.close()
    await until(lambda: pair.server.is_closed)
    assert await server.receive_obj() == Shout("a")
    with pytest.raises(SessionError):
        await server.receive_obj()


async def test_mistakes_raise_at_once(pair: SessionPair) -> None:
    for registry in ({1: Shout, 2: Shout}, {70000: Shout}):
        with pytest.raises(ConfigurationError, match="registry"):
            StructuredDatagramTransport(session=pair.client, serializer=JSONSerializer(), registry=registry)
    transport = StructuredDatagramTransport(session=pair.client, serializer=JSONSerializer(), registry=REGISTRY)
    with pytest.raises(SessionError, match="initialize"):
        await transport.send_obj(obj=Shout("a"))
    with pytest.raises(SessionError, match="initialize"):
        await transport.receive_obj()
    with pytest.raises(ValueError, match="queue_size"):
        await transport.initialize(queue_size=0)
    await transport.initialize()
    await transport.initialize()
    with pytest.raises(SerializationError, match="not registered"):
        await transport.send_obj(obj=object())
    with pytest.raises(DatagramError, match="exceeds maximum"):
        await transport.send_obj(obj=Shout("x" * 70_000))
    await transport.close()
    with pytest.raises(SessionError, match="closed"):
        await transport.initialize()


async def test_a_broadcast_reaches_every_session(certificate: Any) -> None:
    async with connection_pair(certificate) as connections, DatagramBroadcaster() as broadcaster:
        pairs = [await connections.open_session() for _ in range(5)]
        for each in pairs:
            await broadcaster.add_session(session=each.server)
            await broadcaster.add_session(session=each.server)
        assert await broadcaster.get_session_count() == 5
        assert await broadcaster.broadcast(data="hello") == 5
        for each in pairs:
            assert await each.client.read_datagram() == b"hello"
        await broadcaster.remove_session(session=pairs[0].server)
        await broadcaster.remove_session(session=pairs[0].server)
        await pairs[1].client.close()
        await until(lambda: pairs[1].server.is_closed)
        assert await broadcaster.get_session_count() == 3
        assert await broadcaster.broadcast(data=b"again") == 3
        await broadcaster.add_session(session=pairs[1].server)
        assert await broadcaster.get_session_count() == 3
        for each in pairs[2:]:
            assert await each.client.read_datagram() == b"again"
        await broadcaster.shutdown()
        assert await broadcaster.broadcast(data=b"nobody") == 0
        assert not pairs[2].server.is_closed


async def test_a_session_that_takes_nothing_delays_no_broadcast(certificate: Any) -> None:
    async with connection_pair(certificate) as connections, DatagramBroadcaster() as broadcaster, leaves_no_task():
        pair = await connections.open_session()
        await broadcaster.add_session(session=pair.server)
        # No packet goes out before the loop turns, so the outgoing queue fills.
        sent = [await broadcaster.broadcast(data=b"x" * 1000) for _ in range(10_000)]
        assert 0 < sum(sent) < 10_000
        assert sent[-1] == 0
        await pair.client.read_datagram()
        await asyncio.sleep(0.05)
        assert await broadcaster.broadcast(data=b"y") == 1


async def test_a_datagram_that_is_too_large_removes_nobody(certificate: Any) -> None:
    async with session_pair(certificate) as pair, DatagramBroadcaster() as broadcaster:
        await broadcaster.add_session(session=pair.server)
        assert await broadcaster.broadcast(data=b"x" * 70_000) == 0
        assert await broadcaster.broadcast(data=b"x") == 1
        with pytest.raises(TypeError):
            await broadcaster.broadcast(data=5)


async def test_a_broadcaster_is_used_in_async_with(certificate: Any) -> None:
    broadcaster = DatagramBroadcaster()
    async with session_pair(certificate) as pair:
        for operation in (
            lambda: broadcaster.add_session(session=pair.client),
            lambda: broadcaster.remove_session(session=pair.client),
            lambda: broadcaster.broadcast(data=b""),
            broadcaster.get_session_count,
        ):
            with pytest.raises(SessionError, match="async with"):
                await operation()
        with contextlib.suppress(SessionError):
            await broadcaster.shutdown()
