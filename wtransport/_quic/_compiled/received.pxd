"""Which packet numbers have arrived: for refusing duplicates, and for acknowledgements."""

cimport cython
from libc.stdint cimport uint64_t

cdef enum:
    MAX_RANGES = 64
    WINDOW_WORDS = 16
    WINDOW = 64 * WINDOW_WORDS


@cython.final
@cython.no_gc
cdef class ReceivedPackets:
    cdef uint64_t* bounds  # of the ranges to acknowledge, ascending: start, stop (exclusive), start, stop ...
    cdef Py_ssize_t count  # ranges
    cdef Py_ssize_t capacity  # ranges
    cdef uint64_t floor  # everything below counts as received
    cdef uint64_t top  # one more than the largest number received
    cdef uint64_t[WINDOW_WORDS] bits  # of the numbers from floor to top, at their number modulo WINDOW

    cdef bint is_duplicate(self, uint64_t number) noexcept
    cdef int note(self, uint64_t number) except -1  # both duplicates and ranges; the number is below 2**62
    cdef void forget_below(self, uint64_t stop) noexcept  # these ranges need not be acknowledged any more

    cdef void _mark(self, uint64_t number) noexcept
    cdef int _insert(self, Py_ssize_t place, uint64_t start, uint64_t stop) except -1
    cdef void _remove(self, Py_ssize_t first, Py_ssize_t count) noexcept
