"""Flow-control windows, for the kernels that look at them for every frame."""

cimport cython
from libc.stdint cimport int64_t


@cython.final
@cython.no_gc
cdef class ReceiveWindow:
    cdef public int64_t window
    cdef public int64_t limit
    cdef public int64_t announced
    cdef public int64_t received
    cdef public int64_t consumed

    cdef void begin(self, int64_t window) noexcept
    cdef bint give_back(self, int64_t nbytes) noexcept


@cython.final
@cython.no_gc
cdef class StreamLimit:
    cdef public int64_t window
    cdef public int64_t limit
    cdef public int64_t announced
    cdef public int64_t opened

    cdef bint free_one(self) noexcept
    cdef bint is_worth_announcing(self) noexcept


@cython.final
@cython.no_gc
cdef class RemoteLimits:
    cdef public int64_t max_data
    cdef public int64_t max_stream_data_bidi_local
    cdef public int64_t max_stream_data_bidi_remote
    cdef public int64_t max_stream_data_uni
    cdef public int64_t max_streams_bidi
    cdef public int64_t max_streams_uni
    cdef public bint reset_stream_at
