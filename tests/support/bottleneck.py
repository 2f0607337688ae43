"""Flows of the compiled recovery that share a simulated bottleneck: packets are numbers and sizes, without bytes.

A queue of bounded size in front of a link of fixed speed, drop-tail, then a delay; acknowledgements have a way of their
own with the same delay. Virtual time, in seconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wtransport._quic._compiled.recovery import Recovery
from wtransport._quic._compiled.space import PacketSpace

__all__ = ["SIZE", "Bottleneck", "Flow", "SentPacket"]

SIZE = 1200
ACK_ROOM = 1000
EXPONENT = 3


@dataclass(slots=True)
class SentPacket:
    """What the recovery reads of aioquic's QuicSentPacket."""

    packet_number: int
    sent_time: float
    sent_bytes: int = SIZE
    is_ack_eliciting: bool = True
    in_flight: bool = True
    is_crypto_packet: bool = False
    delivery_handlers: list[Any] = field(default_factory=list)


class Bottleneck:
    """The link, and the clock of everything around it."""

    def __init__(self, *, rate: float, delay: float, queue: float) -> None:
        """Make a link.

        Args:
            rate: bytes in a second.
            delay: seconds from end to end, each way.
            queue: bytes that wait at most.
        """
        self.rate = rate
        self.delay = delay
        self.queue = queue
        self.now = 0.0
        self.dropped: list[float] = []
        """When packets found the queue full."""
        self.busy = 0.0
        """Seconds in which the link was in use."""
        self._free_at = 0.0
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def call_at(self, when: float, action: Callable[..., None], *arguments: Any) -> None:
        """Do something later."""
        self._count += 1
        heapq.heappush(self._events, (when, self._count, action, arguments))

    def carry(self, size: int, action: Callable[..., None], *arguments: Any) -> None:
        """Take a packet: it arrives later, or finds no room."""
        start = max(self._free_at, self.now)
        if (start - self.now) * self.rate + size > self.queue:
            self.dropped.append(self.now)
            return
        self._free_at = start + size / self.rate
        self.busy += size / self.rate
        self.call_at(self._free_at + self.delay, action, *arguments)

    def run(self, until: float) -> None:
        """Let time pass."""
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, action, arguments = heapq.heappop(events)
            action(*arguments)
        self.now = until


class Flow:
    """A sender and its receiver."""

    def __init__(
        self, link: Bottleneck, *, algorithm: str = "cubic", start: float = 0.0, supply: float | None = None
    ) -> None:
        """Begin to send at `start`: without end, or `supply` bytes in a second."""
        self.link = link
        self.recovery: Any = Recovery(
            congestion_control_algorithm=algorithm,
            initial_rtt=0.1,
            max_datagram_size=SIZE,
            peer_completed_address_validation=True,
            send_probe=self._send_probe,
        )
        self.recovery.handshake_confirmed = True
        self.space: Any = PacketSpace(is_application_data=True)
        self.recovery.spaces = [self.space]
        self.receiver: Any = PacketSpace(is_application_data=True)
        self.number = 0
        self.received: list[tuple[float, int]] = []
        """When packets arrived, and which."""
        self.acknowledgements = 0
        self._supply = supply
        self._used = 0.0
        self._probes = 0
        self._wake_at: float | None = None
        link.call_at(start, self._begin)

    def arrived_between(self, start: float, stop: float) -> int:
        """Return the bytes that the receiver got."""
        return sum(SIZE for at, _ in self.received if start <= at < stop)

    def _begin(self) -> None:
        self._start = self.link.now
        self._send()

    def _send_probe(self) -> None:
        self._probes = 1

    def _may_send(self) -> bool:
        now, recovery = self.link.now, self.recovery
        if self._probes:
            return True
        if self._supply is not None and self._used + SIZE > self._supply * (now - self._start):
            return False
        return bool(recovery.congestion_window - recovery.bytes_in_flight >= SIZE)

    def _send(self) -> None:
        now, recovery = self.link.now, self.recovery
        paced = None
        while self._may_send():
            paced = recovery.next_send_time(now)
            if paced is not None and not self._probes:
                break
            self._probes = 0
            recovery.on_paced(now)
            recovery.on_packet_sent(packet=SentPacket(self.number, now), space=self.space)
            self.link.carry(SIZE, self._arrive, self.number)
            self.number += 1
            self._used += SIZE
            paced = None
        wake = [recovery.get_loss_detection_time(amplification_limited=False), paced]
        if self._supply is not None:
            wake.append(now + 0.005)
        times = [at for at in wake if at is not None]
        if times and (self._wake_at is None or min(times) < self._wake_at or self._wake_at <= now):
            self._wake_at = max(min(times), now)
            self.link.call_at(self._wake_at, self._wake, self._wake_at)

    def _wake(self, at: float) -> None:
        if at != self._wake_at:
            return
        self._wake_at = None
        loss_at = self.recovery.get_loss_detection_time(amplification_limited=False)
        if loss_at is not None and loss_at <= self.link.now:
            self.recovery.on_loss_detection_timeout(now=self.link.now)
        self._send()

    def _arrive(self, number: int) -> None:
        now = self.link.now
        self.received.append((now, number))
        armed = self.receiver.ack_at
        self.receiver.on_packet_received(number, True, now)
        due = self.receiver.ack_at
        if due <= now:
            self._acknowledge()
        elif armed is None:
            self.link.call_at(due, self._acknowledge)

    def _acknowledge(self) -> None:
        due = self.receiver.ack_at
        if due is not None and due <= self.link.now:
            self.acknowledgements += 1
            frame = self.receiver.ack_frame(ACK_ROOM, self.link.now, EXPONENT)
            self.link.call_at(self.link.now + self.link.delay, self._take, frame)

    def _take(self, frame: bytes) -> None:
        self.recovery.on_ack_frame(self.space, frame[1:], False, self.number, self.link.now)
        self._send()
