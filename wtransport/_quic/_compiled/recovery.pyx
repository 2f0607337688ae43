# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, cdivision=True
"""Loss recovery of a connection (RFC 9002); takes the place of aioquic's ``QuicPacketRecovery``, with the same interface.

A packet whose frames are sent again is settled: acknowledged later, it counts no more.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint32_t, uint64_t

from .probing cimport Probing
from .sent cimport FRAME_PYTHON, FrameList, frames_clear, frames_free, frames_push
from .space cimport SENT_CRYPTO, SENT_ELICITING, SENT_IN_FLIGHT, SENT_SETTLED, PacketSpace, SentPacket

from aioquic.quic.packet_builder import QuicDeliveryState

cdef object _ACKED = QuicDeliveryState.ACKED
cdef object _LOST = QuicDeliveryState.LOST


cdef class Recovery(Probing):
    """Knows what became of the packets that were sent, in all spaces of a connection."""

    def __init__(self, **options):
        Probing.__init__(self, **options)
        self._handlers = {}

    @property
    def spaces(self):
        """The packet number spaces."""
        return self._spaces

    @spaces.setter
    def spaces(self, list spaces):
        cdef PacketSpace space
        for space in self._spaces:
            self.discard_space(space)
        # aioquic sets its own first, which are never used.
        self._spaces = [each for each in spaces if type(each) is PacketSpace]

    @property
    def bytes_in_flight(self):
        """Bytes under way."""
        return <int64_t> self.congestion.in_flight

    @property
    def congestion_window(self):
        """Bytes that may be under way: what is, and as many whole packets as the window leaves room for."""
        return <int64_t> self.congestion.in_flight + self.congestion.room()

    @congestion_window.setter
    def congestion_window(self, double window):
        self.congestion.window = window

    @property
    def slow_start_threshold(self):
        """The window, in bytes, at which slow start ends; None before the first congestion."""
        return None if self.congestion.threshold == INFINITY else <int64_t> self.congestion.threshold

    def discard_space(self, PacketSpace space):
        """Forget a space's packets; they are neither acknowledged nor lost."""
        cdef Py_ssize_t i, j
        cdef SentPacket* packet
        for i in range(space.sent_count):
            packet = space.sent_at(i)
            if packet.flags & SENT_SETTLED:
                continue
            if packet.flags & SENT_IN_FLIGHT:
                self.congestion.on_expired(packet.size)
            for j in range(packet.frames.count):
                if packet.frames.items[j].kind == FRAME_PYTHON:
                    self._handlers.pop(packet.frames.items[j].offset, None)
        space.clear_sent()
        space.ack_eliciting_in_flight = 0
        space.ack_due = space.loss_at = space.lost_since = INFINITY
        self.pto_count = 0

    def get_loss_detection_time(self, *, bint amplification_limited):
        """Return when `on_loss_detection_timeout` is to be called, or None."""
        cdef double at = self.timer(amplification_limited)
        return None if at == INFINITY else at

    def get_probe_timeout(self, *, bint include_max_ack_delay=True):
        """Return the probe timeout without backoff, in seconds."""
        return self.probe_timeout(self.max_ack_delay if include_max_ack_delay else 0.0)

    def on_ack_frame(self, PacketSpace space, bytes data, bint is_ecn, uint64_t next_number, double now):
        """Take an ACK frame, without its type, at the beginning of data; return its size.

        Raises:
            TransportViolation: it is malformed, or acknowledges a packet from `next_number` up.
        """
        cdef Py_ssize_t size = self.on_ack(
            space, <const unsigned char*> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), is_ecn, next_number, now
        )
        self.drain()
        return size

    def on_loss_detection_timeout(self, *, double now):
        """Find out what is lost, or send a probe."""
        self.on_timeout(now)
        self.drain()

    def on_packet_sent(self, *, packet, PacketSpace space):
        """Take a packet of aioquic's builder."""
        cdef FrameList frames = FrameList(NULL, 0, 0)
        cdef int flags = 0
        cdef uint64_t number = packet.packet_number
        if packet.is_ack_eliciting:
            flags |= SENT_ELICITING
        if packet.in_flight:
            flags |= SENT_IN_FLIGHT
        if packet.is_crypto_packet:
            flags |= SENT_CRYPTO
        handlers = packet.delivery_handlers
        if handlers:
            frames_push(&frames, FRAME_PYTHON, None).offset = number
            self._handlers[number] = handlers
        try:
            self.record(space, number, packet.sent_bytes, flags, &frames, packet.sent_time)
        finally:
            frames_free(&frames)
        if self.lost.count:
            self.drain()

    def reschedule_data(self, *, double now, bint speed_up_handshake=False):
        """Send again what is under way of the handshake, or else the oldest packet, and send a probe."""
        self.reschedule(now, speed_up_handshake)
        self.drain()

    def next_send_time(self, double now):
        """Return when the pacer lets the next packet go, or None: now."""
        return self.pacer.next_send_time(now)

    def on_paced(self, double now):
        """Take note of a packet that was built, of which `on_packet_sent` will tell later."""
        self.pacer.on_sent(self.pacer.datagram_size, now)

    def set_datagram_size(self, int size):
        """Count in packets of so many bytes from now on."""
        self.congestion.set_datagram_size(size)
        self.pacer.datagram_size = size
        self._set_pace()  # a burst holds such packets

    def measure_anew(self):
        """Forget round-trip times and congestion; what is under way does not count for the new path."""
        cdef PacketSpace space
        cdef Py_ssize_t i
        for space in self._spaces:
            for i in range(space.sent_count):
                space.sent_at(i).flags &= ~SENT_IN_FLIGHT
            if space.sent_count:
                self.measured_from = max(self.measured_from, space.sent_at(space.sent_count - 1).number + 1)
        self.congestion.restart()
        self.pacer.restart(self.pacer.datagram_size)
        self.pto_count = 0
        self.forget_samples()

    def watch_large_packets(self, above, watcher):
        """Tell a watcher of packets of more than `above` bytes that are lost; None: nobody.

        ``on_large_lost(number, smallest, sent_at)`` is called once for all packets that are lost together: with the
        number of the latest, the size of the smallest, and when the latest was sent. While that, or ``on_arrived(size)``
        after it, returns True, the latter is called with the largest size that each ACK frame acknowledges.
        """
        self.large_above = <uint32_t> -1 if watcher is None else above
        self._watcher = watcher
        self._watches_acknowledged = False
        self.smallest_large = self.largest_acknowledged = 0

    cdef void set_sink(self, object owner, Sink sink):
        """Have a function called with the fate of every frame that is not of FRAME_PYTHON; owner is its first argument."""
        self._sink_owner = owner
        self._sink = sink

    cdef int drain(self) except -1:
        if self.acknowledged.count:
            self._settle(&self.acknowledged, True)
        if self.lost.count:
            self._settle(&self.lost, False)
        if self._watches_acknowledged or self.smallest_large:
            self._tell_watcher()
        self.largest_acknowledged = 0
        return 0

    cdef int _settle(self, FrameList* frames, bint acknowledged) except -1:
        """Tell those whom it concerns what became of frames."""
        cdef FrameList settled = frames[0]
        cdef Py_ssize_t i
        # What is called may come back to this object: it finds an empty list.
        frames[0] = FrameList(NULL, 0, 0)
        state = _ACKED if acknowledged else _LOST
        try:
            for i in range(settled.count):
                if settled.items[i].kind == FRAME_PYTHON:
                    for handler, arguments in self._handlers.pop(settled.items[i].offset, ()):
                        handler(state, *arguments)
                elif self._sink != NULL:
                    self._sink(self._sink_owner, &settled.items[i], acknowledged)
        finally:
            frames_clear(&settled)
            if frames.items == NULL:
                frames[0] = settled
            else:
                frames_free(&settled)
        return 0

    cdef int _tell_watcher(self) except -1:
        cdef uint32_t arrived = self.largest_acknowledged
        cdef uint32_t smallest = self.smallest_large
        self.smallest_large = 0
        if self._watcher is None:
            return 0
        if self._watches_acknowledged and arrived:
            self._watches_acknowledged = self._watcher.on_arrived(arrived)
        if smallest:
            self._watches_acknowledged = self._watcher.on_large_lost(self.large_number, smallest, self.large_sent_at)
        return 0
