"""aioquic's loss recovery with what our connections ask of it: a path that takes another's place."""

from __future__ import annotations

import math

import pytest
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicSentPacket
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.tls import Epoch

from wtransport._quic.stock_recovery import StockRecovery


class Sender:
    """A recovery with one space of application data."""

    def __init__(self) -> None:
        self.recovery = StockRecovery(
            congestion_control_algorithm="reno",
            initial_rtt=0.1,
            max_datagram_size=1200,
            peer_completed_address_validation=True,
            send_probe=lambda: None,
        )
        self.space = QuicPacketSpace(is_application_data=True)
        self.recovery.spaces = [self.space]

    def send(self, number: int, at: float) -> None:
        packet = QuicSentPacket(
            epoch=Epoch.ONE_RTT,
            in_flight=True,
            is_ack_eliciting=True,
            is_crypto_packet=False,
            packet_number=number,
            packet_type=QuicPacketType.ONE_RTT,
            sent_time=at,
            sent_bytes=1200,
        )
        self.recovery.on_packet_sent(packet=packet, space=self.space)

    def take(self, acknowledged: range, now: float) -> None:
        self.recovery.on_ack_received(ack_rangeset=RangeSet([acknowledged]), ack_delay=0.0, now=now, space=self.space)


def test_what_was_sent_on_the_old_path_says_nothing_of_the_new_one() -> None:
    """RFC 9000, 9.4."""
    sender = Sender()
    for number in range(4):
        sender.send(number, 1.0)
    sender.take(range(2), 1.5)
    sender.recovery.measure_anew()
    sender.send(4, 2.0)
    sender.take(range(4), 2.1)
    assert sender.recovery.smoothed_rtt == 0.0
    assert sender.recovery._rtt_min == math.inf
    assert sender.recovery.next_send_time(2.1) is None
    assert list(sender.space.sent_packets) == [4]
    sender.take(range(5), 2.2)
    assert sender.recovery.smoothed_rtt == pytest.approx(0.2)
    sender.send(5, 2.2)
    sender.take(range(6), 2.4)
    assert sender.recovery.smoothed_rtt == pytest.approx(0.2)
    assert "on_ack_received" not in vars(sender.recovery)
