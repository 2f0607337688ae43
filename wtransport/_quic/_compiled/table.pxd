"""The streams of a connection, for the packet codec and the frame writer.

Every method that takes a frame of the peer raises TransportViolation where that breaks a rule; numbers are what a varint
holds.
"""

from libc.stdint cimport int64_t

from .books cimport StreamBooks
from .streams cimport QuicStream


cdef class StreamTable(StreamBooks):
    cdef QuicStream open_next(self, bint unidirectional)  # None when the peer allows no more
    cpdef int write_header(self, QuicStream stream, data) except -1
    cdef int64_t count_unsent(self, int64_t stream_id) except -1
    cdef int64_t count_room(self, int64_t stream_id) except -1
    cpdef bint send(self, int64_t stream_id, data, bint end_stream) except -1
    cpdef bint release(self, int64_t stream_id) except -1
    cpdef bint stop_told(self, int64_t stream_id) except -1

    # The bytes are copied, once.
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

    cdef int _tell_stop(self, QuicStream stream, event) except -1
    cdef int _report_reset(self, QuicStream stream) except -1
