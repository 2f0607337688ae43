"""Loss detection (RFC 9002), below `Recovery`. Times are seconds; INFINITY stands for none."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from .congestion cimport CongestionControl
from .pacing cimport Pacer
from .round_trip cimport RoundTrip
from .sent cimport FrameList
from .space cimport PacketSpace, SentPacket


cdef class LossDetection(RoundTrip):
    cdef public bint handshake_confirmed
    cdef public bint peer_completed_address_validation
    cdef public double max_ack_delay  # of the peer
    cdef public int ack_delay_exponent  # of the peer
    cdef readonly int pto_count
    cdef readonly CongestionControl congestion
    cdef readonly Pacer pacer
    cdef FrameList acknowledged
    cdef FrameList lost
    cdef double eliciting_sent_at
    cdef uint64_t measured_from  # packets below this were sent on another path
    # What happened since `drain` to packets that count as in flight, for whoever looks for black holes.
    cdef uint32_t large_above
    cdef uint32_t largest_acknowledged  # bytes; 0: none
    cdef uint32_t smallest_large  # bytes of the smallest lost one above `large_above`; 0: none
    cdef uint64_t large_number  # of the latest lost one, and when it was sent
    cdef double large_sent_at

    cdef int on_sent(
        self, PacketSpace space, uint64_t number, Py_ssize_t size, bint ack_eliciting, bint in_flight,
        FrameList* frames, double now
    ) except -1
    # `data` begins behind the frame's type; returns the bytes read.
    cdef Py_ssize_t on_ack(
        self, PacketSpace space, const unsigned char* data, Py_ssize_t size, bint is_ecn, uint64_t next_number,
        double now
    ) except -1
    cdef Py_ssize_t room(self) noexcept  # bytes that the congestion window leaves, in whole packets
    cdef double send_time(self, double now) noexcept  # when the pacer lets the next packet go; 0.0: now

    cdef int record(
        self, PacketSpace space, uint64_t number, Py_ssize_t size, int flags, FrameList* frames, double now
    ) except -1
    cdef int _forget_idle(self, PacketSpace space) except -1
    cdef void _set_pace(self) noexcept
    cdef int acknowledge(self, PacketSpace space, SentPacket* packet) except -1
    cdef int lose(self, PacketSpace space, SentPacket* packet, int how) except -1
    cdef int detect_loss(self, PacketSpace space, double now) except -1
