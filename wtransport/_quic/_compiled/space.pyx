# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic, cdivision=True
"""A packet number space (RFC 9000, section 12.3): what arrived in it, and what was sent and is not known to have arrived.

It takes the place of aioquic's ``QuicPacketSpace``; None is told to Python where C has INFINITY.
"""

from __future__ import annotations

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint64_t

from ..._speedups._compiled.wire cimport varint_length, write_varint
from .frame_types cimport ACK
from .received cimport MAX_RANGES, ReceivedPackets
from .sent cimport frames_clear, frames_free

cdef enum:
    # An acknowledgement does not wait once so many ack-eliciting packets do: the sender's window grows by what it is told.
    ACK_EVERY = 10
    # Records of a ring's first memory, and the most that an empty one keeps.
    FIRST_CAPACITY = 4  # most connections are quiet, and have no more packets under way
    KEPT_CAPACITY = 16
    # The largest ACK frame that is ever written: type, largest, delay, count, and 64 ranges.
    LARGEST_ACK = 1 + 8 + 8 + 1 + 8 + 16 * MAX_RANGES

# The default, for spaces that nobody gives another one.
cdef double ACK_DELAY = 0.002


@cython.final
@cython.no_gc
cdef class PacketSpace:
    """Packets received and packets sent under one sequence of packet numbers."""

    def __init__(self, *, bint is_application_data=False):
        self.is_application_data = is_application_data
        self.received = ReceivedPackets()
        self.largest_received_packet = -1
        self.ack_delay = ACK_DELAY
        self.received_at = 0.0
        self.ack_due = self.loss_at = self.lost_since = INFINITY

    def __dealloc__(self):
        self.clear_sent()

    @property
    def ack_at(self):
        """When an acknowledgement is to be sent by itself, or None."""
        return None if self.ack_due == INFINITY else self.ack_due

    @ack_at.setter
    def ack_at(self, at):
        self.ack_due = INFINITY if at is None else at

    @property
    def loss_time(self):
        """When the next packet is lost unless it is acknowledged, or None."""
        return None if self.loss_at == INFINITY else self.loss_at

    @property
    def largest_received_time(self):
        """When the largest packet number came, or None."""
        return None if self.largest_received_packet < 0 else self.received_at

    @largest_received_time.setter
    def largest_received_time(self, double at):
        self.received_at = at

    @property
    def ack_queue(self):
        """The ranges to acknowledge."""
        return self.received

    @property
    def received_packets(self):
        """The packets that would be duplicates."""
        return self.received

    @property
    def expected_packet_number(self):
        """One more than the largest packet number that came; what is on the wire is decoded against it."""
        return self.largest_received_packet + 1

    @expected_packet_number.setter
    def expected_packet_number(self, number):
        pass  # aioquic raises it by itself, before it has recorded the packet

    @property
    def sent_numbers(self):
        """The numbers of the packets whose fate is not known yet."""
        return [
            self.sent_at(index).number
            for index in range(self.sent_count)
            if not self.sent_at(index).flags & SENT_SETTLED
        ]

    def on_packet_received(self, uint64_t number, bint ack_eliciting, double now):
        """Take note of a packet that was no duplicate, and of when to acknowledge it."""
        self.on_received(number, ack_eliciting, now)

    def note_ack_eliciting(self, double now):
        """Acknowledge at once when enough has arrived; for whoever records packets in `ack_queue` by itself."""
        self.unacknowledged += 1
        if self.unacknowledged >= ACK_EVERY:
            self.ack_due = now

    def ack_frame(self, Py_ssize_t room, double now, int exponent):
        """Return an ACK frame of at most room bytes; empty when there is nothing to acknowledge, or too little room."""
        cdef unsigned char[LARGEST_ACK] out
        return PyBytes_FromStringAndSize(<char*> out, self.write_ack(out, room, now, exponent))

    cdef int on_received(self, uint64_t number, bint ack_eliciting, double now) except -1:
        cdef int64_t expected = self.largest_received_packet + 1
        # Out of order, or behind a gap (RFC 9000, 13.2.1); the first packet of a space may have any number.
        cdef bint at_once = expected and <int64_t> number != expected
        self.received.note(number)
        if <int64_t> number >= expected:
            self.largest_received_packet = number
            self.received_at = now
        if ack_eliciting:
            self.unacknowledged += 1
            if at_once or self.unacknowledged >= ACK_EVERY:
                self.ack_due = now
            elif self.ack_due == INFINITY:
                self.ack_due = now + self.ack_delay
        return 0

    cdef Py_ssize_t write_ack(self, unsigned char* out, Py_ssize_t room, double now, int exponent) noexcept:
        cdef uint64_t* bounds = self.received.bounds
        cdef Py_ssize_t place = self.received.count - 1
        cdef Py_ssize_t size, count_at
        cdef int64_t largest, delay, gap, length
        if place < 0:
            self.ack_due = INFINITY
            return 0
        largest = bounds[2 * place + 1] - 1
        length = largest - bounds[2 * place]
        delay = (<int64_t> ((now - self.received_at) * 1e6)) >> exponent if now > self.received_at else 0
        if 2 + varint_length(largest) + varint_length(delay) + varint_length(length) > room:
            return 0
        out[0] = ACK
        size = 1
        size += write_varint(out + size, largest)
        size += write_varint(out + size, delay)
        count_at = size  # one byte is enough for 63 more ranges
        size += 1
        size += write_varint(out + size, length)
        out[count_at] = 0
        while place:
            place -= 1
            gap = bounds[2 * place + 2] - bounds[2 * place + 1] - 1
            length = bounds[2 * place + 1] - bounds[2 * place] - 1
            if size + varint_length(gap) + varint_length(length) > room:
                break  # the oldest may be left out (RFC 9000, 13.2.3)
            size += write_varint(out + size, gap)
            size += write_varint(out + size, length)
            out[count_at] += 1
        self.ack_due = INFINITY
        self.ack_largest = largest
        self.unacknowledged = 0
        return size

    # Packets sent.

    cdef SentPacket* sent_at(self, Py_ssize_t index) noexcept:
        return &self.sent[(self.sent_head + index) & (self.sent_capacity - 1)]

    cdef SentPacket* push_sent(self, uint64_t number) except NULL:
        """Add a record, whose list of frames is empty; the number is larger than all before."""
        cdef SentPacket* packet
        if self.sent_count == self.sent_capacity:
            self._grow()
        packet = self.sent_at(self.sent_count)
        packet.number = number
        packet.flags = 0
        self.sent_count += 1
        return packet

    cdef Py_ssize_t find_sent(self, uint64_t number, Py_ssize_t stop) noexcept:
        """Return how many of the first `stop` records have no larger number."""
        cdef Py_ssize_t low = 0, middle
        cdef uint64_t offset
        if not stop or number < self.sent_at(0).number:
            return 0
        offset = number - self.sent_at(0).number  # numbers without gaps, as they mostly are
        if offset < <uint64_t> stop and self.sent_at(<Py_ssize_t> offset).number == number:
            return <Py_ssize_t> offset + 1
        while low < stop:
            middle = (low + stop) >> 1
            if self.sent_at(middle).number <= number:
                low = middle + 1
            else:
                stop = middle
        return low

    cdef void pop_settled(self, double first_sample) noexcept:
        """Drop the settled records at the head, and keep in mind whether those that were lost are a run."""
        cdef SentPacket* packet
        while self.sent_count:
            packet = self.sent_at(0)
            if not packet.flags & SENT_SETTLED:
                return
            if packet.flags & SENT_ACKNOWLEDGED:
                self.lost_since = INFINITY
            elif (
                packet.flags & SENT_LOST
                and packet.flags & SENT_ELICITING
                and packet.time > first_sample
                and self.lost_since == INFINITY
            ):
                self.lost_since = packet.time
            self.sent_head = (self.sent_head + 1) & (self.sent_capacity - 1)
            self.sent_count -= 1
        if self.sent_capacity > KEPT_CAPACITY:
            self.clear_sent()

    cdef void clear_sent(self) noexcept:
        """Let go of all records and of their memory."""
        cdef Py_ssize_t i
        for i in range(self.sent_capacity):
            frames_free(&self.sent[i].frames)
        PyMem_Free(self.sent)
        self.sent = NULL
        self.sent_capacity = self.sent_head = self.sent_count = 0

    cdef int _grow(self) except -1:
        cdef Py_ssize_t capacity = 2 * self.sent_capacity if self.sent_capacity else FIRST_CAPACITY
        cdef SentPacket* sent = <SentPacket*> PyMem_Calloc(capacity, sizeof(SentPacket))
        cdef Py_ssize_t i
        if sent == NULL:
            raise MemoryError
        for i in range(self.sent_count):
            sent[i] = self.sent_at(i)[0]
        PyMem_Free(self.sent)
        self.sent = sent
        self.sent_capacity = capacity
        self.sent_head = 0
        return 0
