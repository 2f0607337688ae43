"""Congestion control over a simulated bottleneck of 50 Mbit/s, with a queue of one bandwidth-delay product."""

from __future__ import annotations

from itertools import pairwise

import pytest
from bottleneck import SIZE, Bottleneck, Flow

RATE = 50e6 / 8
ROUND_TRIPS = [0.01, 0.04]


def link(round_trip: float) -> Bottleneck:
    return Bottleneck(rate=RATE, delay=round_trip / 2, queue=RATE * round_trip)


@pytest.mark.parametrize("algorithm", ["cubic", "reno"])
@pytest.mark.parametrize("round_trip", ROUND_TRIPS)
def test_one_flow_fills_it(algorithm: str, round_trip: float) -> None:
    network = link(round_trip)
    flow = Flow(network, algorithm=algorithm)
    network.run(10.0)
    assert flow.arrived_between(0.0, 2.0) >= 0.8 * RATE * 2
    assert flow.arrived_between(2.0, 10.0) >= 0.95 * RATE * 8
    # What is sent arrives, but for what begins and ends.
    assert flow.acknowledgements < len(flow.received) / 8


@pytest.mark.parametrize("algorithm", ["cubic", "reno"])
@pytest.mark.parametrize(("round_trip", "later"), [(0.01, 0.0), (0.02, 2.0)], ids=["together", "one after the other"])
def test_two_flows_share_it(algorithm: str, round_trip: float, later: float) -> None:
    network = link(round_trip)
    flows = [Flow(network, algorithm=algorithm), Flow(network, algorithm=algorithm, start=later)]
    network.run(20.0)
    shares = [flow.arrived_between(8.0, 20.0) for flow in flows]
    assert sum(shares) >= 0.95 * RATE * 12
    assert min(shares) >= 0.4 * sum(shares)


@pytest.mark.parametrize("algorithm", ["cubic", "reno"])
@pytest.mark.parametrize("round_trip", ROUND_TRIPS)
def test_its_queue_does_not_overflow_for_ever(algorithm: str, round_trip: float) -> None:
    network = link(round_trip)
    flow = Flow(network, algorithm=algorithm)
    network.run(10.0)
    # Slow start ends with one overflow; afterwards there are a few packets at the end of each period, and long pauses.
    assert len(network.dropped) < 0.01 * flow.number
    late = [at for at in network.dropped if at > 2.0]
    assert len(late) < 0.001 * flow.number
    periods = [2.0, *late, 10.0]
    pauses = [after - before for before, after in pairwise(periods)]
    assert max(pauses) > 20 * round_trip


def test_a_flow_with_little_to_send_does_not_take_a_larger_window() -> None:
    network = link(0.04)
    flow = Flow(network, supply=RATE / 20)
    network.run(5.0)
    assert not network.dropped
    assert flow.arrived_between(1.0, 5.0) == pytest.approx(RATE / 20 * 4, rel=0.05)
    assert flow.recovery.congestion.window < 3 * RATE / 20 * 0.04 + 10 * SIZE


def test_a_flow_goes_on_after_an_outage() -> None:
    network = link(0.04)
    flow = Flow(network)
    network.run(2.0)
    network.queue = 0
    network.run(3.0)
    assert flow.recovery.pto_count > 0
    network.queue = RATE * 0.04
    network.run(8.0)
    assert flow.arrived_between(6.0, 8.0) >= 0.9 * RATE * 2
