"""The streams of a session and of its connection."""

from libc.stdint cimport int64_t

from .arrivals cimport StreamArrivals
from .credit cimport ReceiveCredit, SendCredit
from .data_stream cimport DataStream


cdef class StreamPlaces:
    cdef set _held
    cdef object _port

    cdef int leave(self, key, int64_t stream_id) except -1


cdef class StreamRegistry:
    cdef public dict readers
    cdef public dict _streams
    cdef public dict _sessions
    cdef public dict _sending
    cdef public dict _beginnings
    cdef public dict _waiting_resets
    cdef public StreamPlaces _places
    cdef public object _port
    cdef public object _emit
    cdef public object _events
    cdef public object _stream_class
    cdef public Py_ssize_t _sending_limit
    cdef public bint _is_client

    cdef DataStream make_stream(self, SessionStreams session, int64_t stream_id, bint is_local, int64_t header_size)
    cdef int forget(self, DataStream stream, bint still_arriving) except -1
    cdef int drop_sent(self) except -1


cdef class SessionCreditBooks:
    cdef public dict _blocked
    cdef public dict _unsettled
    cdef public StreamPlaces _places
    cdef public ReceiveCredit _receiving

    cdef int over(self, DataStream stream) except -1
    cdef int free_place(self, DataStream stream) except -1


cdef class SessionStreams:
    cdef public StreamRegistry _registry
    cdef public SendCredit _sending
    cdef public ReceiveCredit _receiving
    cdef public SessionCreditBooks credit
    cdef public dict streams
    cdef public tuple _headers
    cdef public list _wants_streams
    cdef public StreamArrivals arrivals
    cdef public object emit
    cdef public object flow
    cdef public object handle
    cdef public object port
    cdef public int64_t stream_id
    cdef public int64_t streams_aborted
    cdef public int64_t streams_closed
    cdef public bint is_open
    cdef public bint is_over
    cdef public bint tells_ends

    cdef int finish(self, DataStream stream, bint still_arriving) except -1
    # The stream, of which nobody was told, or None when the peer may not open it.
    cdef DataStream take_opened(self, int64_t stream_id, int64_t header_size)
