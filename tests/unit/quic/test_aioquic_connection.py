"""What aioquic's connection does with streams, limits and datagrams of ours: cost, acknowledgements, identity."""

from __future__ import annotations

import sys

import pytest
from network import Network
from port_pair import PATIENT, End, PortPair, limits

from wtransport._quic.aioquic_connection import ACTIVE_CONNECTION_IDS
from wtransport._quic.port import DatagramsArrived, StreamBytes

BIG = limits(stream_window=10_000_000, connection_window=10_000_000, max_streams_bidi=2000, max_streams_uni=2000)


def read_everything(end: End) -> None:
    def act(event) -> None:
        if isinstance(event, StreamBytes) and event.data:
            end.port.consume(event.stream_id, len(event.data))

    end.on_event = act


def calls_during(action) -> int:
    """Return how many function calls an action makes: a cost that is the same on every machine."""
    count = 0

    def tracer(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(tracer)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def test_a_packet_costs_no_more_calls_beside_idle_streams(make_pair) -> None:
    costs = []
    for idle in (0, 500):
        pair: PortPair = make_pair(client_limits=BIG, server_limits=BIG).connect()
        read_everything(pair.server)
        for _ in range(idle):
            stream_id = pair.client.port.open_stream(unidirectional=False)
            pair.client.port.send_stream(stream_id, b"idle", False)
        pair.settle(20)
        busy = pair.client.port.open_stream(unidirectional=False)
        pair.client.port.send_stream(busy, b"begin", False)
        pair.settle(20)

        def talk(pair: PortPair = pair, busy: int = busy) -> None:
            pair.client.port.send_stream(busy, bytes(100), False)
            pair.run(0.2)

        costs.append(min(calls_during(talk) for _ in range(5)))
    assert costs[1] == pytest.approx(costs[0], rel=0.1)


@pytest.mark.parametrize("faults", [{}, {"loss": 0.02}])
def test_a_full_congestion_window_causes_no_storm_of_acknowledgements(make_pair, faults) -> None:
    """Both ends have data all the time; what they receive is acknowledged along with it, or when it is due."""
    pair: PortPair = make_pair(
        network=Network(seed=5, **faults, delay=0.01), client_limits=BIG, server_limits=BIG
    ).connect(60)
    size = 1_000_000
    for end in pair.ends:
        read_everything(end)
        end.port.send_stream(end.port.open_stream(unidirectional=True), bytes(size), True)
    sent = sum(end.packets_sent for end in pair.ends)
    pair.run_until(lambda: all(end.port._table.receive_window.received == size for end in pair.ends), seconds=600)
    sent = sum(end.packets_sent for end in pair.ends) - sent
    needed = 2 * size / 1150
    assert sent < (1.8 if faults else 1.1) * needed


def test_an_idle_connection_is_left_alone(make_pair) -> None:
    pair: PortPair = make_pair().connect()
    pair.settle()
    for end in pair.ends:
        end.packets_sent = 0
    assert calls_during(lambda: pair.run(20.0)) < 500
    assert pair.client.packets_sent == pair.server.packets_sent == 0


def test_acknowledgements_alone_are_not_answered(pair) -> None:
    pair.settle()
    before = {end: end.packets_sent for end in pair.ends}
    pair.client.port.send_datagram(b"one packet")
    pair.settle()
    assert pair.client.packets_sent == before[pair.client] + 1
    assert pair.server.packets_sent == before[pair.server] + 1


def test_connection_ids_are_announced_to_whoever_routes_packets(make_pair) -> None:
    pair: PortPair = make_pair()
    issued: list[bytes] = []
    retired: list[bytes] = []
    pair.client.port.on_cid_issued = issued.append
    pair.client.port.on_cid_retired = retired.append
    first = pair.client.port.connection_id
    pair.connect()
    pair.settle()
    assert len(issued) == len(set(issued)) == ACTIVE_CONNECTION_IDS - 1
    assert first not in issued
    pair.inject(pair.server, b"\x19\x01")  # RETIRE_CONNECTION_ID of the first one issued
    assert retired == issued[:1]
    pair.client.port.send_datagram(b"x")
    pair.settle()
    assert len(issued) == ACTIVE_CONNECTION_IDS


def test_a_stream_may_begin_before_the_handshake_is_confirmed(make_pair) -> None:
    pair: PortPair = make_pair()
    read_everything(pair.server)
    pair.client.port.connect(("192.0.2.2", 443), pair.now)
    assert pair.client.port.open_stream(unidirectional=False) is None
    pair.run_until(lambda: pair.client.port.open_stream(unidirectional=False) is not None)
    pair.client.port.send_stream(0, b"early", True)
    pair.run_until(lambda: pair.server.received(0) == b"early", seconds=0.05)


@pytest.mark.parametrize("seed", range(12))
def test_the_handshake_survives_a_bad_network(make_pair, seed) -> None:
    pair: PortPair = make_pair(
        network=Network(seed=seed, loss=0.4, jitter=0.05, duplication=0.2, delay=0.01),
        client_configuration=PATIENT,
        server_configuration=PATIENT,
    ).connect(seconds=3000)
    pair.network.change(loss=0.0)
    pair.settle()
    pair.client.port.send_datagram(b"alive")
    pair.settle()
    assert pair.server.of(DatagramsArrived)


def test_measurements_follow_the_network(make_pair) -> None:
    pair: PortPair = make_pair(network=Network(delay=0.05))
    assert pair.client.port.round_trip_time == 0.0
    assert pair.client.port.probe_timeout > 0.0
    pair.connect()
    pair.settle()
    assert pair.client.port.round_trip_time == pytest.approx(0.1, rel=0.2)
    assert pair.client.port.probe_timeout < 1.0
    assert pair.client.port.remote_address == ("192.0.2.2", 443)
    assert pair.server.port.remote_address == ("192.0.2.1", 50000)
