# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, cdivision=True
"""Loss detection (RFC 9002): which packets arrived, and which are lost."""

from __future__ import annotations

from libc.math cimport INFINITY, fmin, ldexp
from libc.stdint cimport int64_t, uint32_t, uint64_t

from ..._speedups._compiled.wire cimport read_varint
from .acks cimport ack_size
from .congestion cimport CongestionControl, create_congestion_control
from .pacing cimport Pacer
from .round_trip cimport RoundTrip
from .sent cimport FRAME_ACK, FrameList, SentFrame, frames_free, frames_move
from .space cimport (
    SENT_ACKNOWLEDGED,
    SENT_ELICITING,
    SENT_IN_FLIGHT,
    SENT_LOST,
    SENT_RESCHEDULED,
    SENT_SETTLED,
    PacketSpace,
    SentPacket,
)

from ...constants import ErrorCodes
from ..violations import TransportViolation

cdef enum:
    PACKET_THRESHOLD = 3
    PERSISTENT_CONGESTION = 3
    # Records that are kept of packets which nobody has to acknowledge; older ones are forgotten.
    IDLE_RECORDS = 128
    # The same while an older packet waits for its acknowledgement; of more of them nothing is kept.
    MAX_IDLE_RECORDS = 1024
    # Ranges of an ACK frame that are worked on together, from the lowest up.
    RANGE_BATCH = 32

# What the peer gets before it tells us (RFC 9000, 18.2).
cdef double DEFAULT_MAX_ACK_DELAY = 0.025
cdef int DEFAULT_ACK_DELAY_EXPONENT = 3


cdef class LossDetection(RoundTrip):
    """The packets that were sent, in all spaces of a connection, until their fate is known."""

    def __init__(
        self,
        *,
        str congestion_control_algorithm,
        double initial_rtt,
        int max_datagram_size,
        bint peer_completed_address_validation,
    ):
        RoundTrip.__init__(self, initial_rtt=initial_rtt)
        self.max_ack_delay = DEFAULT_MAX_ACK_DELAY
        self.ack_delay_exponent = DEFAULT_ACK_DELAY_EXPONENT
        self.peer_completed_address_validation = peer_completed_address_validation
        self.congestion = create_congestion_control(congestion_control_algorithm, max_datagram_size)
        self.pacer = Pacer(datagram_size=max_datagram_size)
        self.large_above = <uint32_t> -1

    def __dealloc__(self):
        frames_free(&self.acknowledged)
        frames_free(&self.lost)

    cdef Py_ssize_t room(self) noexcept:
        return self.congestion.room()

    cdef double send_time(self, double now) noexcept:
        return self.pacer.send_time(now)

    cdef int on_sent(
        self, PacketSpace space, uint64_t number, Py_ssize_t size, bint ack_eliciting, bint in_flight,
        FrameList* frames, double now
    ) except -1:
        if in_flight:
            self.pacer.on_sent(size, now)
        return self.record(
            space, number, size, (SENT_ELICITING if ack_eliciting else 0) | (SENT_IN_FLIGHT if in_flight else 0),
            frames, now
        )

    cdef int record(
        self, PacketSpace space, uint64_t number, Py_ssize_t size, int flags, FrameList* frames, double now
    ) except -1:
        """Take a packet; what `frames` holds belongs to its record afterwards."""
        cdef SentPacket* packet = space.push_sent(number)
        cdef FrameList empty = packet.frames
        packet.time = now
        packet.size = <uint32_t> size
        packet.flags = flags
        packet.frames = frames[0]
        frames[0] = empty
        if flags & SENT_ELICITING:
            space.ack_eliciting_in_flight += 1
        if flags & SENT_IN_FLIGHT:
            # Data sent before the handshake is confirmed arms no probe timeout, and must not delay one.
            if flags & SENT_ELICITING and (self.handshake_confirmed or not space.is_application_data):
                self.eliciting_sent_at = now
            self.congestion.on_sent(number, size)
        elif not flags & SENT_ELICITING and space.sent_count - space.ack_eliciting_in_flight > IDLE_RECORDS:
            return self._forget_idle(space)
        return 0

    cdef int _forget_idle(self, PacketSpace space) except -1:
        """Forget the oldest packet, or else the latest, which is idle: nobody has to acknowledge it."""
        cdef SentPacket* packet = space.sent_at(0)
        if not packet.flags & (SENT_ELICITING | SENT_IN_FLIGHT):
            self.lose(space, packet, SENT_RESCHEDULED)
            space.pop_settled(self.first_sample_at)
        elif space.sent_count - space.ack_eliciting_in_flight > MAX_IDLE_RECORDS:
            self.lose(space, space.sent_at(space.sent_count - 1), SENT_RESCHEDULED)
            space.sent_count -= 1
        return 0

    cdef Py_ssize_t on_ack(
        self, PacketSpace space, const unsigned char* data, Py_ssize_t size, bint is_ecn, uint64_t next_number,
        double now
    ) except -1:
        cdef Py_ssize_t[2 * RANGE_BATCH] batch
        cdef int64_t largest, delay, ranges, high, gap = 0, length = 0
        cdef Py_ssize_t consumed = ack_size(data, size, is_ecn)
        cdef Py_ssize_t at, stop, first, i
        cdef int batched = 0
        cdef bint any_new = False, any_eliciting = False
        cdef double largest_sent_at = INFINITY
        cdef SentPacket* packet
        if consumed < 0:
            raise TransportViolation(ErrorCodes.FRAME_ENCODING_ERROR, "ACK frame is cut, or has negative packet numbers")
        at = read_varint(data, size, &largest)
        at += read_varint(data + at, size - at, &delay)
        at += read_varint(data + at, size - at, &ranges)
        if <uint64_t> largest >= next_number:
            raise TransportViolation(ErrorCodes.PROTOCOL_VIOLATION, "a packet was acknowledged that was never sent")
        if largest > space.largest_acked_packet:
            space.largest_acked_packet = largest
        stop = space.sent_count
        high = largest
        while True:
            at += read_varint(data + at, size - at, &length)
            stop = space.find_sent(high, stop)
            first = space.find_sent(high - length - 1, stop) if high > length else 0
            if stop == 0:
                ranges = 0  # everything below is settled
            elif first < stop:
                batch[2 * batched] = first
                batch[2 * batched + 1] = stop
                batched += 1
                stop = first
            if batched == RANGE_BATCH or ranges == 0:
                while batched:
                    batched -= 1
                    for i in range(batch[2 * batched], batch[2 * batched + 1]):
                        packet = space.sent_at(i)
                        if packet.flags & SENT_SETTLED:
                            # What was sent again too early did arrive: no run of losses goes on across it.
                            packet.flags |= SENT_ACKNOWLEDGED
                            continue
                        any_new = True
                        any_eliciting |= packet.flags & SENT_ELICITING
                        if packet.number == <uint64_t> largest and packet.number >= self.measured_from:
                            largest_sent_at = packet.time
                        self.acknowledge(space, packet)
            if ranges == 0:
                break
            ranges -= 1
            at += read_varint(data + at, size - at, &gap)
            high -= length + gap + 2
        if not any_new:
            return consumed
        if largest_sent_at != INFINITY and any_eliciting:
            self.congestion.on_rtt(largest, next_number, now - largest_sent_at)
            # Who has no keys yet may be late for other reasons, and who is at the handshake does not delay.
            if self.handshake_confirmed or space.is_application_data:
                self.add_sample(
                    now - largest_sent_at, fmin(ldexp(<double> delay, self.ack_delay_exponent) * 1e-6, self.max_ack_delay),
                    now
                )
            else:
                self.add_sample(now - largest_sent_at, 0.0, now)
        self.detect_loss(space, now)
        self.congestion.grow(now, self.smoothed_rtt)
        self._set_pace()
        # A client that does not know that the server has validated its address goes on waiting longer (6.2.1).
        if self.peer_completed_address_validation:
            self.pto_count = 0
        return consumed

    cdef void _set_pace(self) noexcept:
        """Have the pacer follow the window and the round-trip time: the average forgets late what took long here."""
        cdef double rtt = fmin(self.smoothed_rtt, self.latest_rtt)
        if self.first_sample_at != INFINITY:
            self.pacer.update(self.congestion.window, rtt, self.congestion.window < self.congestion.threshold)

    cdef int acknowledge(self, PacketSpace space, SentPacket* packet) except -1:
        cdef SentFrame* frame
        cdef Py_ssize_t i, kept = 0
        if packet.flags & SENT_ELICITING:
            space.ack_eliciting_in_flight -= 1
        if packet.flags & SENT_IN_FLIGHT:
            self.congestion.on_acknowledged(packet.number, packet.size, packet.time)
            if packet.size > self.largest_acknowledged:
                self.largest_acknowledged = packet.size
        packet.flags |= SENT_ACKNOWLEDGED
        for i in range(packet.frames.count):
            frame = &packet.frames.items[i]
            if frame.kind == FRAME_ACK:
                space.received.forget_below(frame.offset + 1)
            else:
                packet.frames.items[kept] = frame[0]
                kept += 1
        packet.frames.count = kept
        return frames_move(&self.acknowledged, &packet.frames) if kept else 0

    cdef int lose(self, PacketSpace space, SentPacket* packet, int how) except -1:
        """Have a packet's frames sent again. The congestion control is told only that the packet is not under way."""
        if packet.flags & SENT_ELICITING:
            space.ack_eliciting_in_flight -= 1
        if packet.flags & SENT_IN_FLIGHT:
            self.congestion.on_expired(packet.size)
            if packet.size > self.large_above:
                if not self.smallest_large or packet.size < self.smallest_large:
                    self.smallest_large = packet.size
                self.large_number = packet.number
                self.large_sent_at = packet.time
        packet.flags |= how
        if packet.frames.count == 1 and packet.frames.items[0].kind == FRAME_ACK:
            packet.frames.count = 0  # nobody is to be told, and `drain` may be far off
        return frames_move(&self.lost, &packet.frames) if packet.frames.count else 0

    cdef int detect_loss(self, PacketSpace space, double now) except -1:
        """Find the packets that are lost by now, and when the next one is."""
        cdef double delay = self.loss_delay()
        cdef double duration = PERSISTENT_CONGESTION * self.probe_timeout(self.max_ack_delay)
        cdef double since = space.lost_since
        cdef double latest = -INFINITY
        cdef bint persistent = False
        cdef SentPacket* packet
        cdef Py_ssize_t i
        space.loss_at = INFINITY
        for i in range(space.sent_count):
            packet = space.sent_at(i)
            if <int64_t> packet.number > space.largest_acked_packet:
                break
            if not packet.flags & SENT_SETTLED:
                if (
                    <int64_t> packet.number > space.largest_acked_packet - PACKET_THRESHOLD
                    and packet.time + delay > now
                ):
                    space.loss_at = fmin(space.loss_at, packet.time + delay)
                    since = INFINITY
                    continue
                if packet.flags & SENT_IN_FLIGHT:
                    latest = packet.time
                self.lose(space, packet, SENT_LOST)
            # Persistent congestion: nothing arrived of what was sent over a long time (7.6).
            if packet.flags & SENT_ACKNOWLEDGED:
                since = INFINITY
            elif packet.flags & SENT_LOST and packet.flags & SENT_ELICITING and packet.time > self.first_sample_at:
                if since == INFINITY:
                    since = packet.time
                elif packet.time - since > duration:
                    persistent = True
        space.pop_settled(self.first_sample_at)
        if latest == -INFINITY:
            return 0
        self.congestion.on_lost(latest, now)
        if persistent:
            self.congestion.on_persistent_congestion()
            self.min_rtt = INFINITY  # it may be another path by now (5.2)
        self._set_pace()
        return 0
