"""The credit of a session, for the streams that use it."""

from libc.stdint cimport int64_t


cdef class SendCredit:
    cdef public int64_t data_sent
    cdef public int64_t max_data
    cdef public bint enabled
    cdef public list max_streams
    cdef public list streams_opened

    cdef bint may_open(self, bint unidirectional) except -1


cdef class ReceiveCredit:
    cdef public int64_t data_consumed
    cdef public int64_t data_received
    cdef public int64_t data_window
    cdef public int64_t max_data
    cdef public bint auto
    cdef public bint enabled
    cdef public tuple stream_windows
    cdef public tuple increments
    cdef public list max_streams
    cdef public list streams_opened
    cdef public list streams_closed

    cdef int count(self, int64_t nbytes) except -1
    # The new limit when it is worth announcing, or -1.
    cdef int64_t give_back(self, int64_t nbytes) noexcept
    # Whether the limit allows it.
    cdef bint stream_opened(self, bint unidirectional) except -1
    # The new limit when it is worth announcing, or None.
    cdef object stream_closed(self, bint unidirectional)
