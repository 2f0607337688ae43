"""The streams of a connection, for the packet codec and the frame writer.

Every method that takes a frame of the peer raises TransportViolation where that breaks a rule; numbers are what a varint
holds.
"""

cimport cython
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t

from .flow cimport ReceiveWindow, StreamLimit
from .receiving cimport ReceiveHalf
from .streams cimport QuicStream


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


cdef class StreamTable:
    cdef readonly dict streams
    cdef readonly ReceiveWindow receive_window
    cdef readonly tuple peer_limits
    cdef readonly dict waiting_for_max_data
    cdef public bint limits_due
    cdef public int64_t data_used
    cdef public int64_t blocked_at
    cdef RemoteLimits peer
    cdef StreamLimit bidi_limit
    cdef StreamLimit uni_limit
    cdef bint is_client
    cdef bint[2] blocked_due  # STREAMS_BLOCKED, by direction
    cdef bint[2] wants_streams
    cdef int64_t[2] next_ids
    cdef int64_t stream_window
    cdef object emit
    # Streams in line to be served: a ring of references that it owns.
    cdef PyObject** line
    cdef Py_ssize_t line_capacity
    cdef Py_ssize_t line_head
    cdef Py_ssize_t line_count

    # Frames of the peer. The bytes are copied, once.
    cdef int on_stream(
        self, int64_t stream_id, int64_t offset, const unsigned char* data, Py_ssize_t size, bint fin
    ) except -1
    cpdef int on_reset(
        self, int64_t stream_id, int64_t error_code, int64_t final_size, int64_t reliable_size=*
    ) except -1
    cpdef int on_stop_sending(self, int64_t stream_id, int64_t error_code) except -1
    cpdef int on_max_data(self, int64_t limit) except -1
    cpdef int on_max_stream_data(self, int64_t stream_id, int64_t limit) except -1
    cdef int raise_max_streams(self, int64_t limit, bint unidirectional) except -1
    cpdef int on_stream_data_blocked(self, int64_t stream_id) except -1

    # For the frame writer.
    cdef QuicStream first_ready(self)
    cdef void pop_ready(self) noexcept
    cdef int line_up(self, QuicStream stream) except -1
    cdef int account_sent(self, QuicStream stream, int64_t new_bytes) except -1
    cdef int repeat_data_blocked(self, int64_t limit) except -1
    cdef int forget_if_over(self, QuicStream stream) except -1
    cdef bint credit_read(self, int64_t stream_id, int64_t nbytes) except -1
    cdef int64_t streams_allowed(self, bint unidirectional) noexcept

    cdef QuicStream _known(self, int64_t stream_id)
    cdef QuicStream _receiving(self, int64_t stream_id)
    cdef QuicStream _sending(self, int64_t stream_id)
    cdef QuicStream _of_peer(self, int64_t stream_id)
    cdef int _check_credit(self, ReceiveHalf receive, int64_t end, int64_t new_bytes) except -1
    cdef int _report_bytes(self, QuicStream stream, bytes ready, bint is_end) except -1
    cdef int _report_reset(self, QuicStream stream) except -1
    cdef int _forget(self, QuicStream stream) except -1
