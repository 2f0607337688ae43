"""Whose datagrams are worked on when: in turns, bounded by time and in number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fake_port import FakeTransport, VirtualLoop

from wtransport._adapter.inbound import (
    MAX_WAITING_BYTES,
    MAX_WAITING_DATAGRAMS,
    MAX_WAITING_STRANGERS,
    MAX_WAITING_TIME,
    MIN_WAITING_DATAGRAMS,
    PIECE,
    TURN_TIME,
    Inbound,
)
from wtransport._adapter.outlet import Outlet
from wtransport._adapter.udp_transport import READ_BATCH

ADDRESS = ("192.0.2.50", 5000)


class Connection:
    """Takes datagrams, each of which costs it some time."""

    def __init__(self, desk: Desk, name: str, cost: float) -> None:
        self.desk = desk
        self.name = name
        self.cost = cost
        self.got: list[bytes] = []
        self.batches = 0
        self.home = True
        self.events_per_datagram = 0
        self.events = 0
        self.has_backlog = False
        self.cost_of_events = 0.000_2
        self.pieces: list[int] = []
        self.cost_from: tuple[int, float] | None = None  # from which datagram on they cost how much

    def uses(self, outlet: Any) -> bool:
        return self.home

    def receive_all(self, datagrams: Any, now: float) -> None:
        self.pieces.append(len(datagrams))
        for data, addr in datagrams:
            self.receive(data, addr, now)

    def take(self, datagrams: Any, now: float, until: float) -> bool:
        self.receive_all(datagrams, now)
        return self.end_batch(until)

    def receive(self, data: bytes, addr: Any, now: float) -> None:
        assert not self.has_backlog, "deal with what you have first"
        self.got.append(data)
        self.events += self.events_per_datagram
        dear = self.cost_from is not None and len(self.got) > self.cost_from[0]
        self.desk.now += self.cost_from[1] if dear else self.cost
        self.desk.log.append(self.name)

    def receive_elsewhere(self, data: bytes, addr: Any, now: float, outlet: Any) -> None:
        self.desk.log.append(f"{self.name} elsewhere")

    def end_batch(self, until: float) -> bool:
        self.batches += 1
        while self.events:
            self.events -= 1
            self.desk.now += self.cost_of_events
            self.desk.log.append(f"{self.name} event")
            if self.desk.now >= until:
                break
        self.has_backlog = bool(self.events)
        return self.has_backlog


class Desk:
    """A listener, a clock that goes on as packets are worked on, and the queues between them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []
        self.dropped = 0
        self.connections: dict[bytes, Connection] = {}
        self.routed: list[bytes] = []
        self.newcomer: Connection | None = None  # whom strangers become
        self.cost_of_strangers = 0.003
        self.loop = VirtualLoop()
        self.inbound = Inbound(
            self,  # type: ignore[arg-type]
            outlet=Outlet(FakeTransport(("192.0.2.1", 4433))),
            loop=self.loop,  # type: ignore[arg-type]
            clock=lambda: self.now,
        )

    def connection(self, name: str, cost: float = 0.000_05) -> Connection:
        made = self.connections[name.encode()] = Connection(self, name, cost)
        return made

    def put(self, name: str, number: int = 1, size: int = 20) -> None:
        for index in range(number):
            data = name.encode().ljust(8) + b"%06d" % index + bytes(size - 14)
            self.inbound.put_all([(data, ADDRESS)], self.now)

    def put_all(self, *names_and_numbers: Any) -> None:
        """As one batch: a name, how many of it, another name, and so on."""
        pairs = zip(names_and_numbers[::2], names_and_numbers[1::2], strict=True)
        batch = [
            (name.encode().ljust(8) + b"%06d" % index, ADDRESS) for name, number in pairs for index in range(number)
        ]
        self.inbound.put_all(batch, self.now)

    def take(self, *names: str) -> None:
        self.inbound.take([(name.encode().ljust(8) + bytes(12), ADDRESS) for name in names], self.now)

    def find(self, data: bytes) -> Any:
        return self.connections.get(data[:8].rstrip())

    def find_all(self, datagrams: Any) -> list[Any]:
        return [self.find(data) for data, _ in datagrams]

    def route(self, data: bytes, addr: Any, outlet: Any) -> Any:
        self.routed.append(data)
        self.now += self.cost_of_strangers
        self.log.append("stranger")
        return self.newcomer

    def datagram_dropped(self) -> None:
        self.dropped += 1

    def socket_lost(self, outlet: Any, error: Any) -> None:
        raise AssertionError


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.loop.close()


def test_what_came_first_is_served_first_and_all_in_one_batch(desk: Desk) -> None:
    one = desk.connection("one")
    desk.put("one", 10)
    desk.inbound.run()
    assert [data[8:14] for data in one.got] == [b"%06d" % index for index in range(10)]
    assert one.batches == 1
    assert not desk.inbound.is_scheduled
    assert len(desk.inbound) == 0


def test_what_comes_while_nobody_waits_is_worked_on_at_once(desk: Desk) -> None:
    one = desk.connection("one")
    desk.take("one")
    assert (len(one.got), one.batches) == (1, 1)
    desk.take(*["one"] * PIECE)
    assert (len(one.got), one.batches) == (1 + PIECE, 2)
    desk.take(*["one"] * (PIECE + 1))
    assert (len(one.got), one.batches) == (2 + 2 * PIECE, 3)
    assert not desk.inbound.is_scheduled
    assert len(desk.inbound) == 0


def test_what_comes_for_several_at_once_is_worked_on_in_turns(desk: Desk) -> None:
    one, two = desk.connection("one"), desk.connection("two")
    desk.take("one", "two", "one")
    assert desk.log == ["one", "one", "two"]
    assert (one.batches, two.batches) == (1, 1)
    desk.take("one", "who?")
    assert desk.routed
    assert len(one.got) == 3


def test_a_stranger_who_comes_alone_while_nobody_waits_is_met_at_once(desk: Desk) -> None:
    desk.take("who?")
    assert len(desk.routed) == 1
    assert not desk.inbound.is_scheduled
    newcomer = Connection(desk, "new", 0.000_05)
    newcomer.events_per_datagram = 20
    desk.newcomer = newcomer
    desk.cost_of_strangers = 0.0
    desk.take("new")
    assert len(newcomer.got) == 1
    assert 0 < newcomer.events < 20  # what it asks for is more than a turn's work
    assert desk.inbound.is_scheduled
    desk.newcomer = None
    desk.log.clear()
    desk.take("who?")
    assert desk.log[0] == "new event"  # somebody waits now, and comes first
    while desk.inbound.turns:
        desk.inbound.run()
    assert not newcomer.events
    assert len(desk.routed) == 3
    assert len(desk.inbound) == 0


def test_whoever_comes_while_others_wait_stands_behind_them(desk: Desk) -> None:
    desk.connection("first")
    desk.connection("second")
    desk.put("first")
    desk.take("second")
    assert desk.log == ["first", "second"]


def test_a_large_batch_of_dear_packets_ends_with_the_turn(desk: Desk) -> None:
    flood, quiet = desk.connection("flood", cost=0.000_2), desk.connection("quiet")
    desk.take(*["flood"] * 40)
    assert len(flood.got) == PIECE
    assert flood.batches == 1
    assert desk.inbound.is_scheduled
    assert len(desk.inbound) == 40 - PIECE
    desk.put("quiet")
    while desk.inbound.is_scheduled:
        desk.loop.turn()
    assert (len(flood.got), len(quiet.got)) == (40, 1)


@pytest.mark.parametrize("number", [1, PIECE + 1])
def test_what_is_left_to_deal_with_of_a_batch_waits_for_its_turn(desk: Desk, number: int) -> None:
    flood = desk.connection("flood")
    flood.events_per_datagram = 30
    desk.take(*["flood"] * number)
    assert 0 < desk.log.count("flood event") < 30 * number
    assert desk.inbound.is_scheduled
    while desk.inbound.is_scheduled:
        desk.loop.turn()
    assert desk.log.count("flood event") == 30 * number


def test_a_connection_of_another_socket_is_told_so_although_nobody_waits(desk: Desk) -> None:
    desk.connection("moved").home = False
    desk.take("moved")
    assert desk.log == ["moved elsewhere"]


def test_a_connection_waits_for_one_slice_of_each_other_one(desk: Desk) -> None:
    desk.connection("flood")
    quiet = desk.connection("quiet")
    desk.put("flood", 500)
    desk.put("quiet")
    desk.inbound.run()
    assert quiet.got
    assert desk.log.index("quiet") <= 12  # half a millisecond of packets that cost 50 µs


def test_dear_packets_are_served_one_at_a_time(desk: Desk) -> None:
    desk.connection("flood", cost=0.002)
    desk.connection("quiet")
    desk.put("flood", 50)
    desk.inbound.run()
    assert desk.log == ["flood"]
    assert desk.inbound.is_scheduled
    desk.put("quiet")
    for _ in range(2):
        desk.inbound.run()
    assert desk.log[:3] == ["flood", "flood", "quiet"]


def test_cheap_packets_are_served_in_pieces_that_grow(desk: Desk) -> None:
    cheap = desk.connection("cheap", cost=0.000_001)
    desk.put_all("cheap", READ_BATCH)
    desk.inbound.run()
    assert cheap.pieces[:4] == [1, 2, 4, PIECE]
    assert sum(cheap.pieces) == READ_BATCH
    assert cheap.batches == 1


def test_a_dear_packet_after_cheap_ones_ends_the_slice(desk: Desk) -> None:
    turncoat = desk.connection("turncoat", cost=0.000_01)
    desk.connection("quiet")
    desk.put_all("turncoat", READ_BATCH)
    desk.put("quiet")
    turncoat.cost_from = 7, 0.000_2
    desk.inbound.run()
    assert len(turncoat.got) <= 7 + PIECE
    desk.inbound.run()
    assert desk.log.index("quiet") <= 7 + PIECE


def test_a_batch_of_several_connections_waits_in_order_and_within_the_limits(desk: Desk) -> None:
    one, two = desk.connection("one"), desk.connection("two")
    desk.inbound.put_all([], desk.now)
    desk.put_all("one", MAX_WAITING_DATAGRAMS - 1, "two", 2, "one", 5, "who?", 3, "two", 1)
    assert desk.dropped == 4
    assert len(desk.inbound) == MAX_WAITING_DATAGRAMS + 3 + 3
    while len(desk.inbound):
        desk.inbound.run()
    assert [data[8:] for data in one.got] == [b"%06d" % index for index in (*range(MAX_WAITING_DATAGRAMS - 1), 0)]
    assert [data[8:] for data in two.got] == [b"000000", b"000001", b"000000"]
    assert len(desk.routed) == 3


def test_a_turn_is_over_after_its_time_and_the_next_one_goes_on_there(desk: Desk) -> None:
    names = [f"c{number}" for number in range(30)]
    for name in names:
        desk.connection(name, cost=0.000_6)
        desk.put(name, 3)
    turns = 0
    while len(desk.inbound):
        before, turns = desk.now, turns + 1
        desk.inbound.run()
        assert desk.now - before < TURN_TIME + 0.000_7
    assert sorted(desk.log[:30]) == sorted(names), "everybody once, before anybody has had the second slice"
    assert turns > 10


def test_nobody_has_more_than_a_batch_at_a_time(desk: Desk) -> None:
    alone = desk.connection("alone", cost=0.0)
    desk.put("alone", 3 * READ_BATCH)
    desk.inbound.run()
    assert alone.batches == 3


def test_the_next_turn_takes_what_came_meanwhile(desk: Desk) -> None:
    desk.connection("flood", cost=0.002)
    quiet = desk.connection("quiet")
    desk.put("flood", 5)
    desk.inbound.run()
    desk.inbound.refill = lambda: desk.put("quiet") if not quiet.got else None
    for _ in range(3):
        desk.loop.turn()
    assert quiet.got


def test_what_a_packet_asks_for_is_part_of_the_slice(desk: Desk) -> None:
    flood, quiet = desk.connection("flood"), desk.connection("quiet")
    flood.events_per_datagram = 100  # 20 ms of work
    desk.put("flood", 3)
    desk.put("quiet")
    desk.inbound.run()
    assert desk.log.count("flood event") < 12
    assert quiet.got
    desk.put("quiet")
    desk.inbound.run()
    assert len(quiet.got) == 2
    while desk.inbound.is_scheduled:
        desk.loop.turn()
    assert len(flood.got) == 3
    assert desk.log.count("flood event") == 300


def test_what_a_dear_packet_asks_for_is_dealt_with_at_once(desk: Desk) -> None:
    desk.connection("hello", cost=0.002).events_per_datagram = 2
    desk.connection("other")
    desk.put("hello")
    desk.put("other")
    desk.inbound.run()
    assert desk.log == ["hello", "hello event", "hello event"]


def test_what_is_left_to_deal_with_is_gone_on_with_although_no_packet_waits(desk: Desk) -> None:
    flood = desk.connection("flood")
    flood.events_per_datagram = 30
    desk.put("flood")
    desk.inbound.run()
    assert len(desk.inbound) == 0
    assert desk.inbound.is_scheduled
    while desk.inbound.is_scheduled:
        desk.loop.turn()
    assert desk.log.count("flood event") == 30


def test_too_many_datagrams_of_one_connection_are_dropped_and_counted(desk: Desk) -> None:
    flood, quiet = desk.connection("flood", cost=0.0), desk.connection("quiet")
    desk.put("flood", MAX_WAITING_DATAGRAMS + 10)
    desk.put("quiet")
    assert desk.dropped == 10
    while len(desk.inbound):
        desk.inbound.run()
    assert len(flood.got) == MAX_WAITING_DATAGRAMS
    assert len(quiet.got) == 1


def test_too_many_strangers_are_dropped_and_known_clients_served_between_them(desk: Desk) -> None:
    quiet = desk.connection("quiet")
    desk.cost_of_strangers = 0.001
    desk.put("who?", MAX_WAITING_STRANGERS + 5)
    desk.put("quiet")
    assert desk.dropped == 5
    desk.inbound.run()
    desk.inbound.run()
    assert quiet.got
    assert desk.log.index("quiet") == 1
    while len(desk.inbound):
        desk.inbound.run()
    assert len(desk.routed) == MAX_WAITING_STRANGERS


def test_all_waiting_datagrams_together_are_bounded(desk: Desk) -> None:
    size, number = 60_000, 0
    while not desk.dropped:
        name = f"c{number}"
        number += 1
        desk.connection(name)
        desk.put(name, 100, size)
    assert (number - 1) * 100 * size <= MAX_WAITING_BYTES
    late = desk.connection("late")
    desk.put("late", MIN_WAITING_DATAGRAMS + 1)
    while len(desk.inbound):
        desk.inbound.run()
    assert len(late.got) == MIN_WAITING_DATAGRAMS
    desk.dropped = 0
    desk.put("late", 100)
    assert not desk.dropped, "there is room again"


def test_what_has_waited_too_long_is_dropped_and_counted(desk: Desk) -> None:
    slow, quiet = desk.connection("slow", cost=0.01), desk.connection("quiet")
    desk.put("slow", 200)
    desk.put("who?", 200)
    while len(desk.inbound):
        if desk.now < MAX_WAITING_TIME:
            desk.put("quiet")
        desk.inbound.run()
    assert desk.now < MAX_WAITING_TIME + 0.05
    assert len(slow.got) + len(desk.routed) + desk.dropped == 400
    assert len(slow.got) > 10
    assert len(desk.routed) > 10
    assert len(quiet.got) > 10


def test_a_connection_at_another_socket_is_told_which_one(desk: Desk) -> None:
    desk.connection("moved").home = False
    desk.put("moved")
    desk.inbound.run()
    assert desk.log == ["moved elsewhere"]


def test_one_that_raises_does_not_keep_the_others_waiting(desk: Desk) -> None:
    bad, good = desk.connection("bad"), desk.connection("good")

    def fail(*_: Any) -> None:
        raise RuntimeError

    bad.receive = fail  # type: ignore[method-assign]
    desk.put("bad", 2)
    desk.put("good")
    with pytest.raises(RuntimeError):
        desk.inbound.run()
    assert desk.inbound.is_scheduled
    with pytest.raises(RuntimeError):
        for _ in range(3):
            desk.inbound.run()
    assert good.got
    assert len(desk.inbound) == 0


def test_a_lost_socket_leaves_nothing_waiting(desk: Desk) -> None:
    desk.connection("one")
    desk.put("one", 3)
    desk.put("who?", 3)
    desk.inbound.clear()
    desk.inbound.run()
    assert desk.log == []
    assert len(desk.inbound) == 0
