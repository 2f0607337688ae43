"""aioquic's loss recovery with what our connections ask of it; the compiled recovery has the same methods.

Knows aioquic's privates, so that the connections need not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from aioquic.quic.congestion.base import K_GRANULARITY, create_congestion_control
from aioquic.quic.packet_builder import QuicSentPacket
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.recovery import QuicPacketPacer, QuicPacketRecovery


class LargePacketWatcher(Protocol):
    """Who wants to know what becomes of packets above a size."""

    def on_large_lost(self, number: int, smallest: int, sent_at: float) -> bool:
        """Take a loss, once for all packets that are lost together; True: tell also what arrives from now on.

        Args:
            number: of the latest of them.
            smallest: bytes of the smallest of them.
            sent_at: when the latest was sent.
        """

    def on_arrived(self, size: int) -> bool:
        """Take the size of a packet that was acknowledged, or the largest of several; True: go on telling."""


def _nobody() -> None:
    """Stand in for a connection that is over."""


class StockRecovery(QuicPacketRecovery):
    """A `QuicPacketRecovery` that can be measured, set to another packet size and watched from outside."""

    def __init__(
        self,
        *,
        congestion_control_algorithm: str,
        initial_rtt: float,
        max_datagram_size: int,
        peer_completed_address_validation: bool,
        send_probe: Callable[[], None],
    ) -> None:
        super().__init__(
            congestion_control_algorithm=congestion_control_algorithm,
            initial_rtt=initial_rtt,
            max_datagram_size=max_datagram_size,
            peer_completed_address_validation=peer_completed_address_validation,
            send_probe=send_probe,
        )
        self.ack_delay_exponent = 3  # for the compiled recovery's sake: aioquic scales delays before it tells of them
        self._algorithm = congestion_control_algorithm
        self._datagram_size = max_datagram_size
        self._above = 0
        self._measured_from = 0  # packets below this were sent on another path
        self._watcher: LargePacketWatcher | None = None

    def leave(self) -> None:
        """Let go of the connection, which is over."""
        self._send_probe = _nobody
        vars(self).pop("on_ack_received", None)

    @property
    def congestion_window(self) -> int:
        """Bytes that may be under way."""
        return self._cc.congestion_window

    @congestion_window.setter
    def congestion_window(self, window: int) -> None:
        self._cc.congestion_window = window

    @property
    def slow_start_threshold(self) -> int | None:
        """The window, in bytes, at which slow start ends; None before the first congestion."""
        return self._cc.ssthresh

    @property
    def smoothed_rtt(self) -> float:
        """The smoothed round-trip time, in seconds; 0.0 before the first sample."""
        return self._rtt_smoothed

    @property
    def pto_count(self) -> int:
        """How many probe timeouts there were in a row."""
        return self._pto_count

    def get_probe_timeout(self, *, include_max_ack_delay: bool = True) -> float:
        """Return the probe timeout without backoff, in seconds."""
        # As aioquic has it, but with a constant that is looked up once: this is asked for every packet.
        if not self._rtt_initialized:
            return 2 * self._rtt_initial
        timeout = self._rtt_smoothed + max(4 * self._rtt_variance, K_GRANULARITY)
        return timeout + self.max_ack_delay if include_max_ack_delay else timeout

    def next_send_time(self, now: float) -> float | None:
        """Return when the pacer lets the next packet go, or None: now."""
        return self._pacer.next_send_time(now=now)

    def on_paced(self, now: float) -> None:
        """Take note of a packet that was built, of which `on_packet_sent` will tell later."""
        self._pacer.update_after_send(now=now)

    def set_datagram_size(self, size: int) -> None:
        """Count in packets of so many bytes from now on."""
        control: Any = self._cc
        self._datagram_size = control._max_datagram_size = self._pacer._max_datagram_size = size
        if hasattr(control, "additive_increase_factor"):  # CUBIC's
            control.additive_increase_factor = size

    def measure_anew(self) -> None:
        """Forget round-trip times and congestion; what is under way does not count for the new path."""
        for space in self.spaces:
            for packet in space.sent_packets.values():
                packet.in_flight = False
                self._measured_from = max(self._measured_from, packet.packet_number + 1)
        self._cc = create_congestion_control(self._algorithm, max_datagram_size=self._datagram_size)
        self._pacer = QuicPacketPacer(max_datagram_size=self._datagram_size)
        self._pto_count = 0
        self._rtt_initialized = False
        self._rtt_min = math.inf
        self._rtt_latest = self._rtt_smoothed = self._rtt_variance = 0.0
        self.watch_large_packets(self._above, self._watcher)
        vars(self)["on_ack_received"] = self._take_ack_of_old_path

    def _take_ack_of_old_path(self, *, ack_rangeset: RangeSet, **arguments: Any) -> None:
        """Take an ACK frame, whose round-trip time is no sample while it is one of the old path (RFC 9000, 9.4)."""
        if ack_rangeset.bounds().stop > self._measured_from:
            vars(self).pop("on_ack_received", None)
            super().on_ack_received(ack_rangeset=ack_rangeset, **arguments)
            return
        samples = {name: value for name, value in vars(self).items() if name.startswith("_rtt")}
        super().on_ack_received(ack_rangeset=ack_rangeset, **arguments)
        vars(self).update(samples)
        self._pacer = QuicPacketPacer(max_datagram_size=self._datagram_size)  # its rate is by the other path

    # Packets above a size. The congestion control is told of all packets, so that it is where to listen.

    def watch_large_packets(self, above: int, watcher: LargePacketWatcher | None) -> None:
        """Tell a watcher of packets of more than `above` bytes that are lost; None: nobody."""
        control: Any = self._cc
        self._above, self._watcher = above, watcher
        for name in ("on_packets_lost", "on_packets_expired", "on_packet_acked"):
            vars(control).pop(name, None)
        if watcher is not None:
            # On the instance, and the third one only when there was a loss: packets that arrive do not pay for it.
            control.on_packets_lost = self._take_lost
            control.on_packets_expired = self._take_expired

    def _take_lost(self, *, now: float, packets: Iterable[QuicSentPacket]) -> None:
        control = self._cc
        type(control).on_packets_lost(control, now=now, packets=packets)
        self._tell_of_large(packets)

    def _take_expired(self, *, packets: Iterable[QuicSentPacket]) -> None:
        control, packets = self._cc, list(packets)
        type(control).on_packets_expired(control, packets=packets)
        self._tell_of_large(packets)

    def _take_acknowledged(self, *, now: float, packet: QuicSentPacket) -> None:
        control: Any = self._cc
        type(control).on_packet_acked(control, now=now, packet=packet)
        if self._watcher is None or not self._watcher.on_arrived(packet.sent_bytes):
            vars(control).pop("on_packet_acked", None)

    def _tell_of_large(self, packets: Iterable[QuicSentPacket]) -> None:
        large = [packet for packet in packets if packet.sent_bytes > self._above]
        if not large or self._watcher is None:
            return
        latest = large[-1]
        smallest = min(packet.sent_bytes for packet in large)
        if self._watcher.on_large_lost(latest.packet_number, smallest, latest.sent_time or 0.0):
            control: Any = self._cc
            control.on_packet_acked = self._take_acknowledged
