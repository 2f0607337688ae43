"""The receiving half of a stream, for the stream table."""

cimport cython
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t

from .flow cimport ReceiveWindow


cdef struct Piece:
    PyObject* data  # bytes, a reference that the piece owns
    int64_t start
    int64_t end


@cython.final
@cython.no_gc
cdef class ReceiveHalf:
    cdef readonly ReceiveWindow window
    cdef public int64_t next_offset
    cdef public int64_t stop_code
    cdef public bint is_finished
    cdef public bint is_stopped
    cdef public bint stop_pending
    cdef int64_t final_offset  # -1: not known yet
    cdef int64_t code  # of the peer's reset; -1: none
    cdef int64_t reliable_size
    # Pieces beyond a gap: disjoint, ordered by start.
    cdef Piece* pieces
    cdef Py_ssize_t piece_count
    cdef Py_ssize_t piece_capacity

    cdef int begin(self, int64_t window) except -1
    cdef bytes take(self, int64_t offset, const unsigned char* data, Py_ssize_t size, bint fin)
    cdef Py_ssize_t extend(self, int64_t offset, Py_ssize_t size, bint fin) except -2
    cdef bint stop_reading(self, int64_t error_code) noexcept
    cdef bint take_reset(self, int64_t error_code, int64_t final_size, int64_t reliable_size) except -1

    cdef int _check_final_size(self, int64_t end, bint fin) except -1
    cdef bint _try_reset(self) noexcept
    cdef bytes _advance(self, const unsigned char* data, Py_ssize_t size)
    cdef int _keep(self, int64_t offset, const unsigned char* data, Py_ssize_t size) except -1
    cdef int _make_room(self) except -1
    cdef Py_ssize_t _after(self, int64_t offset) noexcept
    cdef void _drop(self, Py_ssize_t first, Py_ssize_t stop) noexcept
    cdef int _join_adjacent(self) except -1
