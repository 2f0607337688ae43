"""The sending half of a stream, for the stream table and the frame writer."""

cimport cython
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t


cdef struct Chunk:  # what the program wrote in one go
    PyObject* data  # bytes, a reference that the chunk owns; NULL once all of it was acknowledged
    int64_t start  # offset in the stream
    Py_ssize_t pending  # bytes that were not acknowledged yet


cdef struct LostFrame:
    int64_t offset
    Py_ssize_t size
    bint fin


cdef struct NextFrame:  # a STREAM frame about to be written
    int64_t offset
    Py_ssize_t size
    Py_ssize_t new_bytes  # what counts against the connection's credit
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
    # All chunks from the first with bytes that may have to be sent again, in a ring; `cursor` is the index of the one
    # that the next new byte is in.
    cdef Chunk* chunks
    cdef Py_ssize_t chunk_capacity
    cdef Py_ssize_t chunk_head
    cdef Py_ssize_t chunk_count
    cdef Py_ssize_t cursor
    # A heap: the reader waits for the lowest offset.
    cdef LostFrame* lost
    cdef Py_ssize_t lost_capacity
    cdef Py_ssize_t lost_count

    cdef bint accepts(self) noexcept
    cdef int queue(self, bytes data) except -1
    cdef int finish(self) except -1
    cdef bint give_up(self, int64_t error_code) except -1
    cdef bint is_ready(self, int64_t connection_credit) noexcept
    cdef bint reset_may_go(self, bint peer_takes_reset_stream_at) noexcept
    cdef int64_t upcoming_size(self) noexcept
    cdef int64_t upcoming_offset(self) noexcept
    cdef bint take(self, Py_ssize_t max_size, int64_t connection_credit, NextFrame* frame) noexcept
    cdef int copy(self, int64_t offset, Py_ssize_t size, unsigned char* out) except -1
    cdef int settle(self, bint acknowledged, int64_t offset, Py_ssize_t size, bint fin) except -1
    cdef int settle_reset(self, bint acknowledged) noexcept

    cdef Chunk* _chunk_at(self, Py_ssize_t index) noexcept
    cdef Py_ssize_t _find(self, int64_t offset) noexcept
    cdef void _drop_first(self) noexcept
    cdef void _drop_last(self) noexcept
    cdef void _acknowledge(self, int64_t offset, Py_ssize_t size) noexcept
    cdef int _lose(self, int64_t offset, Py_ssize_t size, bint fin) except -1
    cdef void _take_lost(self, Py_ssize_t max_size, NextFrame* frame) noexcept
    cdef void _sink(self, LostFrame* frame) noexcept
