"""A busy connection: its packets are read before their events are dealt with, as long as what waits is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_port import FakeTransport, VirtualLoop
from network import CLIENT_ADDRESS
from port_pair import PortPair, limits, packets_with

from wtransport._adapter.inbound import MAX_WAITING_TIME, SLICE_TIME, TURN_TIME, Inbound
from wtransport._adapter.outlet import Outlet
from wtransport._adapter.udp_transport import READ_BATCH
from wtransport._quic.aioquic_connection import MAX_EVENT_DATAGRAMS, MAX_WAITING_EVENTS
from wtransport._quic.port import DatagramsArrived, StreamBytes
from wtransport._speedups import encode_varint

STREAMS = 1 << 16
PACKET = 1100
"""Bytes of frames in a packet of a flood."""

PACKET_COST = 0.000_02
"""Seconds."""

STRANGER = b"of a stranger"
"""A packet that is no connection's."""


class Busy:
    """A server's port, each of whose events takes its program some time, and the queue in front of it."""

    def __init__(self, certificate: Any, cost: float) -> None:
        plenty = limits(max_streams_bidi=STREAMS, max_streams_uni=STREAMS, connection_window=1 << 20)
        self.pair = PortPair(tuple(certificate), client_limits=plenty, server_limits=plenty).connect()
        self.client, self.server = self.pair.client.port, self.pair.server.port
        self.now = self.pair.now
        self.cost = cost
        self.events: list[Any] = []
        self.most_events = self.most_datagrams = self.dropped = self.strangers = 0
        self.loop = VirtualLoop()
        self.inbound = Inbound(
            self,  # type: ignore[arg-type]
            outlet=Outlet(FakeTransport(("192.0.2.1", 4433))),
            loop=self.loop,  # type: ignore[arg-type]
            clock=lambda: self.now,
        )

    # What the queue asks of a listener.

    def find_all(self, datagrams: Any) -> list[Any]:
        return [None if data == STRANGER else self for data, _ in datagrams]

    def route(self, data: bytes, addr: Any, outlet: Any) -> None:
        assert data == STRANGER
        self.strangers += 1

    def datagram_dropped(self) -> None:
        self.dropped += 1

    # What it asks of a connection.

    @property
    def has_room(self) -> bool:
        return self.server.has_room()

    def uses(self, outlet: Any) -> bool:
        return True

    def take(self, datagrams: Any, now: float, until: float) -> bool:
        self.receive_all(datagrams, now)
        return self.end_batch(until)

    def receive_all(self, datagrams: Any, now: float) -> None:
        self.server.receive_datagrams(datagrams, now)
        self.now += PACKET_COST * len(datagrams)
        waiting = [len(event.datagrams) for event in self.server._queue if isinstance(event, DatagramsArrived)]
        self.most_datagrams = max(self.most_datagrams, sum(waiting))
        self.most_events = max(self.most_events, len(self.server._queue))

    def end_batch(self, until: float) -> bool:
        while (event := self.server.next_event()) is not None:
            self.events.append(event)
            self.now += self.cost
            if self.now >= until:
                return self.server.has_events()
        return False

    # What a test does.

    def offer(self, packets: list[bytes]) -> None:
        self.inbound.put_all([(data, CLIENT_ADDRESS) for data in packets], self.now)
        self.inbound.run_soon()

    def turn(self) -> None:
        """Let the loop work and flush once, and the client hear of it at once."""
        self.loop.turn()
        for data, _ in self.server.datagrams_to_send(self.now):
            self.client.receive_datagram(data, self.pair.server.address, self.now)

    def turn_until(self, condition: Callable[[], bool]) -> None:
        for _ in range(2000):
            if condition():
                return
            self.turn()
        raise AssertionError("no end in sight")

    def begin_streams(self, number: int) -> list[bytes]:
        """Return what the client sends when it begins streams."""
        for _ in range(number):
            stream_id = self.client.open_stream(unidirectional=True)
            assert stream_id is not None
            self.client.send_stream(stream_id, b"x", True)
        return [data for data, _ in self.client.datagrams_to_send(self.now)]


@pytest.fixture
def make_busy(certificate: Any) -> Iterator[Any]:
    made: list[Busy] = []

    def make(cost: float) -> Busy:
        made.append(Busy(certificate, cost))
        return made[-1]

    yield make
    for busy in made:
        busy.loop.close()


def test_acknowledgements_of_a_busy_connection_leave_in_time(make_busy: Any) -> None:
    busy = make_busy(0.000_2)
    busy.offer(busy.begin_streams(200))  # two events each: 80 ms of work
    busy.turn()
    began = busy.now
    busy.offer(busy.begin_streams(1))
    busy.turn_until(lambda: not busy.client._connection._loss.bytes_in_flight)
    assert busy.now - began < 0.005
    assert len(busy.events) < 40
    busy.turn_until(lambda: not busy.inbound.is_scheduled)
    of_streams = [event.stream_id for event in busy.events if isinstance(event, StreamBytes)]
    assert of_streams == [4 * number + 2 for number in range(201)]


def test_a_busy_connection_has_no_longer_turns_for_its_packets(make_busy: Any) -> None:
    busy = make_busy(0.000_2)
    busy.offer([*busy.begin_streams(200), STRANGER])
    busy.turn()
    for number in range(1, 301):
        assert busy.strangers == number, "who waits beside it is served in every turn"
        busy.offer([*busy.begin_streams(1), STRANGER])
        began = busy.now
        busy.turn()
        assert busy.now - began < TURN_TIME + SLICE_TIME + busy.cost
    assert len(busy.events) == 1000


def flood_of(kind: str) -> bytes:
    """Return a packet's worth of frames, `%b` where each has its stream."""
    return {
        "empty datagrams": b"\x31\x00" * (PACKET // 2),
        "datagrams": (b"\x31\x41\x00" + bytes(256)) * (PACKET // 259),
        "large datagrams": b"\x31" + encode_varint(PACKET) + bytes(PACKET),
    }[kind]


def frames_of_streams(kind: str, first: int) -> tuple[bytes, int]:
    """Return frames of streams that begin with them, and the number of the next stream."""
    frames = b""
    number = first
    while len(frames) < PACKET:
        stream_id = encode_varint(4 * number)
        frames += {
            "streams": b"\x0b" + stream_id + b"\x01x",
            "empty streams": b"\x0b" + stream_id + b"\x00",
            "resets": b"\x04" + stream_id + b"\x00\x00",
        }[kind]
        number += 1
    return frames, number


def drown(busy: Busy, packet: Any, number: int) -> None:
    """Offer more than can be dealt with, so many packets in a turn."""
    for _ in range(100):
        busy.offer([packet() for _ in range(number)])
        busy.turn()


@pytest.mark.parametrize("kind", ["empty datagrams", "datagrams", "large datagrams"])
def test_datagrams_wait_by_the_batch_and_no_more(make_busy: Any, kind: str) -> None:
    """Nothing else bounds them: while one waits, no packet is read."""
    busy = make_busy(0.01)
    frames = flood_of(kind)
    in_a_packet = frames.count(b"\x31")
    drown(busy, lambda: packets_with(busy.client, frames)[0], 2 * READ_BATCH)
    assert MAX_EVENT_DATAGRAMS // 4 < busy.most_datagrams <= READ_BATCH * in_a_packet
    assert busy.dropped


@pytest.mark.parametrize("kind", ["streams", "empty streams", "resets"])
def test_events_of_streams_wait_in_bounded_number(make_busy: Any, kind: str) -> None:
    busy = make_busy(0.001)
    number = 0

    def packet() -> bytes:
        nonlocal number
        frames, number = frames_of_streams(kind, number)
        return packets_with(busy.client, frames)[0]

    drown(busy, packet, 2)
    of_a_batch = READ_BATCH * (PACKET // 4)
    assert MAX_WAITING_EVENTS <= busy.most_events < MAX_WAITING_EVENTS + of_a_batch
    busy.cost = 0.0
    busy.turn_until(lambda: not busy.inbound.is_scheduled)
    assert not busy.server.has_events()


def test_what_a_full_connection_cannot_take_is_dropped_like_all_that_waits_too_long(make_busy: Any) -> None:
    busy = make_busy(0.002)
    busy.offer(busy.begin_streams(MAX_WAITING_EVENTS + 200))
    busy.turn()
    assert not busy.has_room
    busy.offer(packets_with(busy.client, b"\x01"))
    busy.turn_until(lambda: busy.has_room)
    assert busy.now > MAX_WAITING_TIME
    busy.turn()
    assert busy.dropped == 1
