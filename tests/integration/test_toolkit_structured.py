"""Structured streams over a connection on loopback."""

from __future__ import annotations

import asyncio
import enum
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from toolkit import StreamPair, cancelled_after, leaves_no_task, stream_pair

from wtransport import StructuredStream
from wtransport.constants import ErrorCodes
from wtransport.exceptions import ConfigurationError, SerializationError, StreamError
from wtransport.exceptions import TimeoutError as WebTransportTimeoutError
from wtransport.serializer import JSONSerializer, MsgPackSerializer


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: int
    colour: Colour = Colour.RED


@dataclass
class Line:
    points: list[Point]
    made_at: datetime
    blob: bytes = b""
    names: dict[str, Point] = field(default_factory=dict)


REGISTRY: dict[int, type[Any]] = {1: Point, 65535: Line}


@pytest.fixture
async def pair(certificate):
    async with stream_pair(certificate) as pair:
        yield pair


def structured(stream: Any, *, serializer: Any = None, limit: int = 100_000) -> StructuredStream:
    return StructuredStream(
        stream=stream, serializer=serializer or JSONSerializer(), registry=REGISTRY, max_message_size=limit
    )


@pytest.mark.parametrize("serializer", [JSONSerializer(), MsgPackSerializer()], ids=["json", "msgpack"])
async def test_objects_arrive_as_what_they_were(pair: StreamPair, serializer: Any) -> None:
    objects = [
        Point(1, -2, Colour.BLUE),
        Line([Point(1, 2), Point(3, 4)], datetime(2026, 1, 2, tzinfo=UTC), b"\x00\xff", {"a": Point(5, 6)}),
        Line([], datetime(2026, 1, 2, 3, 4, 5, 6)),
    ]
    sender, receiver = structured(pair.client, serializer=serializer), structured(pair.server, serializer=serializer)
    for obj in objects:
        await sender.send_obj(obj=obj)
    assert [await receiver.receive_obj() for _ in objects] == objects
    await receiver.send_obj(obj=objects[0])
    assert await sender.receive_obj() == objects[0]
    assert sender.stream_id == pair.client.stream_id


async def test_the_wire_format(pair: StreamPair) -> None:
    await structured(pair.client, serializer=JSONSerializer(separators=(",", ":"))).send_obj(obj=Point(1, 2))
    payload = b'{"x":1,"y":2,"colour":"red"}'
    expected = struct.pack("!HI", 1, len(payload)) + payload
    assert await pair.server.readexactly(n=len(expected)) == expected


async def test_iteration_ends_with_the_stream(pair: StreamPair) -> None:
    sender = structured(pair.client)
    for number in range(3):
        await sender.send_obj(obj=Point(number, number))
    await sender.close()
    receiver = structured(pair.server)
    assert [each.x async for each in receiver] == [0, 1, 2]
    with pytest.raises(StreamError, match="has ended"):
        await receiver.receive_obj()
    await receiver.close()
    assert receiver.is_closed


@pytest.mark.parametrize("cut", [3, 6, 8], ids=["in the header", "after the header", "in the payload"])
async def test_an_end_inside_a_message_is_an_error(pair: StreamPair, cut: int) -> None:
    await pair.client.write(data=(struct.pack("!HI", 1, 10) + b"{}")[:cut], end_stream=True)
    receiver = structured(pair.server)
    for _ in range(2):
        with pytest.raises(StreamError, match="inside a message"):
            await anext(receiver)


async def test_a_reset_is_an_error_with_the_peers_code(pair: StreamPair) -> None:
    receiver = structured(pair.server)
    receiving = asyncio.ensure_future(anext(receiver))
    await asyncio.sleep(0)
    await pair.client.close(error_code=77)
    with pytest.raises(StreamError) as raised:
        await receiving
    assert raised.value.application_code == 77


async def test_an_unknown_type_is_refused_and_the_next_message_is_read(pair: StreamPair) -> None:
    await pair.client.write(data=struct.pack("!HI", 9, 3) + b"abc")
    await structured(pair.client).send_obj(obj=Point(1, 2))
    receiver = structured(pair.server)
    with pytest.raises(SerializationError, match="unknown message type id 9"):
        await receiver.receive_obj()
    assert await receiver.receive_obj() == Point(1, 2)


async def test_what_cannot_be_deserialized_is_refused_and_the_next_message_is_read(pair: StreamPair) -> None:
    await pair.client.write(data=struct.pack("!HI", 1, 3) + b"{]}" + struct.pack("!HI", 1, 7) + b'{"x":1}')
    await structured(pair.client).send_obj(obj=Point(1, 2))
    receiver = structured(pair.server)
    for _ in range(2):
        with pytest.raises(SerializationError):
            await receiver.receive_obj()
    assert await receiver.receive_obj() == Point(1, 2)


async def test_too_large_a_message_resets_the_stream(pair: StreamPair) -> None:
    await pair.client.write(data=struct.pack("!HI", 1, 101))
    with pytest.raises(SerializationError, match="101 bytes"):
        await structured(pair.server, limit=100).receive_obj()
    with pytest.raises(StreamError) as raised:
        await pair.client.read()
    assert raised.value.application_code == ErrorCodes.APPLICATION_ERROR


async def test_too_large_an_object_is_not_sent(pair: StreamPair) -> None:
    sender = structured(pair.client, limit=50)
    with pytest.raises(SerializationError, match="larger than max_message_size"):
        await sender.send_obj(obj=Line([], datetime.now(UTC), b"x" * 100))
    await sender.send_obj(obj=Point(1, 2))
    assert await structured(pair.server, limit=50).receive_obj() == Point(1, 2)


async def test_what_is_not_registered_is_not_sent(pair: StreamPair) -> None:
    class Special(Point):
        pass

    for obj in (object(), Special(1, 2)):
        with pytest.raises(SerializationError, match="not registered"):
            await structured(pair.client).send_obj(obj=obj)


async def test_mistakes_raise_at_once(pair: StreamPair) -> None:
    def made(registry: dict[Any, Any], limit: int = 10) -> StructuredStream:
        return StructuredStream(
            stream=pair.client, serializer=JSONSerializer(), registry=registry, max_message_size=limit
        )

    for registry in ({1: Point, 2: Point}, {-1: Point}, {65536: Point}, {"1": Point}):
        with pytest.raises(ConfigurationError, match="registry"):
            made(registry)
    with pytest.raises(ValueError, match="max_message_size"):
        made({}, limit=0)


async def test_a_cancelled_receiver_loses_nothing(pair: StreamPair) -> None:
    receiver = structured(pair.server)
    payload = JSONSerializer().serialize(obj=Point(7, 8))
    message = struct.pack("!HI", 1, len(payload)) + payload
    for start in range(len(message)):
        assert await cancelled_after(3, receiver.receive_obj)
        await pair.client.write(data=message[start : start + 1])
        await asyncio.sleep(0.002)
    assert await receiver.receive_obj() == Point(7, 8)


async def test_a_receiver_that_times_out_goes_on(certificate: Any) -> None:
    async with stream_pair(certificate, server={"read_timeout": 0.05}) as pair:
        receiver = structured(pair.server)
        await pair.client.write(data=struct.pack("!HI", 1, 13))
        with pytest.raises(WebTransportTimeoutError):
            await receiver.receive_obj()
        await pair.client.write(data=b'{"x":1,"y":2}')
        assert await receiver.receive_obj() == Point(1, 2)


async def test_large_messages_pass_both_ways_at_once(pair: StreamPair) -> None:
    line = Line([Point(n, n) for n in range(20_000)], datetime.now(UTC))
    ends = [structured(stream, limit=10_000_000) for stream in (pair.client, pair.server)]
    sending = [asyncio.ensure_future(end.send_obj(obj=line)) for end in ends]
    assert [await end.receive_obj() for end in ends] == [line, line]
    await asyncio.gather(*sending)


async def test_a_cancelled_message_larger_than_the_buffer_resets_the_stream(certificate: Any) -> None:
    settings = {"max_stream_write_buffer": 10_000, "flow_control_window_size": 65536}
    async with stream_pair(certificate, client=settings, server=settings) as pair, leaves_no_task():
        line = Line([], datetime.now(UTC), b"x" * 1_000_000)
        sender = structured(pair.client, limit=10_000_000)
        assert await cancelled_after(50, lambda: sender.send_obj(obj=line))
        assert sender.is_closed
        with pytest.raises(StreamError):
            await structured(pair.server, limit=10_000_000).receive_obj()


async def test_a_cancelled_message_that_fits_the_buffer_is_not_sent(certificate: Any) -> None:
    settings = {"max_stream_write_buffer": 40_000, "flow_control_window_size": 65536}
    async with stream_pair(certificate, client=settings, server=settings) as pair, leaves_no_task():
        sender, receiver = structured(pair.client), structured(pair.server)
        line = Line([], datetime(2026, 1, 1, tzinfo=UTC), b"x" * 20_000)
        sent = 0
        while not await cancelled_after(5, lambda: sender.send_obj(obj=line)):
            sent += 1
        assert sent >= 1
        for _ in range(sent):
            assert await receiver.receive_obj() == line
        await sender.send_obj(obj=Point(1, 2))
        assert await receiver.receive_obj() == Point(1, 2)
