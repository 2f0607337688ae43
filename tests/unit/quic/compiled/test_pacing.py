"""Pacing (RFC 9002, 7.7): how much goes at once, and how fast the rest follows."""

from __future__ import annotations

from typing import Any

import pytest
from wtransport._quic._compiled.pacing import Pacer

SIZE = 1200
BURST = 10
BURST_UNDER_WAY = 4
MIN_WAIT = 0.001


def paced(*, window: float, rtt: float, slow_start: bool = False) -> Any:
    pacer: Any = Pacer(datagram_size=SIZE)
    pacer.set_rate(window, rtt, slow_start)
    return pacer


def sent_until(pacer: Any, end: float, *, start: float = 0.0) -> list[int]:
    """Send what may be sent until a time, waking when told to; return the packets of each burst."""
    now, bursts = start, []
    while now < end:
        count = 0
        while (due := pacer.next_send_time(now)) is None:
            pacer.charge(SIZE, now)
            count += 1
        bursts.append(count)
        assert due >= now + MIN_WAIT
        now = due
    return bursts


def test_without_a_round_trip_time_nothing_waits() -> None:
    pacer: Any = Pacer(datagram_size=SIZE)
    for _ in range(1000):
        assert pacer.next_send_time(0.0) is None
        pacer.charge(SIZE, 0.0)


@pytest.mark.parametrize(("slow_start", "gain"), [(False, 1.25), (True, 2.0)])
@pytest.mark.parametrize("packets", [4, 50, 1000])
def test_a_window_goes_out_faster_than_a_round_trip(packets: int, slow_start: bool, gain: float) -> None:
    rtt = 0.1
    pacer = paced(window=packets * SIZE, rtt=rtt, slow_start=slow_start)
    first, *later = sent_until(pacer, 1.0)
    assert first == max(BURST, int(gain * packets / rtt * 0.002))
    assert sum(later) == pytest.approx(gain * packets / rtt, rel=0.05, abs=1)


def test_after_a_pause_a_burst_may_go_and_no_more() -> None:
    pacer = paced(window=50 * SIZE, rtt=0.1)
    sent_until(pacer, 0.1)
    assert sent_until(pacer, 10.05, start=10.0)[0] == BURST


def test_while_packets_are_under_way_a_burst_is_shorter() -> None:
    """Acknowledgements that come together must not overflow a short queue on the path."""
    pacer = paced(window=50 * SIZE, rtt=0.1)
    sent_until(pacer, 0.1)
    assert sent_until(pacer, 0.19, start=0.18)[0] == BURST_UNDER_WAY


def test_what_is_left_of_a_burst_is_not_lost_with_its_first_packet() -> None:
    pacer = paced(window=50 * SIZE, rtt=0.1)
    pacer.charge(SIZE, 10.0)
    assert sent_until(pacer, 10.03, start=10.02)[0] == BURST - 1


def test_slow_paths_get_one_packet_at_a_time() -> None:
    pacer = paced(window=2 * SIZE, rtt=0.5)
    assert set(sent_until(pacer, 5.0)[1:]) == {1}


def test_on_fast_paths_a_window_may_go_at_once() -> None:
    """Timers are too coarse for them: with less, a path of 100 microseconds could not be filled."""
    pacer = paced(window=100 * SIZE, rtt=0.0001)
    assert sent_until(pacer, 0.0001)[0] >= 100


def test_a_packet_larger_than_what_is_left_is_paid_for_later() -> None:
    pacer = paced(window=50 * SIZE, rtt=0.1)
    pacer.charge(2 * BURST * SIZE, 0.0)
    due = pacer.next_send_time(0.0)
    assert due == pytest.approx((BURST + 1) * SIZE / (1.25 * 50 * SIZE / 0.1))
    assert pacer.next_send_time(due) is None
