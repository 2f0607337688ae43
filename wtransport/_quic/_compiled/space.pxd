"""A packet number space (RFC 9000, section 12.3): what arrived in it, and what was sent and is not known to have arrived.

Times are seconds; INFINITY stands for none.

    if not space.received.is_duplicate(number):
        ... act on the frames
        space.on_received(number, ack_eliciting, now)
    if space.ack_due <= now:
        size = space.write_ack(out, room, now, exponent)  # 0: no room
        frame = frames_push(&frames, FRAME_ACK, None)
        frame.offset = space.ack_largest
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from .received cimport ReceivedPackets
from .sent cimport FrameList

cdef enum SentFlags:
    SENT_ELICITING = 1
    SENT_IN_FLIGHT = 2
    SENT_CRYPTO = 4
    # The packet is settled, and its record only waits for those before it.
    SENT_ACKNOWLEDGED = 8
    SENT_LOST = 16
    SENT_RESCHEDULED = 32
    SENT_SETTLED = SENT_ACKNOWLEDGED | SENT_LOST | SENT_RESCHEDULED


cdef struct SentPacket:
    uint64_t number
    double time
    FrameList frames
    uint32_t size
    uint8_t flags


@cython.final
@cython.no_gc
cdef class PacketSpace:
    cdef readonly bint is_application_data
    cdef public bint discarded
    # Receiving.
    cdef readonly ReceivedPackets received
    cdef public int64_t largest_received_packet  # -1: none
    cdef public double ack_delay  # how long an acknowledgement may wait
    cdef double received_at  # when the largest one came
    cdef double ack_due
    cdef int64_t ack_largest  # Largest Acknowledged of the ACK frame written last
    cdef int unacknowledged  # ack-eliciting packets since the last ACK frame
    # Sending: a ring of records, ordered by number.
    cdef public int ack_eliciting_in_flight
    cdef public int64_t largest_acked_packet
    cdef double loss_at
    cdef SentPacket* sent
    cdef Py_ssize_t sent_capacity
    cdef Py_ssize_t sent_head
    cdef Py_ssize_t sent_count  # with settled ones
    cdef double lost_since  # when the run of lost packets began that ends at the head; INFINITY: none

    cdef int on_received(self, uint64_t number, bint ack_eliciting, double now) except -1
    cdef Py_ssize_t write_ack(self, unsigned char* out, Py_ssize_t room, double now, int exponent) noexcept

    cdef SentPacket* sent_at(self, Py_ssize_t index) noexcept
    cdef SentPacket* push_sent(self, uint64_t number) except NULL
    cdef Py_ssize_t find_sent(self, uint64_t number, Py_ssize_t stop) noexcept
    cdef void pop_settled(self, double first_sample) noexcept
    cdef void clear_sent(self) noexcept
    cdef int _grow(self) except -1
