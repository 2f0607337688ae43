"""The credit of a session, for the streams that use it."""

from libc.stdint cimport int64_t


cdef class SendCredit:
    cdef public int64_t data_sent
    cdef public int64_t max_data
    cdef public bint enabled


cdef class ReceiveCredit:
    cdef public int64_t data_consumed
    cdef public int64_t data_received
    cdef public int64_t data_window
    cdef public int64_t max_data
    cdef public bint auto
    cdef public bint enabled

    cdef int count(self, int64_t nbytes) except -1
    # The new limit when it is worth announcing, or -1.
    cdef int64_t give_back(self, int64_t nbytes) noexcept
