"""The sending half of a stream, for the stream table and the frame writer."""

cimport cython
from libc.stdint cimport int64_t

from .outgoing cimport ChunkRing, LostHeap


cdef struct NextFrame:  # a STREAM frame about to be written
    int64_t offset
    Py_ssize_t size
    Py_ssize_t new_bytes  # what counts against the connection's credit
    Py_ssize_t chunk  # index of the one that it begins in
    bint fin


@cython.final
@cython.no_gc
cdef class SendHalf:
    cdef public int64_t limit
    cdef public int64_t blocked_at
    cdef public int64_t offset
    cdef public int64_t reliable_size
    cdef public int64_t low_water
    cdef public int64_t taken_back
    cdef public bint reset_pending
    cdef public bint is_finished
    cdef public bint wants_room
    cdef bint fin_pending
    cdef bint fin_acknowledged
    cdef bint reset_acknowledged
    cdef int64_t end  # offset behind all that was queued
    cdef int64_t final_offset  # -1: none yet
    cdef int64_t code  # of the reset; -1: none
    cdef int64_t acknowledged
    cdef int64_t reliable_acknowledged
    cdef ChunkRing chunks  # from the first on with bytes that may have to be sent again
    cdef Py_ssize_t cursor  # index of the chunk that the next new byte is in, or will be
    cdef LostHeap lost

    cdef bint accepts(self) noexcept
    cdef void begin(self, int64_t limit) noexcept
    cpdef write_header(self, data)
    cpdef write(self, data, bint end_stream)
    cdef int queue(self, bytes data) except -1
    cdef void finish(self) noexcept
    cdef bint give_up(self, int64_t error_code) except -1
    cdef bint is_ready(self, int64_t connection_credit) noexcept
    cdef bint reset_may_go(self, bint peer_takes_reset_stream_at) noexcept
    cdef int64_t upcoming_size(self) noexcept
    cdef int64_t upcoming_offset(self) noexcept
    cdef bint take(self, Py_ssize_t max_size, int64_t connection_credit, NextFrame* frame) noexcept
    cdef int copy(self, const NextFrame* frame, unsigned char* out) except -1
    cdef int settle(self, bint acknowledged, int64_t offset, Py_ssize_t size, bint fin) except -1
    cdef void settle_reset(self, bint acknowledged) noexcept

    cdef Py_ssize_t _find(self, int64_t offset) noexcept
    cdef void _acknowledge(self, int64_t offset, Py_ssize_t size) noexcept
    cdef int _lose(self, int64_t offset, Py_ssize_t size, bint fin) except -1
    cdef void _take_lost(self, Py_ssize_t max_size, NextFrame* frame) noexcept
    cdef void _check_reset_finished(self) noexcept


cdef inline int64_t room_of(SendHalf half) noexcept:
    """Return how many more bytes could be written that the peer's credit covers; 0 when none can be written."""
    return max(half.limit - half.end, 0) if half.accepts() else 0
