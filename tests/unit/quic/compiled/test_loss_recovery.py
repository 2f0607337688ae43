"""Loss recovery by RFC 9002: what is acknowledged, what is lost, and when to look again."""

from __future__ import annotations

import gc
import math
import weakref
from typing import Any

import pytest
from aioquic._buffer import Buffer
from aioquic.quic.packet import push_ack_frame
from aioquic.quic.packet_builder import QuicDeliveryState
from aioquic.quic.rangeset import RangeSet
from bottleneck import SentPacket
from wtransport._quic._compiled.recovery import Recovery
from wtransport._quic._compiled.space import PacketSpace

from wtransport._quic.violations import TransportViolation
from wtransport.constants import ErrorCodes

SIZE = 1200
INITIAL_RTT = 0.1
MAX_ACK_DELAY = 0.025


def ack(*ranges: range, delay: float = 0.0, ecn: bool = False) -> bytes:
    """Return an ACK frame without its type."""
    buf = Buffer(capacity=4000)
    push_ack_frame(buf, RangeSet(ranges), int(delay * 1e6) >> 3, 4000)
    return buf.data + (bytes(3) if ecn else b"")


class Sender:
    """A recovery with one space of application data, and what became of its packets."""

    def __init__(self, *, is_server: bool = True, confirmed: bool = True) -> None:
        self.probes = 0
        self.acknowledged: list[int] = []
        self.lost: list[int] = []
        self.recovery: Any = Recovery(
            congestion_control_algorithm="reno",
            initial_rtt=INITIAL_RTT,
            max_datagram_size=SIZE,
            peer_completed_address_validation=is_server,
            send_probe=self._probe,
        )
        self.recovery.handshake_confirmed = confirmed
        self.handshake: Any = PacketSpace()
        self.space: Any = PacketSpace(is_application_data=True)
        self.recovery.spaces = [self.handshake, self.space]
        self.next = 0

    def _probe(self) -> None:
        self.probes += 1

    def _settle(self, state: QuicDeliveryState, number: int) -> None:
        (self.acknowledged if state is QuicDeliveryState.ACKED else self.lost).append(number)

    def send(self, *times: float, space: Any = None, **fields: Any) -> None:
        for at in times:
            handlers = [(self._settle, (self.next,))]
            packet = SentPacket(self.next, at, delivery_handlers=handlers, **fields)
            self.recovery.on_packet_sent(packet=packet, space=space or self.space)
            self.next += 1

    def take(self, frame: bytes, now: float, *, space: Any = None, is_ecn: bool = False) -> int:
        size: int = self.recovery.on_ack_frame(space or self.space, frame, is_ecn, self.next, now)
        return size

    @property
    def timer(self) -> float | None:
        at: float | None = self.recovery.get_loss_detection_time(amplification_limited=False)
        return at


@pytest.fixture
def sender() -> Sender:
    return Sender()


def test_acknowledged_packets_are_settled_once_and_are_not_under_way(sender: Sender) -> None:
    sender.send(1.0, 1.0, 1.0, 1.0)
    assert sender.recovery.bytes_in_flight == 4 * SIZE
    sender.take(ack(range(1), range(2, 3)), 1.1)
    sender.take(ack(range(1), range(2, 4)), 1.1)
    assert sender.acknowledged == [0, 2, 3]
    assert sender.recovery.bytes_in_flight == SIZE
    assert sender.space.ack_eliciting_in_flight == 1
    assert sender.space.sent_numbers == [1]


def test_the_size_of_the_frame_is_told(sender: Sender) -> None:
    sender.send(1.0, 1.0, 1.0)
    for is_ecn in (False, True):
        frame = ack(range(1), range(2, 3), ecn=is_ecn)
        assert sender.take(frame + b"\x01\x01\x01", 1.1, is_ecn=is_ecn) == len(frame)


def test_ranges_are_acknowledged_from_the_lowest_up(sender: Sender) -> None:
    sender.send(*[1.0] * 50)
    sender.take(ack(*(range(number, number + 1) for number in range(1, 50, 2))), 1.1)
    assert sender.acknowledged == list(range(1, 50, 2))


def test_a_frame_may_have_any_number_of_ranges(sender: Sender) -> None:
    sender.send(*[1.0] * 210)
    sender.take(ack(*(range(number, number + 1) for number in range(9, 210, 2))), 1.1)
    assert sorted(sender.acknowledged) == list(range(9, 210, 2))
    assert sender.lost == [number for number in range(207) if number < 9 or number % 2 == 0]


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_cut_frame_is_an_error_and_changes_nothing(sender: Sender, cut: int) -> None:
    sender.send(1.0, 1.0, 1.0)
    with pytest.raises(TransportViolation) as caught:
        sender.take(ack(range(1), range(2, 3))[:-cut], 1.1)
    assert caught.value.error_code == ErrorCodes.FRAME_ENCODING_ERROR
    assert sender.acknowledged == []


@pytest.mark.parametrize("frame", ["01000002", "050001010201", "050001010300"])
def test_negative_packet_numbers_are_an_error(sender: Sender, frame: str) -> None:
    sender.send(*[1.0] * 6)
    with pytest.raises(TransportViolation) as caught:
        sender.take(bytes.fromhex(frame), 1.1)
    assert caught.value.error_code == ErrorCodes.FRAME_ENCODING_ERROR


def test_packets_that_were_not_sent_cannot_be_acknowledged(sender: Sender) -> None:
    sender.send(1.0)
    with pytest.raises(TransportViolation) as caught:
        sender.take(ack(range(2)), 1.1)
    assert caught.value.error_code == ErrorCodes.PROTOCOL_VIOLATION
    sender.take(ack(range(1)), 1.1)


# Round-trip times (section 5).


def test_the_first_sample_is_the_estimate(sender: Sender) -> None:
    assert sender.recovery.smoothed_rtt == 0.0
    sender.send(1.0)
    sender.take(ack(range(1)), 1.0001)
    assert sender.recovery.smoothed_rtt == sender.recovery.min_rtt == pytest.approx(0.0001)
    assert sender.recovery.rtt_variance == pytest.approx(0.00005)
    assert sender.recovery.get_probe_timeout(include_max_ack_delay=False) == pytest.approx(0.0011)


def test_later_samples_move_the_estimate(sender: Sender) -> None:
    sender.send(1.0, 2.0, 3.0)
    sender.take(ack(range(1)), 1.1)
    sender.take(ack(range(2)), 2.2)
    assert sender.recovery.latest_rtt == pytest.approx(0.2)
    assert sender.recovery.rtt_variance == pytest.approx(0.75 * 0.05 + 0.25 * 0.1)
    assert sender.recovery.smoothed_rtt == pytest.approx(0.875 * 0.1 + 0.125 * 0.2)


@pytest.mark.parametrize(
    ("delay", "latest"), [(0.01, 0.19), (0.5, 0.2 - MAX_ACK_DELAY)], ids=["told", "more than announced"]
)
def test_the_peers_delay_is_taken_off(sender: Sender, delay: float, latest: float) -> None:
    sender.send(1.0, 2.0)
    sender.take(ack(range(1)), 1.1)
    sender.take(ack(range(2), delay=delay), 2.2)
    assert sender.recovery.latest_rtt == pytest.approx(latest, abs=1e-5)
    assert sender.recovery.min_rtt == pytest.approx(0.1)


def test_the_delay_does_not_lead_below_the_minimum(sender: Sender) -> None:
    sender.send(1.0, 2.0)
    sender.take(ack(range(1)), 1.1)
    sender.take(ack(range(2), delay=0.02), 2.11)
    assert sender.recovery.latest_rtt == pytest.approx(0.11)


def test_delays_during_the_handshake_do_not_count() -> None:
    sender = Sender(confirmed=False)
    sender.send(1.0, 2.0, space=sender.handshake)
    sender.take(ack(range(1)), 1.1, space=sender.handshake)
    sender.take(ack(range(2), delay=0.02), 2.2, space=sender.handshake)
    assert sender.recovery.latest_rtt == pytest.approx(0.2)


def test_only_the_largest_packet_newly_acknowledged_is_a_sample(sender: Sender) -> None:
    sender.send(1.0, 1.5)
    sender.take(ack(range(1, 2)), 1.6)
    assert sender.recovery.smoothed_rtt == pytest.approx(0.1)
    sender.take(ack(range(2)), 9.0)
    assert sender.recovery.smoothed_rtt == pytest.approx(0.1)


def test_packets_that_ask_for_nothing_are_no_sample(sender: Sender) -> None:
    sender.send(1.0, is_ack_eliciting=False, in_flight=False)
    sender.take(ack(range(1)), 1.5)
    assert sender.recovery.smoothed_rtt == 0.0
    sender.send(2.0)
    sender.send(2.1, is_ack_eliciting=False, in_flight=False)
    sender.take(ack(range(3)), 2.2)
    assert sender.recovery.smoothed_rtt == pytest.approx(0.1)


# Losses (section 6.1).


def test_three_packets_later_a_packet_is_lost(sender: Sender) -> None:
    sender.send(1.0, 1.0, 1.0, 1.0, 1.0)
    sender.take(ack(range(2, 3)), 1.1)
    assert sender.lost == []
    sender.take(ack(range(2, 4)), 1.1)
    assert sender.lost == [0]
    sender.take(ack(range(2, 5)), 1.1)
    assert sender.lost == [0, 1]
    assert sender.recovery.bytes_in_flight == 0


def test_a_packet_is_lost_in_time(sender: Sender) -> None:
    sender.send(1.0, 1.01)
    sender.take(ack(range(1, 2)), 1.11)
    assert sender.timer == pytest.approx(1.0 + 9 / 8 * 0.1)
    assert sender.timer is not None
    sender.recovery.on_loss_detection_timeout(now=sender.timer)
    assert sender.lost == [0]
    assert sender.timer is None
    assert sender.probes == 0


def test_a_loss_needs_a_millisecond_at_least(sender: Sender) -> None:
    sender.send(1.0, 1.00001)
    sender.take(ack(range(1, 2)), 1.00006)
    assert sender.timer == pytest.approx(1.001)


def test_a_lost_packet_that_arrives_later_is_no_news(sender: Sender) -> None:
    sender.send(*[1.0] * 5)
    sender.take(ack(range(1, 5)), 1.1)
    window = sender.recovery.congestion_window
    sender.take(ack(range(5)), 1.2)
    assert (sender.lost, sender.acknowledged) == ([0], [1, 2, 3, 4])
    assert sender.recovery.congestion_window == window
    assert sender.recovery.bytes_in_flight == 0


# The probe timeout (section 6.2).


def test_probes_follow_at_doubled_times(sender: Sender) -> None:
    sender.send(1.0)
    timeout = 2 * INITIAL_RTT
    at = 1.0
    for count in range(4):
        assert sender.timer == pytest.approx(at + timeout * 2**count)
        assert sender.timer is not None
        at = sender.timer
        sender.recovery.on_loss_detection_timeout(now=at)
        assert sender.probes == count + 1
        sender.send(at)
    sender.take(ack(range(sender.next)), at + 0.1)
    assert sender.recovery.pto_count == 0
    assert sender.timer is None


def test_a_probe_carries_what_the_oldest_packet_had_and_is_no_congestion(sender: Sender) -> None:
    sender.send(1.0, is_ack_eliciting=False, in_flight=False)
    sender.send(1.0, 1.0)
    window = sender.recovery.congestion_window
    sender.recovery.on_loss_detection_timeout(now=1.2)
    assert sender.lost == [1]
    assert sender.recovery.congestion_window == window
    assert sender.recovery.bytes_in_flight == SIZE


def test_the_peers_delay_counts_once_the_handshake_is_confirmed(sender: Sender) -> None:
    sender.send(1.0, 2.0)
    sender.take(ack(range(1)), 1.1)
    without = sender.recovery.get_probe_timeout(include_max_ack_delay=False)
    assert sender.recovery.get_probe_timeout() == pytest.approx(without + MAX_ACK_DELAY)
    assert sender.timer == pytest.approx(2.0 + without + MAX_ACK_DELAY)


def test_data_arms_no_timer_before_the_handshake_is_confirmed() -> None:
    sender = Sender(confirmed=False)
    sender.send(1.0)
    assert sender.timer is None
    sender.send(1.5, space=sender.handshake)
    sender.send(2.0)
    assert sender.timer == pytest.approx(1.5 + 2 * INITIAL_RTT)
    sender.recovery.on_loss_detection_timeout(now=1.7)
    assert sender.lost == [1]
    sender.recovery.discard_space(sender.handshake)
    sender.recovery.handshake_confirmed = True
    assert sender.timer is not None
    assert sender.recovery.pto_count == 0


def test_a_client_keeps_its_timer_until_the_server_knows_its_address() -> None:
    sender = Sender(is_server=False, confirmed=False)
    sender.send(1.0, space=sender.handshake)
    sender.recovery.on_loss_detection_timeout(now=1.2)
    sender.send(1.2, space=sender.handshake)
    sender.take(ack(range(1, 2)), 1.3, space=sender.handshake)
    assert sender.recovery.pto_count == 1
    assert sender.timer is not None
    sender.recovery.peer_completed_address_validation = True
    assert sender.timer is None


def test_a_server_that_may_send_nothing_sends_no_probe(sender: Sender) -> None:
    sender.send(1.0, 1.0)
    assert sender.recovery.get_loss_detection_time(amplification_limited=True) is None
    sender.take(ack(range(1, 2)), 1.1)
    assert sender.recovery.get_loss_detection_time(amplification_limited=True) is not None


def test_handshake_data_goes_first_and_alone() -> None:
    sender = Sender(confirmed=False)
    sender.send(1.0, 1.0, space=sender.handshake, is_crypto_packet=True)
    sender.send(1.0)
    sender.recovery.reschedule_data(now=1.1, speed_up_handshake=True)
    assert sender.lost == [0, 1]
    assert sender.probes == 1
    sender.recovery.reschedule_data(now=1.1, speed_up_handshake=True)
    assert sender.lost == [0, 1]
    assert sender.probes == 2


# What a connection asks for besides.


def test_a_discarded_space_counts_no_more(sender: Sender) -> None:
    sender.send(1.0, 1.0)
    sender.send(1.0, space=sender.handshake)
    sender.recovery.discard_space(sender.space)
    assert sender.recovery.bytes_in_flight == SIZE
    assert (sender.acknowledged, sender.lost) == ([], [])
    assert (sender.space.ack_at, sender.space.loss_time, sender.space.sent_numbers) == (None, None, [])


def test_new_spaces_replace_those_before(sender: Sender) -> None:
    sender.send(1.0)
    sender.recovery.spaces = [PacketSpace(is_application_data=True)]
    assert sender.recovery.bytes_in_flight == 0
    assert sender.timer is None


def test_a_new_path_begins_with_nothing(sender: Sender) -> None:
    sender.send(*[1.0] * 8)
    sender.take(ack(range(4)), 1.5)
    sender.recovery.measure_anew()
    assert sender.recovery.bytes_in_flight == 0
    assert sender.recovery.congestion_window == 10 * SIZE
    assert sender.recovery.smoothed_rtt == 0.0
    assert sender.recovery.min_rtt == math.inf
    # What was sent on the old path arrives, or not, and says nothing of the new one.
    sender.send(2.0)
    sender.take(ack(range(7, 8)), 2.1)
    assert sender.recovery.smoothed_rtt == 0.0
    sender.take(ack(range(7, 9)), 2.1)
    assert sender.lost == [4, 5, 6]
    assert sender.recovery.smoothed_rtt == pytest.approx(0.1)
    assert sender.recovery.slow_start_threshold is None
    assert sender.recovery.bytes_in_flight == 0


def test_a_window_holds_two_packets_however_large_they_become(sender: Sender) -> None:
    sender.recovery.congestion_window = 2 * SIZE
    sender.recovery.set_datagram_size(9000)  # with nothing under way, no acknowledgement would ever make it larger
    assert sender.recovery.congestion_window == 2 * 9000


def test_packets_are_paced_however_large_they_become(sender: Sender) -> None:
    sender.send(1.0)
    sender.take(ack(range(1)), 1.1)
    sender.recovery.set_datagram_size(16_000)
    assert sender.recovery.next_send_time(60.0) is None


def test_a_round_trip_that_took_long_here_does_not_slow_packets_after_it(sender: Sender) -> None:
    sender.send(1.0)
    sender.take(ack(range(1)), 2.0)  # read a second late, as this end was busy
    sender.send(2.0)
    sender.take(ack(range(2)), 2.001)
    for _ in range(60):
        sender.recovery.on_paced(2.001)
    assert 2.001 < sender.recovery.next_send_time(2.001) < 2.005  # paced, by the last round trip
    assert sender.recovery.smoothed_rtt > 0.5


def test_packets_that_nobody_acknowledges_are_forgotten(sender: Sender) -> None:
    sender.send(*[1.0] * 1000, is_ack_eliciting=False, in_flight=False)  # acknowledgements, which get none
    assert len(sender.space.sent_numbers) < 200
    assert sender.recovery.bytes_in_flight == 0
    assert sender.lost == list(range(sender.lost[-1] + 1))


def test_packets_that_nobody_acknowledges_are_forgotten_behind_one_that_waits(sender: Sender) -> None:
    """A peer that acknowledges nothing has us acknowledge whatever it sends."""
    sender.send(1.0)
    sender.send(*[1.0] * 20_000, is_ack_eliciting=False, in_flight=False)
    sender.send(1.0)
    assert len(sender.space.sent_numbers) < 2000
    assert {0, 20_001} <= set(sender.space.sent_numbers)
    assert sender.space.ack_eliciting_in_flight == 2
    sender.take(ack(range(20_002)), 1.1)
    assert sender.acknowledged[0] == 0
    assert sender.acknowledged[-1] == 20_001
    assert sorted(sender.acknowledged + sender.lost) == list(range(20_002))
    assert sender.space.sent_numbers == []
    assert sender.recovery.bytes_in_flight == 0


def test_a_packet_that_asks_for_nothing_is_not_given_up_early_for_the_data_behind_it(sender: Sender) -> None:
    """Such is a probe for a larger size of packets, in the middle of a large window."""
    sender.send(1.0, is_ack_eliciting=False, in_flight=False)
    sender.send(*[1.0] * 300)
    sender.send(1.0, is_ack_eliciting=False, in_flight=False)
    assert sender.lost == []
    sender.take(ack(range(1)), 1.1)
    assert sender.acknowledged == [0]


def test_handlers_may_use_the_recovery(sender: Sender) -> None:
    def repeat(state: QuicDeliveryState) -> None:
        sender.send(1.2)
        sender.recovery.set_datagram_size(1400)
        sender.recovery.reschedule_data(now=1.2)

    sender.recovery.on_packet_sent(packet=SentPacket(0, 1.0, delivery_handlers=[(repeat, ())]), space=sender.space)
    sender.next = 1
    sender.take(ack(range(1)), 1.1)
    assert sender.lost == [1]
    assert sender.recovery.bytes_in_flight == 0


def test_a_handler_that_fails_does_not_keep_others(sender: Sender) -> None:
    def fail(state: QuicDeliveryState) -> None:
        raise KeyError

    sender.recovery.on_packet_sent(packet=SentPacket(0, 1.0, delivery_handlers=[(fail, ())]), space=sender.space)
    sender.next = 1
    sender.send(1.0)
    with pytest.raises(KeyError):
        sender.take(ack(range(1)), 1.1)
    sender.take(ack(range(2)), 1.1)
    assert sender.acknowledged == [1]


def test_a_circle_through_a_handler_is_collected() -> None:
    sender = Sender()
    sender.send(1.0)  # the handler is the sender's, and the sender has the recovery
    gone = weakref.ref(sender)
    del sender
    gc.collect()
    assert gone() is None


class Watcher:
    def __init__(self, *answers: bool) -> None:
        self.lost: list[tuple[int, int, float]] = []
        self.arrived: list[int] = []
        self.answers = list(answers)

    def on_large_lost(self, number: int, smallest: int, sent_at: float) -> bool:
        self.lost.append((number, smallest, sent_at))
        return self.answers.pop(0)

    def on_arrived(self, size: int) -> bool:
        self.arrived.append(size)
        return self.answers.pop(0)


def test_a_watcher_hears_of_large_packets_that_are_lost_and_then_of_what_arrives(sender: Sender) -> None:
    watcher = Watcher(True, True, False)
    sender.recovery.watch_large_packets(SIZE, watcher)
    sender.send(1.0, 1.1, sent_bytes=1400)
    sender.send(1.2, sent_bytes=1300)
    sender.send(1.3, sent_bytes=1500, in_flight=False, is_ack_eliciting=False)  # a probe of the path's size
    sender.send(1.4, 1.4, 1.4, 1.4)
    sender.take(ack(range(6, 8)), 1.5)
    assert (watcher.lost, watcher.arrived) == ([(2, 1300, 1.2)], [])
    assert sender.lost == [0, 1, 2, 3, 4]
    sender.send(1.6, 1.6)
    sender.send(1.6, sent_bytes=1400)
    sender.take(ack(range(6, 9)), 1.7)
    sender.take(ack(range(6, 11)), 1.7)
    sender.send(1.8, sent_bytes=1400)
    sender.take(ack(range(6, 12)), 1.9)
    assert watcher.arrived == [1200, 1400]
    sender.recovery.watch_large_packets(SIZE, None)
    sender.send(*[2.0] * 5, sent_bytes=1400)
    sender.take(ack(range(15, 17)), 2.1)
    assert len(watcher.lost) == 1


def test_a_probe_timeout_counts_as_a_loss_of_a_large_packet(sender: Sender) -> None:
    watcher = Watcher(False)
    sender.recovery.watch_large_packets(SIZE, watcher)
    sender.send(1.0, sent_bytes=1400)
    sender.recovery.on_loss_detection_timeout(now=1.2)
    assert watcher.lost == [(0, 1400, 1.0)]
