"""Packets as large as the path takes, between two ends in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from engine_pair import EnginePair
from network import SERVER_ADDRESS, Network
from transfer import Transfer

from wtransport._protocol.traffic import traffic_of
from wtransport._quic.path_mtu import BLACK_HOLE_INTERVAL, MAX_PROBES, SEARCH_STEP

MakePair: TypeAlias = Callable[..., EnginePair]

MIB = 1 << 20
KIB = 1 << 10
BASE, ETHERNET = 1200, 1472
NEW_PORT, NEW_HOST = ("192.0.2.1", 50_077), ("192.0.2.77", 50_000)


class Watched(Network):
    """A network that notes the sizes of packets."""

    def __init__(self, **conditions: Any) -> None:
        super().__init__(**conditions)
        self.sizes: dict[str, list[int]] = {"client": [], "server": []}

    def send(self, side: str, data: bytes, addr: Any, now: float) -> None:
        self.sizes[side].append(len(data))
        super().send(side, data, addr, now)


def started(make_pair: MakePair, network: Network, **options: Any) -> tuple[EnginePair, Any, Any]:
    pair = make_pair(network=network, discovers_path_mtu=True, **options)
    return (pair, *pair.connect_in())


def moved(pair: EnginePair, *ends: Any, size: int, each: Callable[[], None] = lambda: None) -> Transfer:
    """Move so much from each of the ends to the other."""
    transfer = Transfer(pair, size=size, seed=1)
    for end in ends:
        transfer.begin_one_way(end)
    transfer.run(seconds=300, each=each)
    return transfer


def searched(pair: EnginePair, *ends: Any, rounds: int = 24) -> None:
    """Move enough for a probe in each round, and let its fate become known; the default is enough for any search."""
    for _ in range(rounds):
        moved(pair, *ends, size=64 * KIB)
        pair.advance(0.2)


@pytest.mark.parametrize("mtu", [1200, 1232, 1280, 1400, 1452, 1472, 1500])
def test_both_ends_find_the_size_and_nothing_arrives_changed(make_pair: MakePair, mtu: int) -> None:
    network = Watched(delay=0.01, mtu=mtu)
    pair, ours, theirs = started(make_pair, network)
    before = ours.max_datagram_size
    searched(pair, ours, theirs)
    best = min(mtu, ETHERNET)
    for session in (ours, theirs):
        assert best - SEARCH_STEP < session.max_datagram_size - before + BASE <= best
    # Nothing but probes is too large for the path.
    assert network.to_server.too_large <= 6 * MAX_PROBES
    assert network.to_client.too_large <= 6 * MAX_PROBES
    assert max(network.sizes["client"]) <= ETHERNET


@pytest.mark.parametrize("mtu", [1300, 0])
def test_lost_probes_are_no_sign_of_congestion(make_pair: MakePair, mtu: int) -> None:
    pair, ours, _ = started(make_pair, Network(delay=0.01, mtu=mtu))
    moved(pair, ours, size=MIB)
    assert pair.client.port._connection._loss.slow_start_threshold is None  # type: ignore[attr-defined] # still slow start


@pytest.mark.parametrize("seed", range(4))
def test_loss_makes_no_packet_too_large_and_no_black_hole(make_pair: MakePair, seed: int) -> None:
    network = Watched(seed=seed, delay=0.01, loss=0.05, reordering=0.05, mtu=1400)
    pair, ours, theirs = started(make_pair, network)
    before = ours.max_datagram_size
    moved(pair, ours, theirs, size=2 * MIB)
    assert BASE < ours.max_datagram_size - before + BASE <= 1400
    assert network.to_server.too_large + network.to_client.too_large <= 24


def test_the_largest_datagram_that_is_told_arrives(make_pair: MakePair) -> None:
    pair, ours, theirs = started(make_pair, Network(delay=0.01, mtu=1400))
    moved(pair, ours, theirs, size=MIB)
    for sender, receiver in ((ours, theirs), (theirs, ours)):
        data = bytes(sender.max_datagram_size)
        assert len(data) > 1300
        assert sender.send_datagram(data)
        pair.advance(1.0)
        assert receiver.datagrams.drain() == [data]


def test_a_path_that_gets_narrower_stops_nothing(make_pair: MakePair) -> None:
    network = Watched(delay=0.02)
    pair, ours, theirs = started(make_pair, network)
    transfer = Transfer(pair, size=2 * MIB, seed=2)
    transfer.begin(ours, theirs)
    pair.advance_until(lambda: transfer.step() or transfer.received > MIB, seconds=60)
    assert max(network.sizes["client"][-20:]) == ETHERNET
    network.change(mtu=1300)
    began = pair.now
    transfer.run(seconds=30)
    assert pair.now - began < 10
    assert ours.max_datagram_size < BASE
    # Later it is found out what the path takes now.
    pair.advance(BLACK_HOLE_INTERVAL / 2)
    pair.advance(BLACK_HOLE_INTERVAL / 2)
    searched(pair, ours)
    assert BASE < ours.max_datagram_size < 1300


def test_datagrams_alone_notice_a_narrower_path(make_pair: MakePair) -> None:
    """One large datagram at a time: nothing of it is sent again, so only probes after timeouts arrive."""
    network = Network(delay=0.02)
    pair, ours, theirs = started(make_pair, network)
    moved(pair, ours, size=256 * KIB)
    network.change(mtu=1300)
    for _ in range(20):
        ours.send_datagram(bytes(ours.max_datagram_size))
        pair.advance(1.0)
    theirs.datagrams.drain()
    data = bytes(ours.max_datagram_size)
    assert ours.send_datagram(data)
    pair.advance(1.0)
    assert theirs.datagrams.drain() == [data]


def test_datagrams_that_became_too_large_while_they_waited_are_counted(make_pair: MakePair) -> None:
    network = Network(delay=0.02)
    pair, ours, _ = started(make_pair, network)
    moved(pair, ours, size=256 * KIB)
    large = ours.max_datagram_size
    network.change(mtu=1300)
    count = 0
    while ours.max_datagram_size == large:  # the queue is never empty
        count += ours.send_datagram(bytes(large))
        pair.advance(0.001)
    pair.advance(5.0)
    books, others = traffic_of(pair.client), traffic_of(pair.server)
    assert 0 < books.datagrams_unsent < count
    assert books.datagrams_sent == count
    assert others.datagrams_received == 0, "none that was sent can have arrived"
    assert network.to_server.too_large >= count - books.datagrams_unsent


@pytest.mark.parametrize("blackout", [1.0, 5.0])
def test_an_outage_is_no_black_hole(make_pair: MakePair, blackout: float) -> None:
    network = Network(delay=0.02)
    pair, ours, theirs = started(make_pair, network)
    transfer = Transfer(pair, size=2 * MIB, seed=3)
    transfer.begin(ours, theirs)
    pair.advance_until(lambda: transfer.step() or transfer.received > MIB, seconds=60)
    size = ours.max_datagram_size
    assert size > BASE
    network.cut()
    ends = pair.now + blackout
    pair.advance_until(lambda: transfer.step() or pair.now >= ends, seconds=30)
    network.mend()
    transfer.run(seconds=60)
    assert ours.max_datagram_size == size


@pytest.mark.parametrize("address", [NEW_PORT, NEW_HOST])
def test_another_path_begins_again_unless_only_the_port_is_another(make_pair: MakePair, address: Any) -> None:
    network = Watched(delay=0.02)
    pair, ours, theirs = started(make_pair, network)
    small = theirs.max_datagram_size
    moved(pair, ours, theirs, size=MIB)
    large = theirs.max_datagram_size
    assert large - small == ETHERNET - BASE
    network.client_address = address
    ours.send_datagram(b"moved")
    pair.advance(1.0)
    assert pair.server.remote_address == address
    assert theirs.max_datagram_size == (large if address == NEW_PORT else small)
    searched(pair, theirs, rounds=2)
    assert theirs.max_datagram_size == large


def test_a_narrower_path_is_validated_although_the_client_knows_nothing_of_it(make_pair: MakePair) -> None:
    """Challenges and their answers are of the base size, so the server keeps the new address."""
    network = Watched(delay=0.02)
    pair, ours, theirs = started(make_pair, network)
    moved(pair, ours, theirs, size=MIB)
    network.client_address = NEW_HOST
    network.change(mtu=1250)
    transfer = Transfer(pair, size=MIB, seed=4)
    transfer.begin(ours, theirs)
    transfer.run(seconds=60)
    assert pair.server.remote_address == NEW_HOST


def test_a_client_with_another_address_of_its_own_begins_again(make_pair: MakePair) -> None:
    network = Watched(delay=0.02)
    pair, ours, theirs = started(make_pair, network)
    small = ours.max_datagram_size
    moved(pair, ours, size=MIB)
    assert ours.max_datagram_size > small
    pair.client.port.path_changed()
    ours.send_datagram(b"moved")
    pair.advance(1.0)
    assert ours.max_datagram_size == small
    assert theirs.datagrams.drain() == [b"moved"]


@pytest.mark.parametrize("setting", [1200, 1300, 9000])
def test_no_packet_is_larger_than_was_configured(make_pair: MakePair, setting: int) -> None:
    network = Watched(delay=0.01)
    settings = {"max_udp_payload_size": setting}
    pair, ours, theirs = started(make_pair, network, client=settings, server=settings)
    moved(pair, ours, theirs, size=MIB)
    assert max(network.sizes["client"]) == max(network.sizes["server"]) == setting


def test_ipv6_leaves_less_for_the_payload(make_pair: MakePair) -> None:
    network = Watched(delay=0.01)
    network.client_address = ("2001:db8::1", 50_000, 0, 0)
    pair, _, theirs = started(make_pair, network)
    moved(pair, theirs, size=MIB)
    assert max(network.sizes["server"]) == 1452


def test_no_packet_is_larger_than_the_peer_takes(make_pair: MakePair) -> None:
    network = Watched(delay=0.01)
    pair = make_pair(network=network, discovers_path_mtu=True)
    client = pair.client.port._connection  # type: ignore[attr-defined]
    serialize = client._serialize_transport_parameters
    client._serialize_transport_parameters = lambda: serialize() + bytes.fromhex("03 02 4578")  # 1400
    ours, theirs = pair.connect_in()
    moved(pair, ours, theirs, size=MIB)
    assert max(network.sizes["server"]) == 1400
    assert max(network.sizes["client"]) == ETHERNET


@pytest.mark.parametrize("delay", [0.001, 0.05])
def test_a_short_connection_sends_what_it_did_before(make_pair: MakePair, delay: float) -> None:
    sent = []
    for discovers in (False, True):
        network = Watched(delay=delay)
        pair = make_pair(network=network, discovers_path_mtu=discovers)
        ours, theirs = pair.connect_in()
        moved(pair, ours, theirs, size=4 * KIB)
        pair.client.close(0, "")
        pair.advance(1.0)
        sent.append(network.sizes)
    assert [len(sent[1][side]) for side in sent[1]] == [len(sent[0][side]) for side in sent[0]]
    assert max(map(max, sent[1].values())) <= BASE


def test_a_connection_that_goes_on_sends_one_probe_each_way(make_pair: MakePair) -> None:
    network = Watched(delay=0.01)
    pair, ours, theirs = started(make_pair, network)
    moved(pair, ours, theirs, size=MIB)
    assert network.client_address != SERVER_ADDRESS
    for side in ("client", "server"):
        first = network.sizes[side].index(ETHERNET)
        assert sum(network.sizes[side][:first]) >= 24_000


@pytest.mark.parametrize("leaving", ["client", "server"])
def test_a_connection_that_is_over_sends_no_probe(make_pair: MakePair, leaving: str) -> None:
    """Its keys are gone, while the data that waited for the peer is still there."""
    network = Network(delay=0.01)
    pair, ours, theirs = started(make_pair, network)
    stays, engine = (theirs, pair.server) if leaving == "client" else (ours, pair.client)
    network.cut()
    for size in (4 * KIB, 64 * KIB, MIB):
        stays.open_stream(unidirectional=True).write(bytes(size))
        pair.advance(2.0)
    pair.advance(300)
    assert engine.is_closed
    assert engine.port.is_terminated
