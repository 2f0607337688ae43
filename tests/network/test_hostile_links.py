"""Links with one particular fault: too small, too slow, too far, dead for a while, or deaf to one kind of packet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from engine_pair import EnginePair
from network import Link, Network, everything
from transfer import Transfer

from wtransport._protocol import events

MakePair: TypeAlias = Callable[..., EnginePair]

KIB, MIB = 1 << 10, 1 << 20

LONG_HEADER = 0x80

PATIENT = {"connection_idle_timeout": 600.0}
"""For losses after which probes back off for longer than the usual time-out."""


def moved(make_pair: MakePair, network: Network, *, size: int, seconds: float, **options: Any) -> tuple[float, float]:
    """Connect, and move so much each way; virtual seconds of the transfer, and of all."""
    pair = make_pair(network=network, **options)
    transfer = Transfer(pair, size=size, seed=1)
    transfer.begin(*pair.connect_in())
    began = pair.now
    transfer.run(seconds=seconds)
    return pair.now - began, pair.now


# Small packets.


def test_nothing_is_larger_than_the_smallest_packet_of_quic(make_pair: MakePair) -> None:
    """1280 bytes of IPv6 packet leave 1232 of UDP payload; 1200 fit on every path (RFC 9000, 14)."""
    network = Network(delay=0.01, mtu=1200)
    moved(make_pair, network, size=256 * KIB, seconds=30)
    assert network.to_server.too_large == network.to_client.too_large == 0


def test_the_largest_datagram_fits_as_well(make_pair: MakePair) -> None:
    network = Network(delay=0.01, mtu=1200)
    pair = make_pair(network=network)
    ours, theirs = pair.connect_in()
    for sender, receiver in ((ours, theirs), (theirs, ours)):
        data = bytes(sender.max_datagram_size)
        assert len(data) > 1100
        assert sender.send_datagram(data)
        pair.advance(1.0)
        assert receiver.datagrams.drain() == [data]


def test_a_path_that_takes_no_packet_of_quic_fails_the_handshake_in_time(make_pair: MakePair) -> None:
    pair = make_pair(network=Network(delay=0.01, mtu=1199), client={"connection_idle_timeout": 5.0})
    with pytest.raises(AssertionError, match="handshake"):
        pair.connect_in(seconds=20.0)
    assert pair.take("client", events.ConnectionClosed)
    assert pair.client.next_deadline() is None
    assert pair.server is None


# Slow and long links.


@pytest.mark.parametrize(("algorithm", "queue"), [("cubic", 8 * KIB), ("cubic", 32 * KIB), ("reno", 16 * KIB)])
def test_at_least_half_of_a_slow_link_is_used(make_pair: MakePair, queue: int, algorithm: str) -> None:
    """1 Mbyte/s with 50 ms of round trip, and a queue far smaller than what the windows allow."""
    network = Network(delay=0.025, bandwidth=1_000_000, queue=queue)
    settings = {"congestion_control_algorithm": algorithm}
    seconds, _ = moved(make_pair, network, size=2 * MIB, seconds=60, client=settings, server=settings)
    assert network.to_server.overflowed + network.to_client.overflowed > 0
    assert 2 * MIB / seconds > 500_000


def test_a_very_slow_link_is_not_brought_to_a_standstill(make_pair: MakePair) -> None:
    """8 kbyte/s: a packet takes 0.15 s, the queue 2 s; the handshake passes through it as well."""
    network = Network(delay=0.05, bandwidth=8_000, queue=16 * KIB)
    seconds, _ = moved(make_pair, network, size=128 * KIB, seconds=120)
    assert 128 * KIB / seconds > 4_000


def test_a_satellite_link(make_pair: MakePair) -> None:
    """600 ms each way: slow start needs its rounds, and the windows of 1 MiB for a stream bound the rest."""
    network = Network(delay=0.6)
    seconds, total = moved(make_pair, network, size=MIB, seconds=60)
    assert seconds < 15
    assert total - seconds < 6
    sent = network.to_server.bytes + network.to_client.bytes
    assert sent < 2 * MIB * 1.1, "nothing is sent twice because it is late"


# Nothing for a while.


@pytest.mark.parametrize("blackout", [2.0, 10.0])
@pytest.mark.parametrize("which", ["both", "to_server", "to_client"])
def test_a_transfer_goes_on_after_a_blackout(make_pair: MakePair, blackout: float, which: str) -> None:
    network = Network(seed=1, delay=0.025)
    links = [network.to_server, network.to_client] if which == "both" else [getattr(network, which)]
    pair = make_pair(network=network)
    transfer = Transfer(pair, size=MIB, seed=1)
    transfer.begin(*pair.connect_in())
    pair.advance_until(lambda: transfer.step() or transfer.received > 256 * KIB, seconds=30)
    for link in links:
        link.loses = everything
    ends = pair.now + blackout
    pair.advance_until(lambda: transfer.step() or pair.now >= ends, seconds=30)
    network.mend()
    transfer.run(seconds=blackout + 20)  # a probe may have been sent just before the end, the next one waits as long


def test_a_blackout_longer_than_the_idle_time_out_ends_both_ends(make_pair: MakePair) -> None:
    network = Network(delay=0.025)
    settings = {"connection_idle_timeout": 8.0}
    pair = make_pair(network=network, client=settings, server=settings)
    ours, _ = pair.connect_in()
    network.cut()
    ours.open_stream(unidirectional=True).write(bytes(100_000))
    pair.advance(30.0)
    for side in ("client", "server"):
        assert "dle" in pair.take(side, events.ConnectionClosed).reason
        assert getattr(pair, side).next_deadline() is None


# Patterns of loss.


class Every:
    """Loses every n-th packet."""

    def __init__(self, number: int, *, count: int = 0) -> None:
        self.number = number
        self.count = count

    def __call__(self, data: bytes) -> bool:
        self.count += 1
        return self.count % self.number == 0


class First:
    """Loses the first packets for which something is so."""

    def __init__(self, count: int, wanted: Callable[[bytes], bool] = everything) -> None:
        self.left = count
        self.wanted = wanted

    def __call__(self, data: bytes) -> bool:
        if self.left and self.wanted(data):
            self.left -= 1
            return True
        return False


@pytest.mark.parametrize("number", [2, 3, 5, 10])
def test_every_nth_packet_is_lost(make_pair: MakePair, number: int) -> None:
    network = Network(delay=0.01)
    network.to_server.loses, network.to_client.loses = Every(number), Every(number)
    moved(make_pair, network, size=64 * KIB, seconds=600, client=PATIENT, server=PATIENT)


@pytest.mark.parametrize("size", [16, 24, 40, 48, 56, 64, 72])
@pytest.mark.parametrize("phase", [0, 1])
def test_probes_do_not_keep_step_with_the_losses(make_pair: MakePair, size: int, phase: int) -> None:
    """Of an answer and a probe in turns, every second packet lost, it can be the probe each time; not so of two."""
    network = Network(delay=0.01)
    network.to_server.loses, network.to_client.loses = Every(2, count=phase), Every(2)
    moved(make_pair, network, size=size * KIB, seconds=600, client=PATIENT, server=PATIENT)


@pytest.mark.parametrize("which", ["to_server", "to_client"])
def test_loss_one_way_only(make_pair: MakePair, which: str) -> None:
    network = Network(seed=2, delay=0.01)
    link: Link = getattr(network, which)
    link.loses = Every(4)
    moved(make_pair, network, size=256 * KIB, seconds=200)


def has_long_header(data: bytes) -> bool:
    return bool(data[0] & LONG_HEADER)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    ("which", "wanted"),
    [("to_server", everything), ("to_client", everything), ("to_client", has_long_header)],
    ids=["the client's first", "the server's first", "the server's handshake"],
)
def test_the_first_flight_is_lost(make_pair: MakePair, which: str, wanted: Callable[[bytes], bool], count: int) -> None:
    network = Network(delay=0.025)
    getattr(network, which).loses = First(count, wanted)
    pair = make_pair(network=network)
    ours, theirs = pair.connect_in(seconds=10.0)
    assert ours.is_open
    assert theirs.is_open


@pytest.mark.parametrize("seconds", [0.5, 3.0])
def test_no_acknowledgement_arrives_for_a_while(make_pair: MakePair, seconds: float) -> None:
    """What goes up arrives, what comes back does not: the sender probes, sends again, and then goes on."""
    network = Network(delay=0.025)
    pair = make_pair(network=network)
    ours, _ = pair.connect_in()
    transfer = Transfer(pair, size=MIB, seed=1)
    transfer.begin_one_way(ours)
    pair.advance_until(lambda: transfer.step() or transfer.received > 200 * KIB, seconds=30)
    network.to_client.loses = everything
    ends = pair.now + seconds
    pair.advance_until(lambda: transfer.step() or pair.now >= ends, seconds=30)
    network.mend()
    transfer.run(seconds=seconds + 10)


@pytest.mark.parametrize("lost", [1, 2])
def test_a_lost_fin_is_sent_again(make_pair: MakePair, lost: int) -> None:
    network = Network(delay=0.025)
    pair = make_pair(network=network)
    ours, _ = pair.connect_in()
    stream = ours.open_stream(unidirectional=True)
    stream.write(b"content")
    pair.advance(1.0)
    network.to_server.loses = First(lost)
    stream.write(b"", end_stream=True)
    pair.advance(5.0)
    received = pair.take("server", events.StreamOpened).stream
    assert received.read() == b"content"
    assert received.read() == b""
