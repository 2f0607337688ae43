"""A stream: its two halves, and its place in the table."""

cimport cython
from libc.stdint cimport int64_t

from .receiving cimport ReceiveHalf
from .sending cimport SendHalf


@cython.final
@cython.no_gc
cdef class QuicStream:
    cdef readonly int64_t stream_id
    cdef readonly SendHalf send
    cdef readonly ReceiveHalf receive
    cdef public bint is_queued
    cdef public bint is_released  # its place is another stream's as soon as it is over
    cdef public object early_stop  # an event, or None
    cdef public bint owes_stop  # bytes were dropped that nobody up there has heard of; until then it is known


# A stream with both halves open: so many bytes may be sent, and are to be received.
cdef QuicStream new_stream(int64_t stream_id, int64_t limit, int64_t window)
