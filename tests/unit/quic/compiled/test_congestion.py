"""Congestion control: RFC 9002, section 7, CUBIC's rules of RFC 9438, and HyStart++ of RFC 9406."""

from __future__ import annotations

import math
from typing import Any

import pytest
from aioquic._buffer import Buffer
from aioquic.quic.packet import push_ack_frame
from aioquic.quic.rangeset import RangeSet
from bottleneck import SentPacket
from wtransport._quic._compiled.recovery import Recovery
from wtransport._quic._compiled.space import PacketSpace

SIZE = 1200
RTT = 0.1
CUBIC_C = 0.4
CUBIC_ALPHA = 3 * 0.3 / 1.7


class Sender:
    """Sends in rounds: some packets at once, and what becomes of them a round trip later."""

    def __init__(self, algorithm: str, *, size: int = SIZE, rtt: float = RTT) -> None:
        self.size = size
        self.rtt = rtt
        self.now = 10.0
        self.number = 0
        self.recovery: Any = Recovery(
            congestion_control_algorithm=algorithm,
            initial_rtt=0.1,
            max_datagram_size=size,
            peer_completed_address_validation=True,
            send_probe=lambda: None,
        )
        self.recovery.handshake_confirmed = True
        self.space: Any = PacketSpace(is_application_data=True)
        self.recovery.spaces = [self.space]

    @property
    def window(self) -> float:
        """The window in packets."""
        return float(self.recovery.congestion.window / self.size)

    @window.setter
    def window(self, packets: float) -> None:
        self.recovery.congestion_window = packets * self.size

    def send(self, count: int | None = None) -> range:
        """Send so many packets, or what the window takes."""
        if count is None:
            room = self.recovery.congestion_window - self.recovery.bytes_in_flight
            count = room // self.size
        first = self.number
        for _ in range(count):
            packet = SentPacket(self.number, self.now, sent_bytes=self.size)
            self.recovery.on_packet_sent(packet=packet, space=self.space)
            self.number += 1
        return range(first, self.number)

    def acknowledge(self, *ranges: range) -> None:
        buf = Buffer(capacity=4000)
        push_ack_frame(buf, RangeSet(ranges), 0, 4000)
        self.recovery.on_ack_frame(self.space, buf.data, False, self.number, self.now)

    def round(self, count: int | None = None, *, lost: int = 0) -> None:
        """Send; all but the first `lost` packets arrive."""
        sent = self.send(count)
        self.now += self.rtt
        self.acknowledge(sent[lost:])

    def avoid(self, packets: float, *, lost: bool = True) -> None:
        """End slow start with a window of so many packets, and lose one of them."""
        self.window = packets
        self.recovery.congestion.threshold = self.recovery.congestion.window
        self.round(lost=1 if lost else 0)
        self.send(1)
        self.now += self.rtt
        self.acknowledge(range(self.number - 1, self.number))


@pytest.fixture(params=["reno", "cubic"])
def either(request: pytest.FixtureRequest) -> Sender:
    return Sender(request.param)


@pytest.mark.parametrize(("size", "packets"), [(1200, 10), (1472, 10), (2944, 5), (9000, 2)])
def test_the_initial_window(size: int, packets: int) -> None:
    assert Sender("cubic", size=size).window == pytest.approx(packets)


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ValueError, match="vegas"):
        Sender("vegas")


def test_slow_start_doubles_the_window_in_a_round(either: Sender) -> None:
    for packets in (10, 20, 40, 80):
        assert either.window == packets
        either.round()


def test_a_window_that_is_not_used_does_not_grow(either: Sender) -> None:
    for _ in range(10):
        either.round(4)
    assert either.window == 10
    either.avoid(100)
    before = either.window
    for _ in range(50):
        either.round(40)
    assert either.window == before


def test_half_a_window_is_use_enough_in_slow_start(either: Sender) -> None:
    either.round(5)
    assert either.window == 15


@pytest.mark.parametrize(("algorithm", "beta"), [("reno", 0.5), ("cubic", 0.7)])
def test_a_loss_shrinks_the_window_once_for_what_was_under_way(algorithm: str, beta: float) -> None:
    sender = Sender(algorithm)
    sender.window = 100
    sent = sender.send()
    sender.now += RTT
    sender.acknowledge(sent[1:20])
    assert sender.window == pytest.approx(100 * beta)
    assert sender.recovery.slow_start_threshold == int(100 * beta) * SIZE
    sender.acknowledge(sent[21:40])
    sender.acknowledge(sent[41:])
    assert sender.window == pytest.approx(100 * beta), "no smaller, and no larger for what was sent before"
    # What is sent afterwards counts again.
    sender.now += 0.001
    later = sender.send()
    sender.now += RTT
    sender.acknowledge(later[1:])
    assert sender.window == pytest.approx(100 * beta * beta)


def test_two_packets_are_left_at_least(either: Sender) -> None:
    for _ in range(20):
        sent = either.send(5)
        either.now += RTT
        either.acknowledge(sent[1:])
    assert either.window == 2


def test_renos_window_grows_by_a_packet_in_a_round() -> None:
    sender = Sender("reno")
    sender.avoid(100)
    for _ in range(10):
        before = sender.window
        sender.round()
        assert sender.window - before == pytest.approx(1, abs=0.05)


# Persistent congestion (RFC 9002, 7.6).


def lose_over(sender: Sender, seconds: float, *, arrives: bool = False) -> None:
    """Lose three packets sent so far apart; one between them may arrive."""
    sender.round()
    sender.send(1)
    sender.now += seconds / 2
    middle = sender.send(1)
    sender.now += seconds / 2
    sender.send(1)
    sender.now += 0.001
    last = sender.send(3)
    sender.now += RTT
    sender.acknowledge(*([middle] if arrives else []), last)


def duration(sender: Sender) -> float:
    return 3 * float(sender.recovery.get_probe_timeout())


def test_losses_over_a_long_time_leave_the_smallest_window(either: Sender) -> None:
    either.round()
    lose_over(either, duration(either) * 1.1)
    assert either.window == 2
    before = either.recovery.slow_start_threshold
    either.round()
    assert either.window == 4, "slow start again"
    assert either.recovery.slow_start_threshold == before
    assert either.recovery.min_rtt == pytest.approx(RTT)


def test_losses_over_a_shorter_time_are_one_loss(either: Sender) -> None:
    either.round()
    lose_over(either, duration(either) * 0.5)
    assert either.window > 10


def test_one_packet_that_arrives_is_enough_against_it(either: Sender) -> None:
    either.round()
    lose_over(either, duration(either) * 1.1, arrives=True)
    assert either.window > 10


def test_what_was_lost_before_the_first_round_trip_does_not_count(either: Sender) -> None:
    either.send(1)
    either.now += 5.0
    either.send(1)
    either.now += 0.001
    last = either.send(3)
    either.now += RTT
    either.acknowledge(last)
    assert either.window > 2


def test_it_is_found_across_detections(either: Sender) -> None:
    """The first packets are found lost before the last ones were sent."""
    either.round()
    limit = duration(either)
    first = either.send(5)
    either.now += RTT
    either.acknowledge(first[4:])  # the first one is lost by number, the others in time
    at = either.recovery.get_loss_detection_time(amplification_limited=False)
    either.now = at
    either.recovery.on_loss_detection_timeout(now=at)
    lost = either.send(1)
    assert either.space.sent_numbers == list(lost)
    either.now += limit * 1.1
    lost = either.send(1)
    either.now += 0.001
    last = either.send(3)
    either.now += RTT
    either.acknowledge(last)
    assert either.window == 2


# CUBIC.


def test_cubic_comes_back_to_where_it_lost_and_passes_it_as_a_cube() -> None:
    sender = Sender("cubic", rtt=0.05)
    sender.avoid(1000)
    start, window_max = sender.now, 1000.0
    k = math.cbrt((window_max - 700) / CUBIC_C)
    reno = 700.0
    while sender.now < start + k + 3:
        sender.round()
        elapsed = sender.now - start
        reno += CUBIC_ALPHA
        expected = max(window_max + CUBIC_C * (elapsed - k) ** 3, reno)
        assert sender.window == pytest.approx(expected, rel=0.02)


def test_cubic_is_never_slower_than_reno() -> None:
    """On a short path its cube grows too slowly: there it goes as Reno would, by less in a round as it loses less."""
    sender = Sender("cubic", rtt=0.01)
    sender.avoid(20)
    window = sender.window
    assert window == pytest.approx(14, abs=1)
    rounds = 0
    while sender.window < 19:
        sender.round()
        rounds += 1
    assert rounds == pytest.approx((19 - window) / CUBIC_ALPHA, abs=2)
    sender.window = 21  # beyond where the loss was: as Reno itself
    for _ in range(10):
        sender.round()
    assert sender.window >= 21


def test_cubic_leaves_room_for_others_when_it_has_less_than_before() -> None:
    sender = Sender("cubic")
    sender.avoid(100)
    sender.round(lost=1)
    # 70 are less than 100, so that it aims at 0.85 of them.
    assert sender.window == pytest.approx(49, abs=1)
    window_max = 0.85 * 70
    start, k = sender.now, math.cbrt((window_max - 49) / CUBIC_C)
    while sender.now < start + k:
        sender.round()
    assert sender.window == pytest.approx(max(window_max, 49 + CUBIC_ALPHA * k / RTT), rel=0.05)


def test_time_in_which_the_window_is_not_used_does_not_count() -> None:
    sender = Sender("cubic")
    sender.avoid(100)
    for _ in range(10):
        sender.round()
    before = sender.window
    for _ in range(600):
        sender.round(10)
    assert sender.window == before
    sender.round()
    assert sender.window < before + 3


def test_cubic_goes_on_from_where_slow_start_ended_without_a_loss() -> None:
    sender = Sender("cubic")
    sender.avoid(100, lost=False)
    before = sender.window
    sender.round()
    assert before <= sender.window <= before + 2
    start = sender.now
    for _ in range(60):
        sender.round()
    assert sender.window == pytest.approx(before + max(60, CUBIC_C * (sender.now - start) ** 3), rel=0.1)


# HyStart++.


def grow(sender: Sender, rounds: int, *, each: float = 0.0) -> None:
    """Send a window in each round and have it acknowledged in ten parts; the round trip grows by `each`."""
    for _ in range(rounds):
        sent = sender.send()
        sender.now += sender.rtt
        step = max(1, len(sent) // 10)
        for at in range(0, len(sent), step):
            sender.acknowledge(sent[at : at + step])
        sender.rtt += each


def test_slow_start_ends_when_round_trips_become_longer(either: Sender) -> None:
    grow(either, 2)
    assert either.recovery.slow_start_threshold is None
    before = either.window
    grow(either, 10, each=0.02)
    assert either.recovery.slow_start_threshold is not None
    assert either.window < before * 2**6


def test_a_round_trip_that_was_longer_once_does_not_end_it(either: Sender) -> None:
    grow(either, 2)
    either.rtt += 0.05
    grow(either, 1)
    either.rtt -= 0.05
    before = either.window
    grow(either, 3)
    assert either.recovery.slow_start_threshold is None
    assert either.window > 4 * before
