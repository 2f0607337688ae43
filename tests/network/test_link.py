"""The simulated network itself: what it says it does to packets is what it does, and a seed repeats it."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from network import CLIENT_ADDRESS, SERVER_ADDRESS, Link, Network
from udp_proxy import proxied

COUNT = 4000
PACKET = bytes(1000)


def carried(link: Link, *, interval: float = 0.0) -> list[list[tuple[float, bytes]]]:
    """What arrives of each of many packets."""
    return [link.carry(PACKET, number * interval) for number in range(COUNT)]


@pytest.mark.parametrize(
    ("conditions", "happens"),
    [
        ({"loss": 0.05}, lambda arriving: not arriving),
        ({"duplication": 0.05}, lambda arriving: len(arriving) == 2),
        ({"reordering": 0.05}, lambda arriving: arriving[0][0] == 0.01),
        ({"corruption": 0.05}, lambda arriving: arriving[0][1].count(0) == 999),
        ({"truncation": 0.05}, lambda arriving: 0 < len(arriving[0][1]) < 1000),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else "",
)
def test_chances_are_as_given(conditions: dict[str, float], happens: Any) -> None:
    assert sum(map(happens, carried(Link(Random(1), **conditions)))) == pytest.approx(0.05 * COUNT, rel=0.25)


def test_a_seed_repeats_everything() -> None:
    faults = {"loss": 0.1, "duplication": 0.1, "reordering": 0.1, "corruption": 0.1, "truncation": 0.1, "jitter": 0.1}
    runs = [carried(Network(seed=seed, **faults).to_server) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_a_slow_link_delays_what_waits_and_loses_what_finds_no_room() -> None:
    link = Link(Random(1), bandwidth=100_000, queue=10_000, delay=1.0)
    at_once = [link.carry(PACKET, 0.0) for _ in range(15)]
    assert [arriving[0][0] for arriving in at_once[:10]] == pytest.approx([1.0 + 0.01 * (n + 1) for n in range(10)])
    assert at_once[10:] == [[]] * 5
    assert link.overflowed == 5
    assert link.carry(PACKET, 5.0) == [(6.01, PACKET)]


def test_large_packets_vanish() -> None:
    link = Link(Random(1), mtu=1200)
    assert link.carry(bytes(1200), 0.0)
    assert not link.carry(bytes(1201), 0.0)
    assert link.too_large == 1


def test_a_translated_address_is_known_until_it_is_replaced() -> None:
    network = Network(delay=1.0)
    network.send("client", b"one", SERVER_ADDRESS, 0.0)
    network.send("server", b"late", CLIENT_ADDRESS, 0.0)
    network.client_address = ("192.0.2.77", 1)
    network.send("client", b"two", SERVER_ADDRESS, 0.0)
    network.send("server", b"back", network.client_address, 0.0)
    assert network.next_arrival == 1.0
    assert list(network.arrivals(0.9)) == []
    assert list(network.arrivals(1.0)) == [
        ("server", b"one", CLIENT_ADDRESS),
        ("server", b"two", network.client_address),
        ("client", b"back", SERVER_ADDRESS),
    ]


class Echo(asyncio.DatagramProtocol):
    """A server that sends everything back, and a client that keeps what comes."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.sources: list[Any] = []
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.sources.append(addr)
        self.received.put_nowait(data)
        if self.answers:
            self.transport.sendto(data, addr)


async def test_the_proxy_relays_both_ways_and_can_change_the_source_port() -> None:
    loop = asyncio.get_running_loop()
    _, server = await loop.create_datagram_endpoint(lambda: Echo(answers=True), local_addr=("127.0.0.1", 0))
    address = server.transport.get_extra_info("sockname")
    async with asyncio.timeout(10), proxied(f"https://127.0.0.1:{address[1]}", delay=0.001) as proxy:
        _, client = await loop.create_datagram_endpoint(lambda: Echo(answers=False), remote_addr=proxy.address)
        for number in range(3):
            client.transport.sendto(b"%d" % number)
            assert await client.received.get() == b"%d" % number
            assert proxy.addresses == server.sources[-1:]
            proxy.rebind()
        assert len(set(server.sources)) == 3
        client.transport.close()
    server.transport.close()
