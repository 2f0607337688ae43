"""What is known of all streams of a connection, and who may send how much: the part of the stream table without frames."""

from libc.stdint cimport int64_t

from .flow cimport ReceiveWindow, RemoteLimits, StreamLimit
from .line cimport Line
from .receiving cimport ReceiveHalf
from .stream_bytes cimport StreamBytesEvents
from .streams cimport QuicStream


cdef class StreamBooks:
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
    cdef int64_t[2] ids_to_open
    cdef int64_t stream_window
    cdef object emit
    cdef readonly StreamBytesEvents arrived
    cdef Line line  # streams in line to be served
    cdef QuicStream latest  # of those known, the one that was asked for last: it is likely to be asked for again

    cdef QuicStream find(self, int64_t stream_id)  # None when it is not known
    cdef int add(self, QuicStream stream) except -1
    cdef int line_up(self, QuicStream stream) except -1
    cdef int account_sent(self, QuicStream stream, int64_t new_bytes) except -1
    cdef bint credit_read(self, int64_t stream_id, int64_t nbytes) except -1
    cdef int64_t streams_allowed(self, bint unidirectional) noexcept
    cdef int repeat_data_blocked(self, int64_t limit) except -1
    cdef void repeat_streams_blocked(self, int64_t limit, bint unidirectional) noexcept
    cdef int forget_if_over(self, QuicStream stream) except -1
    cdef int forget(self, QuicStream stream) except -1
    cdef bint free_place(self, int64_t stream_id) except -1

    # The stream that a frame names, or None when it is over. Raises TransportViolation.
    cdef QuicStream receiving(self, int64_t stream_id)
    cdef QuicStream sending(self, int64_t stream_id)
    cdef QuicStream _of_peer(self, int64_t stream_id)
    cdef int check_credit(self, ReceiveHalf receive, int64_t end, int64_t new_bytes) except -1
